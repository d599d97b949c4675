"""Random crystals and grids, for the training of networks and for tests of phase retrieval.

Vectors are (z, y, x) of the laboratory. The lattice is cubic, the reflection (111).
"""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float

from ..random import Seed, generator
from .crystal import Crystal
from .polyhedron import Polyhedron, Shape, ShapeError
from .shape import FLAWS, facet_normals, random_shape
from .strain import Dislocation, DisplacementField, Inclusion, Polynomial, Relaxation, StackingFault, Waves

STRAINS = ("polynomial", "waves", "relaxation", "inclusion", "screw", "edge")
"""Names of the displacement fields that can be drawn; a twin adds a stacking fault."""
GOLD_111 = 2 * np.pi * np.sqrt(3) / 4.0782e-10
"""[1/m] |G| of gold's (111)."""

_DISLOCATIONS = ("screw", "edge")
_FLAW_PROBABILITIES = (0.5, 0.25, 0.25, 0.2)
"""Probability of each of `FLAWS`, where they are drawn."""
_STRAIN_PROBABILITIES = (0.4, 0.5, 0.5, 0.15, 0.12, 0.12)
"""Probability of each of `STRAINS`, where they are drawn."""
_PROBES = 1500
"""Number of points inside the crystal at which the strength of a displacement field is measured."""
_SPAN_QUANTILES = (0.01, 0.99)
"""Quantiles between which the span of a field is measured; beyond them it depends on corners."""


def random_crystal(
    seed: Seed,
    *,
    radius: float = 120e-9,
    bragg_vector: Float[np.ndarray, " 3"] | None = None,
    phase: tuple[float, float] = (0.2, 3.0),
    strains: Collection[str] | None = None,
    flaws: Collection[str] | None = None,
) -> Crystal:
    """Draw a crystal.

    Args:
        seed: Seed or random number generator; the same seed gives the same crystal.
        radius: [m] Radius of the ball of equal volume.
        bragg_vector: [1/m] Bragg vector G; None for gold's (111) in a random direction.
        phase: [rad] Smallest and largest strength of each displacement field: half the span of its phase over 98 % of
            the crystal, without its ramp. The strength of dislocations is that of the lattice.
        strains: Displacement fields, of :data:`STRAINS`; None to draw them. If empty, the lattice is perfect but for
            the stacking fault of a twin.
        flaws: Flaws of the shape, of :data:`FLAWS`; empty for a convex crystal, None to draw them. A twin displaces the
            lattice beyond its plate by a stacking fault.

    Raises:
        ShapeError: If a strain or a flaw is not known, or the flaws leave (almost) nothing of the crystal.
    """
    rng = generator(seed)
    if bragg_vector is None:
        direction = rng.normal(size=3)
        bragg_vector = GOLD_111 * direction / np.linalg.norm(direction)
    strains = _select_or_draw(rng, strains, STRAINS, _STRAIN_PROBABILITIES, "strain")
    flaws = _select_or_draw(rng, flaws, FLAWS, _FLAW_PROBABILITIES, "flaw")
    rotation = random_lattice_rotation(rng, bragg_vector)
    shape = random_shape(rng, radius, rotation, flaws)
    smooth = [name for name in strains if name not in _DISLOCATIONS]
    fields = _draw_smooth_fields(rng, smooth, shape, radius, bragg_vector, phase)
    fields += [
        _draw_dislocation(rng, name, radius, bragg_vector, rotation) for name in strains if name in _DISLOCATIONS
    ]
    if "twin" in flaws:
        fields.append(_draw_fault(rng, shape.holes[-1], bragg_vector, rotation))
    return Crystal(shape, tuple(fields), bragg_vector)


def random_grid(
    seed: Seed,
    crystal: Crystal,
    shape: tuple[int, int, int],
    *,
    oversampling: tuple[float, float] = (2.0, 4.0),
    max_skew: float = 0.3,
) -> Float[np.ndarray, "3 3"]:
    """Draw the grid of a measurement, with a different oversampling along each axis and skewed axes.

    Args:
        seed: Seed or random number generator.
        crystal: Crystal to measure.
        shape: Shape of the array.
        oversampling: Smallest and largest ratio of the array's length to the crystal's width along an axis.
        max_skew: Largest component of each axis along each of the laboratory's other two, relative to that along its
            own; 0 for the laboratory's axes.

    Returns:
        [m] Rows: step of position along the array's axes.
    """
    rng = generator(seed)
    skewed = rng.uniform(-max_skew, max_skew, (3, 3)) if max_skew else np.zeros((3, 3))
    np.fill_diagonal(skewed, 1)
    directions = skewed / np.linalg.norm(skewed, axis=1, keepdims=True)
    widths = np.ptp(crystal.shape.body.vertices() @ np.linalg.inv(directions), axis=0)
    lengths = widths * rng.uniform(*oversampling, 3) / np.array(shape)
    steps: Float[np.ndarray, "3 3"] = lengths[:, None] * directions
    return steps


def random_lattice_rotation(
    rng: np.random.Generator, bragg_vector: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "3 3"]:
    """Draw a rotation that takes the lattice's [111] to G.

    Args:
        rng: Random number generator.
        bragg_vector: [1/m] Bragg vector G.
    """
    triads = []
    for axis in (np.ones(3), bragg_vector):
        first = axis / np.linalg.norm(axis)
        second = np.cross(first, rng.normal(size=3))
        second /= np.linalg.norm(second)
        triads.append(np.stack([first, second, np.cross(first, second)]))
    rotation: Float[np.ndarray, "3 3"] = triads[1].T @ triads[0]
    return rotation


