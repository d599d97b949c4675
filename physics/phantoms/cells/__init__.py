"""Simulated cells, clusters and beads, described in continuous space and sampled on any grid."""

from ..random import random_rotation
from .beads import ball, bead_specimen
from .body import Body, Ripple
from .cell import CellOptics, CellShape, cell_specimen
from .cluster import cluster_specimen
from .specimen import Specimen

__all__ = [
    "Body",
    "CellOptics",
    "CellShape",
    "Ripple",
    "Specimen",
    "ball",
    "bead_specimen",
    "cell_specimen",
    "cluster_specimen",
    "random_rotation",
]
