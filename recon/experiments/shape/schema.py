"""What an acquisition of cells' sections holds. The order matters: the first arrays set the sizes of the axes."""

from ...config.entries import Entry
from ...volume import Quantity

_SECTIONS = (("cell", "y", "x"),)

SCHEMA: tuple[Entry, ...] = (
    Entry(
        "images",
        "/measurement/images",
        _SECTIONS,
        "1",
        "fluorescence of each cell's section at z = 0",
        required=True,
        choice="measurement",
        at_least=0,
    ),
    Entry(
        "mask",
        "/measurement/mask",
        _SECTIONS,
        "1",
        "share of each pixel that lies in the cell's section at z = 0",
        required=True,
        at_least=0,
    ),
    Entry(
        "voxel_size",
        "/instrument/voxel_size",
        (("3",),),
        "m",
        "voxel (z, y, x) in the specimen",
        positive=True,
    ),
    Entry("name", "/name", (("cell",),), "1", "name of each cell", dtype="text"),
    Entry("label", "/label", (("cell",),), "1", "class of each cell; empty where it is not known", dtype="text"),
)
PATHS = {entry.name: entry.path for entry in SCHEMA}
OCCUPANCY = Quantity("occupancy", "1", "0 outside the cell, 1 inside")
"""What the truth holds, (cell, draw, z, y, x): one draw."""
