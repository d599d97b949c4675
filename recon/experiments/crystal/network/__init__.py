"""The crystal kind's network: from a pattern, through the physics at every step, to the density of a crystal."""
