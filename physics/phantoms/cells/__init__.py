"""Simulated cells, bacteria, diatoms, filaments, tissue, beads: described in space, sampled on any grid."""

from ..random import random_rotation
from .bacteria import BacteriaForm, bacteria_specimen
from .beads import ball, bead_specimen
from .body import Body, Ripple
from .cell import CellOptics, CellShape, cell_specimen
from .cluster import cluster_specimen
from .diatom import DiatomForm, diatom_specimen
from .filaments import filament_specimen
from .implicit import ImplicitBody
from .specimen import Specimen
from .tissue import tissue_specimen
from .tube import Tube
from .walls import Cylinder, Frustule, Sheet

__all__ = [
    "BacteriaForm",
    "Body",
    "CellOptics",
    "CellShape",
    "Cylinder",
    "DiatomForm",
    "Frustule",
    "ImplicitBody",
    "Ripple",
    "Sheet",
    "Specimen",
    "Tube",
    "bacteria_specimen",
    "ball",
    "bead_specimen",
    "cell_specimen",
    "cluster_specimen",
    "diatom_specimen",
    "filament_specimen",
    "random_rotation",
    "tissue_specimen",
]
