"""An acquisition: the arrays that an instrument gave, by name, in SI, whatever file they came from.

What a kind of experiment measures is a table of entries (``schema``); reading, writing, checking, describing and the
config's ``acquisition:`` section all follow that table, so that a new kind is a new table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..physics.diffraction.diffractometer import Goniometer
from .volume import Volume


@dataclass(frozen=True)
class Entry:
    """One array of an acquisition.

    Args:
        name: Its name in the config and in ``Acquisition.arrays``.
        path: Where it stands in our HDF5 file.
        axes: Names of its axes, slowest first; a digit is a fixed size. The same name is the same size everywhere.
            Several layouts may be given, one of which must fit.
        unit: SI unit ("m", "rad", "1", "counts").
        meaning: One line for people.
        required: Whether the acquisition is nothing without it. Groups of which one is needed share a ``choice``.
        choice: Name of such a group.
        dtype: ``float``, ``complex``, ``integer`` or ``text``.
        at_least: Smallest value allowed, if any.
        positive: Whether every value must exceed 0.
        hides: Whether it marks the bad pixels of images of its size: 0 is good.
    """

    name: str
    path: str
    axes: tuple[tuple[str, ...], ...]
    unit: str
    meaning: str
    required: bool = False
    choice: str = ""
    dtype: str = "float"
    at_least: float | None = None
    positive: bool = False
    hides: bool = False


@dataclass(frozen=True)
class Acquisition:
    """Arrays by entry name, in SI.

    Args:
        kind: Kind of experiment.
        arrays: Instrument numbers in float64; measured arrays in float32, complex64 or uint8 (mask).
        source: Path of the file it came from, for messages and provenance.
        truth: The specimen, where it is known.
        attributes: Further plain facts (detector gain, specimen's name).
        places: Where each array was found, as messages name it (``scan.h5:/I_raw``); empty for what was simulated.
        goniometer: The circles of a crystal's rocking curve, where they are known.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    source: str = ""
    truth: Volume | None = None
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    goniometer: Goniometer | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.arrays
