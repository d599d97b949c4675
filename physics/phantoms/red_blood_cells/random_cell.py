"""Red blood cells drawn at random, of twelve classes.

Those from stomatocyte to echinocyte are one family: a disc swollen towards a ball (`surfaces.Disc`), bent to a bowl,
with spicules. The ranges of swelling, bend, number, height and width of the spicules are those whose rotation-invariant
descriptors are nearest those of real cells. Bends and heights are lengths on a cell 7.7 ± 0.6 µm wide, which is then
brought to its volume with all that it has; widths are angles from its middle.

Volumes are 92 ± 10 fL, of knizocytes and multilobate cells more, as they are measured. Axes are ``z y x`` in metres.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..random import Seed, generator, random_rotation
from .cell import CLASSES, RedCell, measure_cell
from .surfaces import CutSurface, Disc, Ellipsoid, ImplicitSurface, PlacedSurface, SpiculatedSurface, Union, disc_volume

AXIAL_STRETCH = 1.25
"""By so much real spherocytes are longer along z."""
FIELD_OF_VIEW = 10.4e-6
"""[m] No cell or cluster is wider: the field of view of real stacks."""
_MICRON = 1e-6
_FEMTOLITRE = 1e-18
_VOLUME = (92.0, 10.0)
"""[fL] Mean and standard deviation."""
_RADIUS = (3.85, 0.3)
"""[µm] Mean and standard deviation of a flat cell's."""

Range = tuple[float, float]


class UnknownClassError(ValueError):
    """A class of cells that there is not."""


@dataclass(frozen=True)
class Spicules:
    """How many spicules, and how large.

    Args:
        count: Fewest and most.
        height: [µm] Smallest and largest.
        width: [rad] Likewise.
        even: Whether they keep their distance from one another.
        alike: Whether those of one cell are of one height, but for a fifth.
    """

    count: tuple[int, int]
    height: Range
    width: Range = (0.16, 0.30)
    even: bool = True
    alike: bool = True


@dataclass(frozen=True)
class DiscClass:
    """A class of the family.

    Args:
        roundness: Smallest and largest m.
        bend: [µm] Likewise.
        spicules: None for a smooth cell.
        radius: [µm] Likewise; None where the volume sets it.
    """

    roundness: Range
    bend: Range = (0.0, 0.0)
    spicules: Spicules | None = None
    radius: Range | None = None


DISC_CLASSES: Mapping[str, DiscClass] = {
    "spherocyte": DiscClass((0.9, 1.0), radius=(2.6, 3.2)),
    "stomatocyte_II": DiscClass((0.33, 0.49), bend=(2.0, 2.8)),
    "stomatocyte_I": DiscClass((0.08, 0.39), bend=(1.1, 2.1)),
    "discocyte": DiscClass((0.05, 0.17), bend=(0.0, 0.4)),
    "echinocyte_I": DiscClass((0.04, 0.22), spicules=Spicules((4, 17), (0.43, 0.72))),
    "echinocyte_II": DiscClass((0.21, 0.27), spicules=Spicules((15, 33), (0.42, 0.85))),
    "echinocyte_III": DiscClass((0.52, 0.65), spicules=Spicules((21, 49), (0.44, 1.2), alike=False)),
    "acanthocyte": DiscClass((0.1, 0.6), spicules=Spicules((3, 16), (0.4, 2.0), even=False, alike=False)),
}
"""The classes that are a disc, a bowl or a ball, with spicules or without."""


def random_cell(seed: Seed, label: str | None = None, *, stretch: float = AXIAL_STRETCH) -> RedCell:
    """Draw a red blood cell, turned at random, its box around the origin.

    Args:
        seed: Seed, or source of randomness; the same seed gives the same cell.
        label: One of :data:`CLASSES`; None to draw it.
        stretch: By so much the stack shows it longer along z; 1 for the cell as it is.

    Raises:
        UnknownClass: If there is no such class.
    """
    rng = generator(seed)
    label = CLASSES[rng.integers(len(CLASSES))] if label is None else label
    if label not in CLASSES:
        raise UnknownClassError(f"{label!r} is no class of red blood cells; there are {', '.join(CLASSES)}")
    for _ in range(_TRIES):
        turn = np.diag([stretch, 1.0, 1.0]) @ random_rotation(rng)
        body = _BODIES[label](rng) if label in _BODIES else _of_family(rng, label)
        found = measure_cell(PlacedSurface(body, turn, np.zeros(3)))
        if found.size.max() < FIELD_OF_VIEW:
            break
    fitting = min(1.0, FIELD_OF_VIEW / float(found.size.max()))
    return RedCell(label, PlacedSurface(body, fitting * turn, -fitting * found.middle))


