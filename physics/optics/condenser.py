"""Condenser: its aperture as point sources of equal brightness, spread evenly over it, which add incoherently.

A spiral by the golden angle fills one quarter of the aperture, and is turned by quarters: each of its halves then holds
half of the sources. Images under 36 such sources are closer to those under very many than images under 100 sources on a
grid or on rings are, because some sources lie near the rim, where most of the contrast of phase comes from.
"""

import numpy as np
from jaxtyping import Bool, Float

_GOLDEN = (np.sqrt(5) - 1) / 2
_STARTS = 64
_FEWEST, _MOST = 32, 144
_PER_BLUR = 4.0
"""Sources for each detail that the blur of a defocused point spans."""


def condenser_sources(na: float, count: int, inner_na: float = 0.0) -> Float[np.ndarray, "source 2"]:
    """Spread sources over a disc or an annulus.

    Args:
        na: Numerical aperture of the rim.
        count: Number of sources, rounded up to a multiple of 4.
        inner_na: Numerical aperture of the dark middle; 0 for a disc.

    Returns:
        Aperture (y, x) of each source. The images under 36 sources differ from those under a thousand by about 0.4 %
        of the background, the images under 100 sources by about 0.1 %.
    """
    number = np.arange(-(-count // 4))
    share = (number + 0.5) / len(number)
    radius = np.sqrt(inner_na**2 + share * (na**2 - inner_na**2))
    # Of several starts of the spiral the one whose quarter has the centroid of a quarter of the aperture.
    starts = (number * _GOLDEN + np.linspace(0, 1, _STARTS, endpoint=False)[:, None]) % 1 * np.pi / 2
    centroid = 4 / (3 * np.pi) * (na**3 - inner_na**3) / (na**2 - inner_na**2)
    means = (radius * np.stack([np.sin(starts), np.cos(starts)])).mean(axis=2)
    angle = starts[np.argmin(np.sum((means - centroid) ** 2, axis=0))]
    angles = np.concatenate([angle + quarter * np.pi / 2 for quarter in range(4)])
    return np.asarray(np.tile(radius, 4)[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1))


def half_of(sources: Float[np.ndarray, "source 2"], direction: tuple[float, float]) -> Bool[np.ndarray, " source"]:
    """Select the sources on one side of a line through the axis.

    Args:
        sources: Apertures (y, x).
        direction: Middle (y, x) of the half that shines.
    """
    return np.asarray(sources @ np.asarray(direction, float) > 0)


def source_count(na: float, numerical_aperture: float, wavelength: float, medium_index: float, defocus: float) -> int:
    """Choose the number of sources by which images are accurate to about 0.3 % of the background.

    Args:
        na: Numerical aperture of the condenser.
        numerical_aperture: NA of the objective.
        wavelength: [m] Vacuum wavelength.
        medium_index: Refractive index of the medium.
        defocus: [m] Largest distance of a plane of focus from the specimen's middle.
    """
    blur = 2 * na * defocus / medium_index
    details = blur * (numerical_aperture + na) / wavelength
    return int(np.clip(4 * np.ceil((_FEWEST + _PER_BLUR * details) / 4), _FEWEST, _MOST))
