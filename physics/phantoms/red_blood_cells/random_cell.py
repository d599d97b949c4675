"""Random red blood cells of twelve classes.

Those from stomatocyte to echinocyte are one family: a disc swollen towards a ball (`surfaces.Disc`), bent to a bowl,
with spicules. The ranges of swelling, bend, number, height and width of the spicules are those whose rotation-invariant
descriptors are nearest those of real cells. Bends and heights are lengths on a cell 7.7 ± 0.6 µm wide, which is then
scaled to its volume; widths are angles from its middle.

Volumes are 92 ± 10 fL, and those of knizocytes and multilobate cells larger, as measured. Axes are ``z y x`` in metres.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..random import Seed, generator, random_rotation
from .cell import CLASSES, RedCell, measure_cell
from .surfaces import CutSurface, Disc, Ellipsoid, ImplicitSurface, PlacedSurface, SpiculatedSurface, Union, disc_volume

AXIAL_STRETCH = 1.25
"""Elongation of real spherocytes along z in a stack."""
FIELD_OF_VIEW = 10.4e-6
"""[m] Field of view of real stacks, and largest size of a cell or cluster."""
_MICRON = 1e-6
_FEMTOLITRE = 1e-18
_VOLUME = (92.0, 10.0)
"""[fL] Mean and standard deviation."""
_RADIUS = (3.85, 0.3)
"""[µm] Mean and standard deviation of the radius of a flat cell."""

Range = tuple[float, float]


class UnknownClassError(ValueError):
    """Unknown class of red blood cells."""


@dataclass(frozen=True)
class Spicules:
    """Ranges of the number and size of spicules.

    Args:
        count: Smallest and largest number.
        height: [µm] Smallest and largest height.
        width: [rad] Smallest and largest width.
        evenly_spaced: Whether they keep a distance from one another.
        equal_heights: Whether the heights of one cell differ by at most a fifth.
    """

    count: tuple[int, int]
    height: Range
    width: Range = (0.16, 0.30)
    evenly_spaced: bool = True
    equal_heights: bool = True


@dataclass(frozen=True)
class DiscClass:
    """Ranges of the parameters of a class of discs, bowls or balls.

    Args:
        roundness: Smallest and largest roundness m.
        bend: [µm] Smallest and largest bend.
        spicules: Spicules; None for a smooth cell.
        radius: [µm] Smallest and largest radius; None where the volume sets it.
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
    "echinocyte_III": DiscClass((0.52, 0.65), spicules=Spicules((21, 49), (0.44, 1.2), equal_heights=False)),
    "acanthocyte": DiscClass(
        (0.1, 0.6), spicules=Spicules((3, 16), (0.4, 2.0), evenly_spaced=False, equal_heights=False)
    ),
}
"""Classes of discs, bowls and balls, with spicules or without."""


def random_cell(seed: Seed, label: str | None = None, *, stretch: float = AXIAL_STRETCH) -> RedCell:
    """Draw a red blood cell in a random orientation, its bounding box centred on the origin.

    Args:
        seed: Seed or random number generator; the same seed gives the same cell.
        label: Class, one of :data:`CLASSES`; None to draw it.
        stretch: Elongation along z in a stack; 1 for none.

    Raises:
        UnknownClassError: If there is no such class.
    """
    rng = generator(seed)
    label = CLASSES[rng.integers(len(CLASSES))] if label is None else label
    if label not in CLASSES:
        raise UnknownClassError(f"{label!r} is no class of red blood cells; there are {', '.join(CLASSES)}")
    for _ in range(_TRIES):
        turn = np.diag([stretch, 1.0, 1.0]) @ random_rotation(rng)
        body = _BODIES[label](rng) if label in _BODIES else _draw_disc(rng, label)
        size = measure_cell(PlacedSurface(body, turn, np.zeros(3)))
        if size.size.max() < FIELD_OF_VIEW:
            break
    fitting = min(1.0, FIELD_OF_VIEW / float(size.size.max()))
    return RedCell(label, PlacedSurface(body, fitting * turn, -fitting * size.middle))


_TRIES = 6
"""Draws for a cell that fits into the field of view; the last is shrunk to it."""


def _draw_disc(rng: np.random.Generator, label: str) -> ImplicitSurface:
    """Draw a disc, a bowl or a ball."""
    family = DISC_CLASSES[label]
    roundness = rng.uniform(*family.roundness)
    radius = rng.uniform(*family.radius) * _MICRON if family.radius is not None else rng.normal(*_RADIUS) * _MICRON
    disc = Disc(radius, roundness, rng.uniform(*family.bend) * _MICRON)
    body: ImplicitSurface = disc if family.spicules is None else _add_spicules(rng, disc, family.spicules)
    return body if family.radius is not None else _scale_to_volume(body, rng.normal(*_VOLUME))


def _add_spicules(rng: np.random.Generator, base: ImplicitSurface, spicules: Spicules) -> SpiculatedSurface:
    count = int(rng.integers(spicules.count[0], spicules.count[1] + 1))
    directions = spread_directions(rng, count) if spicules.evenly_spaced else _draw_directions(rng, count)
    if spicules.equal_heights:
        heights = np.clip(rng.uniform(*spicules.height) * rng.uniform(0.8, 1.2, count), *spicules.height)
    else:
        heights = rng.uniform(*spicules.height, count)
    return SpiculatedSurface(base, directions, heights * _MICRON, rng.uniform(*spicules.width, count))