_TRIES = 6
"""Cells too wide for the field of view are drawn anew so many times; the last is shrunk to it."""


def _of_family(rng: np.random.Generator, label: str) -> ImplicitSurface:
    """Draw a disc, a bowl or a ball."""
    family = DISC_CLASSES[label]
    roundness = rng.uniform(*family.roundness)
    radius = rng.uniform(*family.radius) * _MICRON if family.radius is not None else rng.normal(*_RADIUS) * _MICRON
    disc = Disc(radius, roundness, rng.uniform(*family.bend) * _MICRON)
    body: ImplicitSurface = disc if family.spicules is None else _spiny(rng, disc, family.spicules)
    return body if family.radius is not None else _sized(body, rng.normal(*_VOLUME))


def _spiny(rng: np.random.Generator, base: ImplicitSurface, spicules: Spicules) -> SpiculatedSurface:
    count = int(rng.integers(spicules.count[0], spicules.count[1] + 1))
    directions = spread_directions(rng, count) if spicules.even else _directions(rng, count)
    if spicules.alike:
        heights = np.clip(rng.uniform(*spicules.height) * rng.uniform(0.8, 1.2, count), *spicules.height)
    else:
        heights = rng.uniform(*spicules.height, count)
    return SpiculatedSurface(base, directions, heights * _MICRON, rng.uniform(*spicules.width, count))


def _knizocyte(rng: np.random.Generator) -> ImplicitSurface:
    """A pinched disc, whose saddle leaves a ridge between two hollows; or a body with three dimples around it."""
    body: ImplicitSurface
    if rng.random() < 0.2:
        radius, roundness = rng.normal(*_RADIUS) * _MICRON, rng.uniform(0.1, 0.35)
        body = Disc(radius, roundness, rng.uniform(0.0, 0.8) * _MICRON, rng.uniform(0.6, 1.4) * _MICRON)
    else:
        around = 2 * np.pi * np.arange(3) / 3 + rng.normal(0, 0.15, 3)
        directions = np.stack([rng.normal(0, 0.1, 3), np.sin(around), np.cos(around)], axis=1)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        long, wide = rng.uniform(2.8, 4.0), rng.uniform(3.3, 3.9)
        ball = Ellipsoid((long * _MICRON, wide * _MICRON, wide * _MICRON))
        body = SpiculatedSurface(ball, directions, -rng.uniform(2.0, 3.0, 3) * _MICRON, rng.uniform(0.7, 1.0, 3))
    return _sized(body, rng.normal(120.0, 12.0))


def _keratocyte(rng: np.random.Generator) -> ImplicitSurface:
    """A disc from whose rim a bite is missing, which leaves two horns; or one with a tail."""
    disc = Disc(_radius_of(rng, 88.0, m := rng.uniform(0.05, 0.3)), m, rng.uniform(0, 1.2) * _MICRON)
    radius = disc.radius
    if rng.random() < 0.65:
        bite = rng.uniform(0.35, 0.9) * radius
        tilt = np.array([rng.normal(0, 0.2), 0.0, 1.0])
        place = tilt / np.linalg.norm(tilt) * (radius + bite * rng.uniform(-0.2, 0.55))
        return CutSurface(disc, PlacedSurface(Ellipsoid((bite, bite, bite)), np.eye(3), place), 0.3 * _MICRON)
    length, thick = rng.uniform(1.2, 2.6) * _MICRON, rng.uniform(0.45, 0.8) * _MICRON
    tail = Ellipsoid((thick, thick, length))
    place = np.array([disc.bend / 2, 0.0, radius + length * rng.uniform(0.0, 0.5)])
    return Union((disc, PlacedSurface(tail, np.eye(3), place)), 0.9 * _MICRON)


