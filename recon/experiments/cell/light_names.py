"""Names of the orientations of described light, without jax."""

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
