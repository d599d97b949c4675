"""Simulated crystals, described in continuous space and sampled on any grid, skewed grids included."""

from .crystal import Crystal, amplitudes, density
from .polyhedron import Polyhedron, Shape, ShapeError
from .random_crystal import GOLD_111, STRAINS, random_crystal, random_steps
from .shape import FLAWS, facet_normals, random_shape
from .strain import Dislocation, DisplacementField, Inclusion, Polynomial, Relaxation, StackingFault, Waves

__all__ = [
    "FLAWS",
    "GOLD_111",
    "STRAINS",
    "Crystal",
    "Dislocation",
    "DisplacementField",
    "Inclusion",
    "Polyhedron",
    "Polynomial",
    "Relaxation",
    "Shape",
    "ShapeError",
    "StackingFault",
    "Waves",
    "amplitudes",
    "density",
    "facet_normals",
    "random_crystal",
    "random_shape",
    "random_steps",
]
