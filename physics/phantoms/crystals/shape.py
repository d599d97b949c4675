"""Shapes of simulated crystals: facets of a cubic lattice, with the flaws that real crystals have.

The facets are those that face-centred metals show, {111}, {100}, {110} and {210}, at distances around Wulff's with
their surface energies (Vitos et al., Surf. Sci. 411, 186 (1998)), each moved at random as growth moves it. Vectors are
(z, y, x); radii are those of the ball of equal volume.
"""

from collections.abc import Collection
from itertools import permutations, product

import numpy as np
from jaxtyping import Float

from ..random import random_rotation
from .polyhedron import Polyhedron, Shape

FLAWS = ("substrate", "notch", "void", "twin")
"""What may be wrong with a crystal: cut by the substrate, notched, hollow, with a plate of a twin in it."""

_DISTANCES = {(1, 1, 1): (1.0, 1.0), (1, 0, 0): (1.0, 1.25), (1, 1, 0): (1.02, 1.22), (2, 1, 0): (1.05, 1.2)}
"""Smallest and largest distance of a family's facets, relative to {111}."""
_SHARES = {(1, 1, 1): 1.0, (1, 0, 0): 0.85, (1, 1, 0): 0.6, (2, 1, 0): 0.35}
"""How often a crystal has facets of a family."""
_SOME = 14
"""Facets of {210} that a crystal has at most."""


def facet_normals(indices: tuple[int, int, int]) -> Float[np.ndarray, "facet 3"]:
    """Unit normals of all facets of a family {hkl} of a cubic lattice.

    Args:
        indices: Miller's indices of one of them.
    """
    signed = [np.array(p) * s for p in permutations(indices) for s in product((-1, 1), repeat=3)]
    normals: Float[np.ndarray, "facet 3"] = np.unique(signed, axis=0) / np.linalg.norm(indices)
    return normals


def random_polyhedron(
    rng: np.random.Generator, radius: float, jitter: float, indices: Collection[tuple[int, int, int]]
) -> Polyhedron:
    """Draw a convex crystal around the origin, its lattice along the axes.

    Args:
        rng: Source of randomness.
        radius: [m] Of the ball of equal volume.
        jitter: Each facet's distance differs by up to this share.
        indices: Families of facets.
    """
    normals, offsets = [], []
    for name in indices:
        facets = facet_normals(name)
        if len(facets) > _SOME:
            facets = rng.permutation(facets)[: rng.integers(4, _SOME + 1)]
        normals.append(facets)
        offsets.append(rng.uniform(*_DISTANCES[name]) * (1 + jitter * rng.uniform(-1, 1, len(facets))))
    return set_volume(Polyhedron(np.concatenate(normals), np.concatenate(offsets)), radius)


def set_volume(body: Polyhedron, radius: float) -> Polyhedron:
    """Move a body's middle to the origin and give it the volume of a ball.

    Args:
        body: Around the origin.
        radius: [m] Of the ball.
    """
    corners = body.vertices()
    body = body.translate(-(corners.min(axis=0) + corners.max(axis=0)) / 2)
    return body.scale(radius / (3 * body.volume() / (4 * np.pi)) ** (1 / 3))


def random_shape(
    rng: np.random.Generator,
    radius: float,
    rotation: Float[np.ndarray, "3 3"],
    flaws: Collection[str] = (),
) -> Shape:
    """Draw a crystal's shape.

    Args:
        rng: Source of randomness.
        radius: [m] Of the ball of equal volume, before anything is taken out.
        rotation: Turns the lattice's axes into the laboratory's (z, y, x).
        flaws: Those of :data:`FLAWS` that it has; a twin's plate is the last of the holes.
    """
    indices = [name for name, share in _SHARES.items() if rng.random() < share]
    body = random_polyhedron(rng, radius, rng.uniform(0.15, 0.25), indices).rotate(rotation)
    if "substrate" in flaws:
        body = set_volume(body.add_facet(_direction(rng), rng.uniform(0.2, 0.8) * radius), radius)
    holes = []
    if "notch" in flaws:
        holes.append(random_notch(rng, radius))
    if "void" in flaws:
        holes.append(random_void(rng, radius, rotation))
    if "twin" in flaws:
        holes.append(random_twin_plate(rng, radius, rotation))
    return Shape(body, tuple(holes))


def random_notch(rng: np.random.Generator, radius: float) -> Polyhedron:
    """Draw a wedge that opens outward, its edge inside the crystal.

    Args:
        rng: Source of randomness.
        radius: [m] Of the crystal.
    """
    outward, half_opening = _direction(rng), rng.uniform(0.15, 0.6)
    sideways = np.cross(outward, _direction(rng))
    sideways /= np.linalg.norm(sideways)
    normals = np.stack([s * np.cos(half_opening) * sideways - np.sin(half_opening) * outward for s in (-1, 1)])
    return Polyhedron(normals, np.zeros(2)).translate(rng.uniform(0.3, 0.8) * radius * outward)


def random_void(rng: np.random.Generator, radius: float, rotation: Float[np.ndarray, "3 3"]) -> Polyhedron:
    """Draw a cavity; like the crystal, it has the lattice's facets.

    Args:
        rng: Source of randomness.
        radius: [m] Of the crystal.
        rotation: Of its lattice.
    """
    cavity = random_polyhedron(rng, rng.uniform(0.12, 0.3) * radius, 0.2, [(1, 1, 1), (1, 0, 0)])
    return cavity.rotate(rotation).translate(rng.uniform(0, 0.5) * radius * _direction(rng))


def random_twin_plate(rng: np.random.Generator, radius: float, rotation: Float[np.ndarray, "3 3"]) -> Polyhedron:
    """Draw a plate between two {111} planes: a twin's lattice scatters to another peak.

    Args:
        rng: Source of randomness.
        radius: [m] Of the crystal.
        rotation: Of its lattice.
    """
    normal = rng.permutation(facet_normals((1, 1, 1)))[0] @ rotation.T
    lower, thickness = rng.uniform(-0.6, 0.5) * radius, rng.uniform(0.08, 0.35) * radius
    return Polyhedron(np.stack([normal, -normal]), np.array([lower + thickness, -lower]))


def _direction(rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """Draw a direction, all being equally likely."""
    return np.asarray(random_rotation(rng)[0])
