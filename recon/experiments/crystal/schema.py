"""Arrays of a crystal's acquisition, and their places in its file.

The order matters: the first arrays set the sizes of the axes.
"""

from ...acquisition import Acquisition
from ...config.entries import entries_of
from .config_acquisition import CrystalAcquisition


def entry_place(acquisition: Acquisition, name: str) -> str:
    """Name the place of an array in its file, for messages."""
    return acquisition.places.get(name) or f"{acquisition.source}:{PATHS.get(name, name)}"


SCHEMA = entries_of(CrystalAcquisition)
PATHS = {entry.name: entry.path for entry in SCHEMA}
