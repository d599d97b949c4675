"""Continuous fields: on lattices in jax, at any points in NumPy, all on one interface."""
