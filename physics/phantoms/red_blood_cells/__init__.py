"""Simulated red blood cells of known shape, described in space and sampled on any grid."""

from .cell import CLASSES, RedCell
from .random_cell import FAMILY, STRETCH, UnknownClass, random_cell, spread_directions
from .sampling import occupancy_of, sample_level, sample_occupancy, sample_signed_distance, signed_distance
from .surfaces import CutSurface, Disc, Ellipsoid, ImplicitSurface, PlacedSurface, SpiculatedSurface, Union, disc_volume

__all__ = [
    "CLASSES",
    "FAMILY",
    "STRETCH",
    "CutSurface",
    "Disc",
    "Ellipsoid",
    "ImplicitSurface",
    "PlacedSurface",
    "RedCell",
    "SpiculatedSurface",
    "Union",
    "UnknownClass",
    "disc_volume",
    "occupancy_of",
    "random_cell",
    "sample_level",
    "sample_occupancy",
    "sample_signed_distance",
    "signed_distance",
    "spread_directions",
]
