"""Simulated beads: separate balls of known size and index. Axes are ``z y x``."""

import numpy as np

from ..random import Seed, generator
from .body import Body
from .specimen import Specimen


def bead_specimen(
    seed: Seed,
    *,
    count: int = 8,
    radius: tuple[float, float] = (0.6e-6, 1.2e-6),
    index: tuple[float, float] = (1.355, 1.385),
    size: tuple[float, float, float] = (6e-6, 14e-6, 14e-6),
    medium_index: float = 1.337,
    absorption: float = 0.0,
) -> Specimen:
    """Draw beads.

    Args:
        seed: Seed or random number generator.
        count: Number of beads; fewer where there is no room.
        radius: [m] Smallest and largest radius.
        index: Smallest and largest refractive index.
        size: [m] Box (z, y, x), centred on the origin, that holds every bead.
        medium_index: Refractive index of the medium.
        absorption: Imaginary index of every bead.
    """
    rng, placed = generator(seed), list[Body]()
    for _ in range(count):
        r = min(rng.uniform(*radius), min(size) / 2)
        n = float(rng.uniform(*index))
        positions = (np.array(size) / 2 - r) * rng.uniform(-1, 1, (60, 3))
        clear = np.ones(len(positions), bool)
        for other in placed:
            clear &= np.linalg.norm(positions - other.centre, axis=1) > 1.1 * (r + other.semi_axes[0])
        if clear.any():
            placed.append(Body(positions[np.argmax(clear)], np.full(3, r), n, absorption))
    return Specimen(tuple(placed), medium_index)


def ball(
    radius: float, index: float, medium_index: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> Specimen:
    """Describe one bead, whose scattering is known exactly.

    Args:
        radius: [m] Radius.
        index: Refractive index.
        medium_index: Refractive index of the medium.
        centre: [m] Centre (z, y, x).
    """
    return Specimen((Body(np.array(centre), np.full(3, radius), index),), medium_index)
