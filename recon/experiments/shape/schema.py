"""Arrays of an acquisition of cells' sections. Their order matters: the first ones set the sizes of the axes."""

from ...config.entries import entries_of
from ...sampled import Quantity
from .config import ShapeAcquisition

SCHEMA = entries_of(ShapeAcquisition)
PATHS = {entry.name: entry.path for entry in SCHEMA}
OCCUPANCY = Quantity("occupancy", "1", "0 outside the cell, 1 inside")
"""Quantity of the truth, (cell, draw, z, y, x) with one draw."""
FIELD = 10.9e-6
"""[m] Edge of the cube around a simulated cell, as of the real cells of the shipped network."""