def _multilobate(rng: np.random.Generator) -> ImplicitSurface:
    """Lobes around a middle, grown together."""
    count = int(rng.integers(2, 6))
    directions = spread_directions(rng, count)
    lobes = []
    for direction in directions:
        axes = rng.uniform(1.0, 1.9) * rng.uniform(0.8, 1.25, 3) * _MICRON
        away = rng.uniform(0.9, 1.7) * _MICRON * direction
        lobe = Ellipsoid((float(axes[0]), float(axes[1]), float(axes[2])))
        lobes.append(PlacedSurface(lobe, random_rotation(rng), away))
    return _sized(Union(tuple(lobes), rng.uniform(0.3, 1.2) * _MICRON), rng.normal(140.0, 30.0))


def _cluster(rng: np.random.Generator) -> ImplicitSurface:
    """Two or three cells that touch."""
    count = 2 if rng.random() < 0.8 else 3
    parts: list[PlacedSurface] = []
    for _ in range(count):
        cell = _of_family(rng, _NEIGHBOURS[rng.integers(len(_NEIGHBOURS))])
        parts.append(_beside(rng, PlacedSurface(cell, random_rotation(rng), np.zeros(3)), parts))
    middle = np.mean([part.centre for part in parts], axis=0)
    return Union(tuple(PlacedSurface(p.surface, p.matrix, p.centre - middle) for p in parts), 0.2 * _MICRON)


_NEIGHBOURS = ("discocyte", "discocyte", "stomatocyte_I", "echinocyte_I", "stomatocyte_II")
_BODIES: Mapping[str, Callable[[np.random.Generator], ImplicitSurface]] = {
    "knizocyte": _knizocyte,
    "keratocyte": _keratocyte,
    "multilobate_cell": _multilobate,
    "cell_cluster": _cluster,
}


def _beside(rng: np.random.Generator, cell: PlacedSurface, others: list[PlacedSurface]) -> PlacedSurface:
    """Push a cell towards the others' middle until it touches, from the direction that brings it nearest."""
    if not others:
        return cell
    crowd = Union(tuple(others))
    own = rng.uniform(-cell.bounding_radius, cell.bounding_radius, (1500, 3)).astype(np.float32)
    own = own[cell.level(own) < 0][:120]
    best, nearest = np.zeros(3), np.inf
    for direction in _directions(rng, 6):
        near, far = 0.0, crowd.bounding_radius + cell.bounding_radius
        for _ in range(6):
            away = (near + far) / 2
            moved = own + (away * direction).astype(np.float32)
            overlaps = float(np.mean(crowd.level(moved) < 0)) > _PRESSED
            near, far = (away, far) if overlaps else (near, away)
        if far < nearest:
            best, nearest = far * direction, far
    return PlacedSurface(cell.surface, cell.matrix, best)


_PRESSED = 0.02
"""Share of a cell that may lie within its neighbour."""


def spread_directions(rng: np.random.Generator, count: int) -> Float[np.ndarray, "direction 3"]:
    """Draw directions that keep their distance: each is the farthest from the others of some that are drawn.

    Args:
        rng: Source of randomness.
        count: How many.
    """
    candidates = _directions(rng, 8 * count)
    chosen = [candidates[0]]
    closest = candidates @ candidates[0]
    for _ in range(count - 1):
        chosen.append(candidates[int(np.argmin(closest))])
        closest = np.maximum(closest, candidates @ chosen[-1])
    return np.stack(chosen)


def _directions(rng: np.random.Generator, count: int) -> Float[np.ndarray, "direction 3"]:
    """Draw directions, all being equally likely."""
    vectors = rng.normal(size=(count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _radius_of(rng: np.random.Generator, volume: float, roundness: float) -> float:
    """[m] Radius of a disc of about a volume [fL]."""
    drawn = volume * (1 + rng.normal(0, _VOLUME[1] / _VOLUME[0])) * _FEMTOLITRE
    return float((drawn / disc_volume(1.0, roundness)) ** (1 / 3))


def _sized(surface: ImplicitSurface, volume: float) -> ImplicitSurface:
    """Give a surface a volume [fL]."""
    factor = (max(volume, 40.0) * _FEMTOLITRE / measure_cell(surface).volume) ** (1 / 3)
    return PlacedSurface(surface, factor * np.eye(3), np.zeros(3))
