"""Simulated filaments: thin tubes that wind through a box, as of fungi, algae or fibres. Axes are ``z y x``."""

import numpy as np

from ..random import Seed, generator
from .specimen import Specimen
from .tube import Tube, winding_path

_POINTS = 14


def filament_specimen(
    seed: Seed,
    *,
    count: int = 4,
    radius: tuple[float, float] = (0.3e-6, 0.7e-6),
    index: tuple[float, float] = (1.355, 1.385),
    size: tuple[float, float, float] = (6e-6, 14e-6, 14e-6),
    medium_index: float = 1.337,
    steepness: float = 0.4,
) -> Specimen:
    """Draw filaments.

    Args:
        seed: Seed or random number generator.
        count: Number of filaments.
        radius: [m] Smallest and largest radius.
        index: Smallest and largest refractive index.
        size: [m] Box (z, y, x), centred on the origin, that holds every filament.
        medium_index: Refractive index of the medium.
        steepness: Size of the components of the direction along z, relative to those in the plane.
    """
    rng, tubes = generator(seed), list[Tube]()
    for _ in range(count):
        r = min(float(rng.uniform(*radius)), min(size) / 2.5)
        length = float(rng.uniform(0.5, 1.2)) * max(size)
        path = winding_path(rng, length, float(rng.uniform(0.2, 2.0)), _POINTS, steepness)
        room = np.array(size) / 2 - r
        half = np.maximum(np.ptp(path, axis=0) / 2, 1e-12)
        path = (path - (path.max(axis=0) + path.min(axis=0)) / 2) * np.minimum(1, room / half)
        path = path + rng.uniform(-1, 1, 3) * np.maximum(room - half, 0)
        tubes.append(Tube.through(path, r, float(rng.uniform(*index))))
    return Specimen(tuple(tubes), medium_index)
