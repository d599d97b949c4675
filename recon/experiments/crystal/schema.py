"""Arrays of a crystal's acquisition, and their places in its file.

The order matters: the first arrays set the sizes of the axes.
"""

from ...config.entries import entries_of
from .config_acquisition import CrystalAcquisition

SCHEMA = entries_of(CrystalAcquisition)
PATHS = {entry.name: entry.path for entry in SCHEMA}
