"""Simulated tissue: packed cells with nuclei, fibres between them, and sheets. Axes are ``z y x``."""

import numpy as np
from jaxtyping import Float

from ...rotation import axis_rotation
from ..random import Seed, generator, random_rotation
from .body import Body, Ripple
from .implicit import ImplicitBody
from .specimen import Specimen
from .tube import Tube, winding_path
from .walls import Sheet


def tissue_specimen(
    seed: Seed,
    *,
    size: tuple[float, float, float] = (8e-6, 14e-6, 14e-6),
    radius: float = 2.2e-6,
    medium_index: float = 1.337,
    index: tuple[float, float] = (1.350, 1.375),
    fibres: int = 4,
    sheets: int = 1,
) -> Specimen:
    """Draw a piece of tissue.

    Args:
        seed: Seed or random number generator.
        size: [m] Box (z, y, x), centred on the origin, that the piece fills.
        radius: [m] Mean radius of the cells.
        medium_index: Refractive index of the medium.
        index: Smallest and largest refractive index of the cells.
        fibres: Number of fibres.
        sheets: Number of sheets.
    """
    rng = generator(seed)
    bodies: list[Body | ImplicitBody] = [_sheet(rng, size, index) for _ in range(sheets)]
    for _ in range(fibres):
        path = winding_path(rng, 1.2 * max(size[1:]), float(rng.uniform(0.2, 1.0)), 12, 0.2)
        path = path + rng.uniform(-0.4, 0.4, 3) * np.array(size)
        limit = np.array(size) / 2
        bodies.append(Tube.through(np.clip(path, -limit, limit), 0.12 * radius, float(rng.uniform(1.38, 1.42))))
    for centre in _packed(rng, size, radius):
        bodies += _cell(rng, centre, radius, float(rng.uniform(*index)))
    return Specimen(tuple(bodies), medium_index)


def _packed(rng: np.random.Generator, size: tuple[float, float, float], radius: float) -> list[Float[np.ndarray, " 3"]]:
    """Draw the middles of cells on a jittered lattice of hexagonal layers that fills the box."""
    steps = np.array([1.65, 1.75, 2.0]) * radius
    counts = [max(1, int((extent - 2 * radius) // step) + 1) for extent, step in zip(size, steps, strict=True)]
    middles = []
    for k, j, i in np.ndindex(*counts):
        lattice = np.array([k, j, i + 0.5 * (j % 2)]) - (np.array(counts) - 1) / 2
        middle = lattice * steps + rng.normal(0, 0.08 * radius, 3)
        if rng.random() < 0.9 and np.all(np.abs(middle) + 0.9 * radius < np.array(size) / 2):
            middles.append(middle)
    return middles


def _cell(rng: np.random.Generator, centre: Float[np.ndarray, " 3"], radius: float, index: float) -> list[Body]:
    """Draw a cell with its nucleus."""
    semi_axes = radius * rng.uniform(0.75, 1.0, 3)
    body = Body(centre, semi_axes, index, orientation=random_rotation(rng), ripple=Ripple.random(rng, 0.04, 3))
    nucleus = Body(
        centre + rng.uniform(-0.2, 0.2, 3) * radius,
        0.4 * semi_axes,
        index + float(rng.uniform(-0.008, 0.012)),
        orientation=body.orientation,
    )
    return [body, nucleus]


def _sheet(rng: np.random.Generator, size: tuple[float, float, float], index: tuple[float, float]) -> Sheet:
    """Draw a wavy sheet across the box, tilted a little."""
    waves = int(rng.integers(1, 4))
    half_width = (0.42 * size[1], 0.42 * size[2])
    return Sheet(
        np.array([rng.uniform(-0.25, 0.25) * size[0], 0.0, 0.0]),
        float(rng.uniform(*index)),
        orientation=axis_rotation(1, rng.normal(0, 0.08)) @ axis_rotation(2, rng.normal(0, 0.08)),
        half_width=half_width,
        thickness=size[0] * float(rng.uniform(0.05, 0.12)),
        amplitudes=size[0] * rng.uniform(0.01, 0.05, waves),
        frequencies=rng.normal(0, 3, (waves, 2)) / half_width,
        phases=rng.uniform(0, 2 * np.pi, waves),
    )
