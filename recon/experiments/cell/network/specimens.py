"""Simulated specimens of every sort, as large as a box of the training suggests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from .....physics.phantoms.cells import (
    CellShape,
    Specimen,
    bacteria_specimen,
    bead_specimen,
    cell_specimen,
    cluster_specimen,
    diatom_specimen,
    filament_specimen,
    random_rotation,
    tissue_specimen,
)
from .....physics.rotation import axis_rotation
from ..config_simulation import Sort

_TUMBLED = 0.4
"""Share of the specimens that are turned in space at random; the others lie flat."""
_ASTRAY = 0.35
"""Share of the specimens that are moved far off the middle, out of the field in part."""

_CLEAR = 0.4
"""Share of the bodies of an absorbing specimen that are transparent."""
_ABSORPTION = (0.01, 0.25)
"""Largest imaginary index of an absorbing specimen, over its largest contrast."""


@dataclass(frozen=True)
class Box:
    """Box of a training's field.

    Args:
        depth: [m] Depth along z.
        width: [m] Width along y and x.
        detail: [m] Finest lateral detail that the instrument transfers.
    """

    depth: float
    width: float
    detail: float

    @property
    def size(self) -> tuple[float, float, float]:
        """[m] Size (z, y, x) of the part that specimens of many bodies fill."""
        return 0.8 * self.depth, self.width, self.width


def draw_specimen(rng: np.random.Generator, sort: Sort, box: Box) -> Specimen:
    """Draw a specimen in a pose and a place; its middle is in the box, parts of it may be outside."""
    specimen = _SPECIMENS[sort](rng, box)
    turn = random_rotation(rng) if rng.random() < _TUMBLED else axis_rotation(0, float(rng.uniform(0, 2 * np.pi)))
    specimen = specimen.rotate(turn)
    room = np.maximum(np.array([box.depth, box.width, box.width]) - specimen.extent, 0) / 2
    if rng.random() < _ASTRAY:
        room = np.maximum(room, [0, 0.4 * box.width, 0.4 * box.width])
    return specimen.translate(room * rng.uniform(-1, 1, 3))


def draw_absorption(rng: np.random.Generator, specimen: Specimen) -> Specimen:
    """Give some bodies of a specimen an imaginary index."""
    contrast = max(abs(body.index - specimen.medium_index) for body in specimen.bodies)
    largest = contrast * _log_uniform(rng, *_ABSORPTION)
    drawn = rng.uniform(0.2, 1.0, len(specimen.bodies)) * (rng.random(len(specimen.bodies)) >= _CLEAR)
    bodies = zip(specimen.bodies, drawn, strict=True)
    return replace(specimen, bodies=tuple(replace(body, absorption=largest * float(one)) for body, one in bodies))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(max(high, low)))))


def _radius(rng: np.random.Generator, box: Box, low: float, high: float) -> float:
    """[m] Draw a radius as a part of the box's width or depth, at least a detail."""
    largest = min(high * box.width, 0.45 * box.depth)
    return max(_log_uniform(rng, low * box.width, largest), box.detail)


def _cell(rng: np.random.Generator, box: Box) -> Specimen:
    shape = CellShape(
        flattening=float(rng.uniform(0.4, 1.0)),
        irregularity=float(rng.uniform(0.0, 0.06)),
        nucleus=float(rng.uniform(0.3, 0.55)),
        mitochondria=int(rng.integers(0, 15)),
        droplets=int(rng.integers(0, 11)),
    )
    return cell_specimen(rng, radius=_radius(rng, box, 0.15, 0.45), shape=shape)


def _cluster(rng: np.random.Generator, box: Box) -> Specimen:
    shape = CellShape(flattening=float(rng.uniform(0.5, 1.0)), mitochondria=4, droplets=4)
    count = int(rng.integers(2, 6))
    return cluster_specimen(rng, count=count, radius=_radius(rng, box, 0.08, 0.22), shape=shape)


def _beads(rng: np.random.Generator, box: Box) -> Specimen:
    largest = min(_log_uniform(rng, 0.6 * box.detail, 5 * box.detail), 0.4 * box.depth)
    index = (1.345, 1.385) if rng.random() < 0.7 else (1.30, 1.38)  # Of both signs.
    return bead_specimen(
        rng, count=int(rng.integers(1, 12)), radius=(0.5 * largest, largest), index=index, size=box.size
    )


def _filaments(rng: np.random.Generator, box: Box) -> Specimen:
    largest = _log_uniform(rng, 0.6 * box.detail, 3.5 * box.detail)
    return filament_specimen(
        rng,
        count=int(rng.integers(1, 7)),
        radius=(0.6 * largest, largest),
        size=box.size,
        steepness=float(rng.uniform(0, 1)),
    )


def _bacteria(rng: np.random.Generator, box: Box) -> Specimen:
    radius = _log_uniform(rng, 0.7 * box.detail, 2 * box.detail)
    return bacteria_specimen(rng, count=int(rng.integers(1, 9)), radius=radius, size=box.size)


def _diatom(rng: np.random.Generator, box: Box) -> Specimen:
    radius = max(_radius(rng, box, 0.15, 0.45), 4 * box.detail)
    thinnest = max(0.05, 0.8 * box.detail / radius)
    return diatom_specimen(rng, radius=radius, wall=(thinnest, 1.6 * thinnest))


def _tissue(rng: np.random.Generator, box: Box) -> Specimen:
    width = float(rng.uniform(0.6, 1.5)) * box.width
    return tissue_specimen(
        rng,
        size=(0.9 * box.depth, width, width),
        radius=_radius(rng, box, 0.09, 0.2),
        fibres=int(rng.integers(0, 6)),
        sheets=int(rng.integers(0, 2)),
    )


_SPECIMENS: Mapping[Sort, Callable[[np.random.Generator, Box], Specimen]] = {
    "cell": _cell,
    "cluster": _cluster,
    "beads": _beads,
    "filaments": _filaments,
    "bacteria": _bacteria,
    "diatom": _diatom,
    "tissue": _tissue,
}
