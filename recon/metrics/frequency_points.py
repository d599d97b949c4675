"""Band of frequencies outside the missing cone: its share of a ball, and points spread evenly over ball and band.

Notation as in `missing_cone`. At each |u| the band is the union of [low, high] and of its inverse [−high, −low]; both
are integrated along w in closed form, and over |u| by sums. Points are quasi-random (additive recurrence).
"""

import numpy as np
from jaxtyping import Float

from .missing_cone import Aperture, axial_bounds

POINTS = 20_000
"""Number of points; shares of them are within 0.5 % of those of many more."""
_RADII = 4000
"""Number of transverse frequencies of the sums over |u|."""
_PLASTIC = 1.2207440846057596
"""Root of x⁴ = x + 1, of which the powers of the inverse spread points evenly in three dimensions."""


def ball_points(radius: float) -> Float[np.ndarray, "n 3"]:
    """[1/m] Spread points (w, u_y, u_x) evenly over a ball.

    Args:
        radius: [1/m] Radius.
    """
    first, second, third = _evenly_spread()
    w, angle = 2 * second - 1, 2 * np.pi * third
    across = np.sqrt(1 - w**2)
    shell = radius * np.cbrt(first)
    return np.stack([shell * w, shell * across * np.sin(angle), shell * across * np.cos(angle)], axis=1)


def band_points(aperture: Aperture) -> Float[np.ndarray, "n 3"]:
    """[1/m] Spread points (w, u_y, u_x) evenly over the band; none where it is empty, for light along the axis.

    Args:
        aperture: Apertures of light and objective.
    """
    rho = _radii(aperture)
    start, end = _heights(rho, aperture)
    cumulative = np.cumsum(rho * (end - start))
    if not cumulative[-1] > 0:
        return np.zeros((0, 3))
    first, second, third = _evenly_spread()
    own = np.interp(first * cumulative[-1], np.append(0.0, cumulative), np.append(0.0, rho + rho[0]))
    start, end = _heights(own, aperture)
    signed = 2 * second - 1
    w = np.sign(signed) * (start + np.abs(signed) * (end - start))
    angle = 2 * np.pi * third
    return np.stack([w, own * np.sin(angle), own * np.cos(angle)], axis=1)


def band_share(aperture: Aperture) -> float:
    """Share of the ball up to the lateral cut-off that the band fills.

    Args:
        aperture: Apertures of light and objective.
    """
    rho = _radii(aperture)
    start, end = _heights(rho, aperture)
    volume = 4 * np.pi * np.sum(rho * (end - start)) * 2 * rho[0]
    return float(volume / (4 / 3 * np.pi * _cutoff(aperture) ** 3))


def _radii(aperture: Aperture) -> Float[np.ndarray, " n"]:
    """[1/m] Middles of the steps of |u| up to the lateral cut-off."""
    return (np.arange(_RADII) + 0.5) * _cutoff(aperture) / _RADII


def _cutoff(aperture: Aperture) -> float:
    """[1/m] Lateral cut-off, the radius of the ball."""
    return (aperture.illumination_na + aperture.numerical_aperture) / aperture.wavelength


def _heights(
    rho: Float[np.ndarray, " n"], aperture: Aperture
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """[1/m] Smallest and largest |w| of the band within the ball at each |u|; the smallest is 0 where it crosses 0."""
    low, high = axial_bounds(rho, aperture)
    start = np.where(low * high < 0, 0.0, np.minimum(np.abs(low), np.abs(high)))
    edge = np.sqrt(np.maximum(_cutoff(aperture) ** 2 - rho**2, 0))
    return np.minimum(start, edge), np.minimum(np.maximum(np.abs(low), np.abs(high)), edge)


def _evenly_spread() -> Float[np.ndarray, "3 n"]:
    """Points of the unit cube."""
    steps = _PLASTIC ** -np.arange(1.0, 4.0)
    return np.asarray((0.5 + steps[:, None] * np.arange(1, POINTS + 1)) % 1)
