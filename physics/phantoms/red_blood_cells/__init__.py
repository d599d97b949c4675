"""Simulated red blood cells, described in continuous space and sampled on any grid."""

from .cell import CLASSES, RedCell
from .random_cell import AXIAL_STRETCH, DISC_CLASSES, UnknownClassError, random_cell, spread_directions
from .sampling import occupancy_from_level, sample_level, sample_occupancy, sample_signed_distance, signed_distance
from .surfaces import CutSurface, Disc, Ellipsoid, ImplicitSurface, PlacedSurface, SpiculatedSurface, Union, disc_volume

__all__ = [
    "AXIAL_STRETCH",
    "CLASSES",
    "DISC_CLASSES",
    "CutSurface",
    "Disc",
    "Ellipsoid",
    "ImplicitSurface",
    "PlacedSurface",
    "RedCell",
    "SpiculatedSurface",
    "Union",
    "UnknownClassError",
    "disc_volume",
    "occupancy_from_level",
    "random_cell",
    "sample_level",
    "sample_occupancy",
    "sample_signed_distance",
    "signed_distance",
    "spread_directions",
]
