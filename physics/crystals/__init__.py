"""Simulated crystals with known truth, described in space and sampled on any grid, skewed grids included."""

from .counts import Exposed, Exposure, Gap, expose
from .crystal import Crystal, amplitudes, density
from .drawing import GOLD_111, STRAINS, random_crystal, random_steps
from .polyhedron import Polyhedron, Shape, ShapeError
from .shape import FLAWS, family, random_shape
from .strain import Dislocation, Fault, Inclusion, Polynomial, Relaxation, Strain, Waves

__all__ = [
    "FLAWS",
    "GOLD_111",
    "STRAINS",
    "Crystal",
    "Dislocation",
    "Exposed",
    "Exposure",
    "Fault",
    "Gap",
    "Inclusion",
    "Polyhedron",
    "Polynomial",
    "Relaxation",
    "Shape",
    "ShapeError",
    "Strain",
    "Waves",
    "amplitudes",
    "density",
    "expose",
    "family",
    "random_crystal",
    "random_shape",
    "random_steps",
]