def _draw_knizocyte(rng: np.random.Generator) -> ImplicitSurface:
    """Draw a saddle-shaped disc, with a ridge between two hollows, or a body with three dimples around it."""
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
    return _scale_to_volume(body, rng.normal(120.0, 12.0))


def _draw_keratocyte(rng: np.random.Generator) -> ImplicitSurface:
    """Draw a disc with a bite missing from its rim, which leaves two horns, or one with a tail."""
    disc = Disc(_draw_radius(rng, 88.0, m := rng.uniform(0.05, 0.3)), m, rng.uniform(0, 1.2) * _MICRON)
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


def _draw_multilobate(rng: np.random.Generator) -> ImplicitSurface:
    """Draw overlapping lobes around a middle."""
    count = int(rng.integers(2, 6))
    directions = spread_directions(rng, count)
    lobes = []
    for direction in directions:
        axes = rng.uniform(1.0, 1.9) * rng.uniform(0.8, 1.25, 3) * _MICRON
        away = rng.uniform(0.9, 1.7) * _MICRON * direction
        lobe = Ellipsoid((float(axes[0]), float(axes[1]), float(axes[2])))
        lobes.append(PlacedSurface(lobe, random_rotation(rng), away))
    return _scale_to_volume(Union(tuple(lobes), rng.uniform(0.3, 1.2) * _MICRON), rng.normal(140.0, 30.0))


def _draw_cluster(rng: np.random.Generator) -> ImplicitSurface:
    """Draw two or three cells that touch."""
    count = 2 if rng.random() < 0.8 else 3
    parts: list[PlacedSurface] = []
    for _ in range(count):
        cell = _draw_disc(rng, _NEIGHBOURS[rng.integers(len(_NEIGHBOURS))])
        parts.append(_move_to_contact(rng, PlacedSurface(cell, random_rotation(rng), np.zeros(3)), parts))
    middle = np.mean([part.centre for part in parts], axis=0)
    return Union(tuple(PlacedSurface(p.surface, p.matrix, p.centre - middle) for p in parts), 0.2 * _MICRON)


_NEIGHBOURS = ("discocyte", "discocyte", "stomatocyte_I", "echinocyte_I", "stomatocyte_II")
_BODIES: Mapping[str, Callable[[np.random.Generator], ImplicitSurface]] = {
    "knizocyte": _draw_knizocyte,
    "keratocyte": _draw_keratocyte,
    "multilobate_cell": _draw_multilobate,
    "cell_cluster": _draw_cluster,
}


def _move_to_contact(rng: np.random.Generator, cell: PlacedSurface, others: list[PlacedSurface]) -> PlacedSurface:
    """Move a cell towards the others' middle until it touches, from the direction that brings it nearest."""
    if not others:
        return cell
    crowd = Union(tuple(others))
    own = rng.uniform(-cell.bounding_radius, cell.bounding_radius, (1500, 3)).astype(np.float32)
    own = own[cell.level(own) < 0][:120]
    best, nearest = np.zeros(3), np.inf
    for direction in _draw_directions(rng, 6):
        near, far = 0.0, crowd.bounding_radius + cell.bounding_radius
        for _ in range(6):
            away = (near + far) / 2
            moved = own + (away * direction).astype(np.float32)
            overlaps = float(np.mean(crowd.level(moved) < 0)) > _OVERLAP
            near, far = (away, far) if overlaps else (near, away)
        if far < nearest:
            best, nearest = far * direction, far
    return PlacedSurface(cell.surface, cell.matrix, best)


_OVERLAP = 0.02
"""Largest fraction of a cell within its neighbour."""


def spread_directions(rng: np.random.Generator, count: int) -> Float[np.ndarray, "direction 3"]:
    """Draw separated directions: each is the candidate farthest from the others.

    Args:
        rng: Random number generator.
        count: Number of directions.
    """
    candidates = _draw_directions(rng, 8 * count)
    chosen = [candidates[0]]
    closest = candidates @ candidates[0]
    for _ in range(count - 1):
        chosen.append(candidates[int(np.argmin(closest))])
        closest = np.maximum(closest, candidates @ chosen[-1])
    return np.stack(chosen)


def _draw_directions(rng: np.random.Generator, count: int) -> Float[np.ndarray, "direction 3"]:
    """Draw uniformly random directions."""
    vectors = rng.normal(size=(count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _draw_radius(rng: np.random.Generator, volume: float, roundness: float) -> float:
    """Draw the radius [m] of a disc of about a volume [fL]."""
    drawn = volume * (1 + rng.normal(0, _VOLUME[1] / _VOLUME[0])) * _FEMTOLITRE
    return float((drawn / disc_volume(1.0, roundness)) ** (1 / 3))


def _scale_to_volume(surface: ImplicitSurface, volume: float) -> ImplicitSurface:
    """Scale a surface to a volume [fL]."""
    factor = (max(volume, 40.0) * _FEMTOLITRE / measure_cell(surface).volume) ** (1 / 3)
    return PlacedSurface(surface, factor * np.eye(3), np.zeros(3))
