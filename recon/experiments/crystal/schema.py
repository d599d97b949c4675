"""Arrays of a crystal's acquisition, and their places in its file.

The order matters: the first arrays set the sizes of the axes.
"""

from dataclasses import replace

from ...config.entries import Entry, entries_of
from .config_acquisition import CrystalAcquisition

SCHEMA = entries_of(CrystalAcquisition)
PATHS = {entry.name: entry.path for entry in SCHEMA}


def schema_of(section: CrystalAcquisition) -> tuple[Entry, ...]:
    """Arrays of the files that a config describes: without a dark level, the noise of a CCD is negative too."""
    if section.photon in (None, 1):
        return SCHEMA
    return tuple(replace(entry, at_least=None) if entry.name == "images" else entry for entry in SCHEMA)
