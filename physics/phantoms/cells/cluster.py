"""Simulated clusters of touching cells at different heights. Axes are ``z y x``."""

from typing import cast

import numpy as np
from jaxtyping import Float

from ...rotation import axis_rotation
from ..random import Seed, generator
from .body import Body
from .cell import CellOptics, CellShape, cell_specimen
from .specimen import Specimen


def cluster_specimen(
    seed: Seed,
    *,
    count: int = 4,
    radius: float = 2.5e-6,
    medium_index: float = 1.337,
    optics: CellOptics | None = None,
    shape: CellShape | None = None,
) -> Specimen:
    """Draw cells that touch or nearly do.

    Args:
        seed: Seed or random number generator.
        count: Number of cells.
        radius: [m] Mean lateral radius of the cells, which vary by up to 15 %.
        medium_index: Refractive index of the medium.
        optics: Refractive indices of the parts.
        shape: Sizes of the parts.
    """
    rng = generator(seed)
    cells: list[Specimen] = []
    for _ in range(count):
        cell = cell_specimen(
            rng, radius=radius * rng.uniform(0.85, 1.15), medium_index=medium_index, optics=optics, shape=shape
        )
        cell = cell.rotate(axis_rotation(1, rng.normal(0, 0.25)))
        cells.append(cell.translate(_draw_centre_beside(rng, cell, cells)))
    middle = np.mean([cell.bodies[0].centre for cell in cells], axis=0)
    bodies = tuple(body for cell in cells for body in cell.translate(-middle).bodies)
    return Specimen(bodies, medium_index)


def _draw_centre_beside(rng: np.random.Generator, cell: Specimen, others: list[Specimen]) -> Float[np.ndarray, " 3"]:
    """Draw the centre of a cell that touches another without overlap, as near to the first cell as possible."""
    if not others:
        return np.zeros(3)
    reach = _half_box(cell)
    positions = []
    for _ in range(60):
        neighbour = others[rng.integers(len(others))]
        angle = rng.uniform(0, 2 * np.pi)
        direction = np.array([rng.normal(0, 0.15), np.sin(angle), np.cos(angle)])
        position = neighbour.bodies[0].centre + (reach + _half_box(neighbour)) * direction / np.linalg.norm(direction)
        apart = [np.linalg.norm((position - o.bodies[0].centre) / (reach + _half_box(o))) for o in others]
        if min(apart) > 0.98:
            positions.append(position)
    if not positions:  # No room beside any of them: beyond them all.
        far = max(others, key=lambda o: float(o.bodies[0].centre[2]))
        positions = [far.bodies[0].centre + np.array([0.0, 0.0, (reach + _half_box(far))[2]])]
    return min(positions, key=lambda position: float(np.linalg.norm(position - others[0].bodies[0].centre)))


def _half_box(cell: Specimen) -> Float[np.ndarray, " 3"]:
    """Compute half the bounding box [m] of a cell without its ripples, within which neighbours may overlap."""
    body = cast(Body, cell.bodies[0])
    half: Float[np.ndarray, " 3"] = np.linalg.norm(np.linalg.inv(body.to_unit_ball), axis=1)
    return half
