"""Numbers of steps of a fit and of a trial before it, without jax."""

VALIDATE_EVERY = 25
"""Steps between two validations by what was withheld."""
FEWEST_STEPS = 100
"""Number of steps of a fit from which several signs are tried before it."""
LEAST_TRIAL = 50
"""Steps that a trial needs to tell models apart, if the fit has as many."""
SERIES_STRENGTHS = (2.0, 8.0, 32.0)
"""Strengths of the prior on a series that are tried where the config leaves it open."""
SERIES_FACTORS = (1.0, 0.25)
"""Factors of the priors in space that are tried where the config leaves them open."""
_SHARE = 1 / 4
"""Share of the steps that every model is tried for."""


def trial_steps(steps: int) -> int:
    """Compute the number of steps of a trial: a multiple of the steps between validations, at most all."""
    return min(steps, max(LEAST_TRIAL, round(_SHARE * steps / VALIDATE_EVERY) * VALIDATE_EVERY))
