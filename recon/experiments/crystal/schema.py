"""Where the arrays of an acquisition stand, as messages name it.

What an acquisition of a crystal holds. The order matters: the first arrays set the sizes of the axes.
"""

from ...acquisition import Acquisition
from ...config.entries import Entry


def place(acquisition: Acquisition, name: str) -> str:
    """Say where an array stands, for messages."""
    return acquisition.places.get(name) or f"{acquisition.source}:{PATHS.get(name, name)}"


_CURVE = (("frame", "y", "x"),)
_SCALAR: tuple[tuple[str, ...], ...] = ((),)

SCHEMA: tuple[Entry, ...] = (
    Entry(
        "images",
        "/measurement/images",
        _CURVE,
        "counts",
        "counts along the rocking curve",
        required=True,
        choice="measurement",
        at_least=0,
    ),
    Entry(
        "mask",
        "/measurement/mask",
        (("y", "x"), ("frame", "y", "x")),
        "1",
        "bad pixels; 0 is good",
        dtype="integer",
        hides=True,
    ),
    Entry(
        "monitor",
        "/measurement/monitor",
        (("frame",),),
        "counts",
        "flux of the beam during each frame",
        positive=True,
    ),
    Entry(
        "wavelength",
        "/instrument/wavelength",
        _SCALAR,
        "m",
        "wavelength of the X-rays",
        positive=True,
    ),
    Entry(
        "detector_distance",
        "/instrument/detector_distance",
        _SCALAR,
        "m",
        "distance of the detector from the crystal",
        positive=True,
    ),
    Entry(
        "pixel_size",
        "/instrument/pixel_size",
        (("2",),),
        "m",
        "pixel (y, x) on the detector",
        positive=True,
    ),
    Entry(
        "reciprocal_basis",
        "/instrument/reciprocal_basis",
        (("3", "3"),),
        "1/m",
        "rows: change of q = k_out - k_in (with 2 pi) for one step of (frame, y, x), laboratory (z, y, x)",
    ),
    Entry(
        "bragg_vector",
        "/instrument/bragg_vector",
        (("3",),),
        "1/m",
        "reciprocal lattice vector G of the reflection, with 2 pi, laboratory (z, y, x)",
    ),
)
PATHS = {entry.name: entry.path for entry in SCHEMA}
