"""Simulated clusters: several cells side by side, some above others. Axes ``z y x``."""

import numpy as np
from jaxtyping import Float

from ...rotation import axis_rotation
from ..random import Seed, generator
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
        seed: Seed, or source of randomness.
        count: How many cells.
        radius: [m] Mean lateral radius of a cell; each differs by up to 15 %.
        medium_index: Refractive index of the medium.
        optics: Indices of a cell's parts.
        shape: Sizes of a cell's parts.
    """
    rng = generator(seed)
    cells: list[Specimen] = []
    for _ in range(count):
        cell = cell_specimen(
            rng, radius=radius * rng.uniform(0.85, 1.15), medium_index=medium_index, optics=optics, shape=shape
        )
        cell = cell.rotate(axis_rotation(1, rng.normal(0, 0.25)))
        cells.append(cell.translate(_beside(rng, cell, cells)))
    middle = np.mean([cell.bodies[0].centre for cell in cells], axis=0)
    bodies = tuple(body for cell in cells for body in cell.translate(-middle).bodies)
    return Specimen(bodies, medium_index)


def _beside(rng: np.random.Generator, cell: Specimen, others: list[Specimen]) -> Float[np.ndarray, " 3"]:
    """Find where a cell stands against one of the others without running into any, as near to the first as it can."""
    if not others:
        return np.zeros(3)
    reach = _half_box(cell)
    places = []
    for _ in range(60):
        neighbour = others[rng.integers(len(others))]
        angle = rng.uniform(0, 2 * np.pi)
        direction = np.array([rng.normal(0, 0.15), np.sin(angle), np.cos(angle)])
        place = neighbour.bodies[0].centre + (reach + _half_box(neighbour)) * direction / np.linalg.norm(direction)
        apart = [np.linalg.norm((place - o.bodies[0].centre) / (reach + _half_box(o))) for o in others]
        if min(apart) > 0.98:
            places.append(place)
    if not places:  # Every neighbour is walled in: stand beyond them all.
        far = max(others, key=lambda o: float(o.bodies[0].centre[2]))
        places = [far.bodies[0].centre + np.array([0.0, 0.0, (reach + _half_box(far))[2]])]
    return min(places, key=lambda place: float(np.linalg.norm(place - others[0].bodies[0].centre)))


def _half_box(cell: Specimen) -> Float[np.ndarray, " 3"]:
    """[m] Half the box of the cell without its ripples: neighbours press against each other."""
    body = cell.bodies[0]
    half: Float[np.ndarray, " 3"] = np.linalg.norm(np.linalg.inv(body.to_unit_ball), axis=1)
    return half
