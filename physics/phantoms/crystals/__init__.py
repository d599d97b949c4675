"""Simulated crystals, described in continuous space and sampled on any grid, skewed grids included."""

from .crystal import Crystal, density, far_field, far_field_of_frames
from .polyhedron import Polyhedron, Shape, ShapeError
from .random_crystal import GOLD_111, STRAINS, random_crystal, random_grid
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
    "density",
    "facet_normals",
    "far_field",
    "far_field_of_frames",
    "random_crystal",
    "random_grid",
    "random_shape",
]
