"""Names of the orientations of described light, and the limits of its comparison, without jax."""

ORIENTATIONS = (
    "as described",
    "turned by 90°",
    "turned by 180°",
    "turned by 270°",
    "mirrored along y",
    "mirrored along x",
    "transposed",
    "transposed, turned by 180°",
)
CLEAR_RATIO = 0.993
"""Residual of one description of the light, over that of another, below which it is smaller, if it is so surely."""
CLEAR_ERRORS = 4.0
"""Standard errors, over the views, by which the squared residual is then smaller."""