def _select_or_draw(
    rng: np.random.Generator,
    names: Collection[str] | None,
    known: tuple[str, ...],
    probabilities: tuple[float, ...],
    category: str,
) -> list[str]:
    """Return the given names in the order of the known ones, or draw names; both advance the generator equally."""
    drawn = [name for name, probability in zip(known, probabilities, strict=True) if rng.random() < probability]
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise ShapeError(f"unknown {category} {unknown[0]!r}: there are {', '.join(known)}")
    return drawn if names is None else [name for name in known if name in names]


def _draw_probes(rng: np.random.Generator, shape: Shape) -> Float[np.ndarray, "point 3"]:
    """Draw points [m] uniformly within the crystal."""
    corners = shape.body.vertices()
    candidates = rng.uniform(corners.min(axis=0), corners.max(axis=0), (4 * _PROBES, 3))
    points: Float[np.ndarray, "point 3"] = candidates[shape.contains(candidates)][:_PROBES]
    if len(points) < 10:
        raise ShapeError("the flaws leave nothing of the crystal: draw it with another seed, or fewer flaws")
    return points


def _draw_smooth_fields(
    rng: np.random.Generator,
    names: list[str],
    shape: Shape,
    radius: float,
    bragg_vector: Float[np.ndarray, " 3"],
    phase: tuple[float, float],
) -> list[DisplacementField]:
    """Draw displacement fields without jumps, scaled to random strengths, and the field that levels their sum."""
    probes = _draw_probes(rng, shape)
    fields: list[DisplacementField] = []
    for name in names:
        field, strength = _draw_unscaled_field(rng, name, shape.body, radius), np.exp(rng.uniform(*np.log(phase)))
        level = _subtract_plane(field.along(probes, -bragg_vector), probes, radius)[0]
        low, high = np.quantile(level, _SPAN_QUANTILES)
        fields.append(field.scale(2 * float(strength) / float(high - low)))
    return [*fields, _levelling_field(fields, probes, bragg_vector, radius)]


def _draw_unscaled_field(rng: np.random.Generator, name: str, body: Polyhedron, radius: float) -> DisplacementField:
    """Draw a displacement field of arbitrary strength."""
    if name == "polynomial":
        return Polynomial.random(rng, radius)
    if name == "waves":
        return Waves.random(rng, rng.uniform(0.25, 0.9) * radius)
    if name == "relaxation":
        amplitudes = rng.normal(1, 0.6, len(body.offsets))
        return Relaxation(body.normals, body.offsets, amplitudes, rng.uniform(0.1, 0.4) * radius)
    direction = rng.normal(size=3)
    centre = rng.uniform(0, 0.6) * radius * direction / np.linalg.norm(direction)
    return Inclusion(centre, rng.uniform(0.2, 0.4) * radius, float(rng.choice([-1, 1])))


def _subtract_plane(
    values: Float[np.ndarray, " point"], points: Float[np.ndarray, "point 3"], length: float
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " 4"]]:
    """Subtract the least-squares plane from values; return also its slopes per length and its offset."""
    columns = np.column_stack([points / length, np.ones(len(points))])
    plane = np.linalg.lstsq(columns, values, rcond=None)[0]
    residual: Float[np.ndarray, " point"] = values - columns @ plane
    return residual, plane


def _levelling_field(
    fields: list[DisplacementField],
    probes: Float[np.ndarray, "point 3"],
    bragg_vector: Float[np.ndarray, " 3"],
    radius: float,
) -> Polynomial:
    """Compute the linear field that cancels the least-squares plane of the sum of others, along G.

    It centres the Bragg peak. Dislocations and stacking faults are added afterwards and may still move the peak.
    """
    direction = bragg_vector / np.linalg.norm(bragg_vector)
    total = sum((field.along(probes, direction) for field in fields), np.zeros(len(probes)))
    plane = _subtract_plane(total, probes, radius)[1]
    powers = np.vstack([np.eye(3, dtype=int), np.zeros((1, 3), int)])
    return Polynomial(powers, -plane[:, None] * direction, radius)


def _draw_dislocation(
    rng: np.random.Generator,
    name: str,
    radius: float,
    bragg_vector: Float[np.ndarray, " 3"],
    rotation: Float[np.ndarray, "3 3"],
) -> Dislocation:
    """Draw a perfect dislocation a/2⟨110⟩ that is visible in this reflection, in a {111} slip plane."""
    lattice_constant = 2 * np.pi * np.sqrt(3) / np.linalg.norm(bragg_vector)
    burgers = rng.permutation([b for b in facet_normals((1, 1, 0)) if abs(b.sum()) > 1])[0]
    plane = rng.permutation([n for n in facet_normals((1, 1, 1)) if abs(n @ burgers) < 0.1])[0]
    line = burgers if name == "screw" else np.cross(plane, burgers)
    direction = rng.normal(size=3)
    point = rng.uniform(0, 0.5) * radius * direction / np.linalg.norm(direction)
    burgers_vector = lattice_constant / np.sqrt(2) * (rotation @ burgers)
    return Dislocation(point, rotation @ line, burgers_vector, core=lattice_constant)


def _draw_fault(
    rng: np.random.Generator,
    plate: Polyhedron,
    bragg_vector: Float[np.ndarray, " 3"],
    rotation: Float[np.ndarray, "3 3"],
) -> StackingFault:
    """Draw the shift of the lattice beyond a twin's plate, by a partial a/6⟨112⟩: a phase of 0 or ±2π/3, modulo 2π."""
    lattice_constant = 2 * np.pi * np.sqrt(3) / np.linalg.norm(bragg_vector)
    normal, offset = plate.normals[0], float(plate.offsets[0])
    partials = facet_normals((1, 1, 2)) @ rotation.T
    step = rng.permutation([s for s in partials if abs(s @ normal) < 0.1])[0]
    return StackingFault(normal, offset, lattice_constant / np.sqrt(6) * step)
