"""Free pixels: good pixels that are withheld from the fit, to assess the result. Axes are (z, y, x).

Neighbouring pixels of an oversampled pattern are correlated, so that single withheld pixels are no test. Islands are:
their interior is wider than the correlation.
"""

from math import ceil

import numpy as np
from jaxtyping import Bool, Float

RADIUS = 3
"""[pixel] Radius of an island."""
CENTRE = 0.2
"""Part of each axis, around the Bragg peak, of which nothing is withheld: it holds most of the counts."""


def free_pixels(
    weights: Float[np.ndarray, "z y x"],
    fraction: float,
    seed: int,
    radius: int = RADIUS,
    peak: tuple[int, int, int] | None = None,
) -> Bool[np.ndarray, "z y x"]:
    """Choose the pixels to withhold.

    Args:
        weights: 1 for good pixels, 0 for bad ones; centred.
        fraction: Fraction of the good pixels; islands are added until it is reached.
        seed: Seed of the random choice.
        radius: [pixel] Radius of an island.
        peak: Index of the Bragg peak; None for the array's middle, ``n // 2``.

    Returns:
        True where a good pixel is withheld.
    """
    good = np.asarray(weights) > 0
    free = np.zeros(good.shape, bool)
    target = ceil(fraction * np.count_nonzero(good))
    allowed = good & ~_near_peak(good.shape, peak or tuple(n // 2 for n in good.shape))
    order = np.random.default_rng([seed, 5]).permutation(np.flatnonzero(allowed))
    offsets = _ball_offsets(radius)
    count = 0
    for index in order:
        if count >= target:
            break
        position = np.array(np.unravel_index(index, good.shape)) + offsets
        inside = np.all((position >= 0) & (position < good.shape), axis=1)
        z, y, x = position[inside].T
        new = allowed[z, y, x] & ~free[z, y, x]
        free[z[new], y[new], x[new]] = True
        count += int(np.count_nonzero(new))
    return free


def _ball_offsets(radius: int) -> np.ndarray:
    steps = np.arange(-radius, radius + 1)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(grid[np.sum(grid**2, axis=1) <= radius**2])


def _near_peak(shape: tuple[int, ...], peak: tuple[int, ...]) -> Bool[np.ndarray, "z y x"]:
    distance = np.zeros(shape)
    for axis, (n, middle) in enumerate(zip(shape, peak, strict=True)):
        line = ((np.arange(n) - middle) / max(0.5 * CENTRE * n, 3.0)) ** 2
        distance = distance + line.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.asarray(distance < 1)
