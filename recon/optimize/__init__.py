"""The fit of a continuous field to a measurement: problem, priors, optimiser, loop, and the whole run."""
