"""Shapes of simulated crystals: facets of a cubic lattice, with flaws as of real crystals.

The facets are those of face-centred cubic metals, {111}, {100}, {110} and {210}, at distances around the Wulff
construction with their surface energies (Vitos et al., Surf. Sci. 411, 186 (1998)), with random deviations. Vectors are
(z, y, x); radii are those of the ball of equal volume.
"""

from collections.abc import Collection
from itertools import permutations, product

import numpy as np
from jaxtyping import Float

from ..random import random_rotation
from .polyhedron import Polyhedron, Shape

FLAWS = ("substrate", "notch", "void", "twin")
"""Flaws of a crystal: a cut by the substrate, a notch, a void, the plate of a twin."""

_DISTANCES = {(1, 1, 1): (1.0, 1.0), (1, 0, 0): (1.0, 1.25), (1, 1, 0): (1.02, 1.22), (2, 1, 0): (1.05, 1.2)}
"""Smallest and largest distance of a family's facets, relative to {111}."""
_SHARES = {(1, 1, 1): 1.0, (1, 0, 0): 0.85, (1, 1, 0): 0.6, (2, 1, 0): 0.35}
"""Probability of facets of a family."""
_MOST_FACETS = 14
"""Largest number of facets of a family."""


def facet_normals(indices: tuple[int, int, int]) -> Float[np.ndarray, "facet 3"]:
    """Compute the unit normals of all facets of a family {hkl} of a cubic lattice.

    Args:
        indices: Miller indices of one facet.
    """
    signed = [np.array(p) * s for p in permutations(indices) for s in product((-1, 1), repeat=3)]
    normals: Float[np.ndarray, "facet 3"] = np.unique(signed, axis=0) / np.linalg.norm(indices)
    return normals


def random_polyhedron(
    rng: np.random.Generator, radius: float, jitter: float, indices: Collection[tuple[int, int, int]]
) -> Polyhedron:
    """Draw a convex crystal around the origin, its lattice along the axes.

    Args:
        rng: Random number generator.
        radius: [m] Radius of the ball of equal volume.
        jitter: Largest relative deviation of a facet's distance.
        indices: Families of facets.
    """
    normals, offsets = [], []
    for name in indices:
        facets = facet_normals(name)
        if len(facets) > _MOST_FACETS:
            facets = rng.permutation(facets)[: rng.integers(4, _MOST_FACETS + 1)]
        normals.append(facets)
        offsets.append(rng.uniform(*_DISTANCES[name]) * (1 + jitter * rng.uniform(-1, 1, len(facets))))
    return set_volume(Polyhedron(np.concatenate(normals), np.concatenate(offsets)), radius)


def set_volume(body: Polyhedron, radius: float) -> Polyhedron:
    """Centre a body at the origin and scale it to the volume of a ball.

    Args:
        body: Body around the origin.
        radius: [m] Radius of the ball.
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
        rng: Random number generator.
        radius: [m] Radius of the ball of equal volume, without holes.
        rotation: Rotation of the lattice's axes to the laboratory's (z, y, x).
        flaws: Flaws, of :data:`FLAWS`; a twin's plate is the last of the holes.
    """
    indices = [name for name, share in _SHARES.items() if rng.random() < share]
    body = random_polyhedron(rng, radius, rng.uniform(0.15, 0.25), indices).rotate(rotation)
    if "substrate" in flaws:
        body = set_volume(body.add_facet(_draw_direction(rng), rng.uniform(0.2, 0.8) * radius), radius)
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
        rng: Random number generator.
        radius: [m] Radius of the crystal.
    """
    outward, half_opening = _draw_direction(rng), rng.uniform(0.15, 0.6)
    sideways = np.cross(outward, _draw_direction(rng))
    sideways /= np.linalg.norm(sideways)
    normals = np.stack([s * np.cos(half_opening) * sideways - np.sin(half_opening) * outward for s in (-1, 1)])
    return Polyhedron(normals, np.zeros(2)).translate(rng.uniform(0.3, 0.8) * radius * outward)


def random_void(rng: np.random.Generator, radius: float, rotation: Float[np.ndarray, "3 3"]) -> Polyhedron:
    """Draw a cavity with facets of the lattice.

    Args:
        rng: Random number generator.
        radius: [m] Radius of the crystal.
        rotation: Rotation of the lattice.
    """
    cavity = random_polyhedron(rng, rng.uniform(0.12, 0.3) * radius, 0.2, [(1, 1, 1), (1, 0, 0)])
    return cavity.rotate(rotation).translate(rng.uniform(0, 0.5) * radius * _draw_direction(rng))


def random_twin_plate(rng: np.random.Generator, radius: float, rotation: Float[np.ndarray, "3 3"]) -> Polyhedron:
    """Draw a plate between two {111} planes: a twin's lattice scatters to another peak.

    Args:
        rng: Random number generator.
        radius: [m] Radius of the crystal.
        rotation: Rotation of the lattice.
    """
    normal = rng.permutation(facet_normals((1, 1, 1)))[0] @ rotation.T
    lower, thickness = rng.uniform(-0.6, 0.5) * radius, rng.uniform(0.08, 0.35) * radius
    return Polyhedron(np.stack([normal, -normal]), np.array([lower + thickness, -lower]))


def _draw_direction(rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """Draw a uniformly random direction."""
    return np.asarray(random_rotation(rng)[0])
