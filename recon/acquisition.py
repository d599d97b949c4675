"""Acquisition: measured arrays and numbers of the instrument, by name, in SI, independent of the file format.

The settings of each kind of experiment declare its arrays (``config.entries``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from .config.advice import exact, quoted
from .volume import Volume


@dataclass(frozen=True)
class Dataset:
    """An array of a group.

    Args:
        values: The array, in SI.
        unit: SI unit ("m", "rad", "1", "counts").
        attributes: Further plain attributes.
    """

    values: np.ndarray
    unit: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Part of an acquisition whose arrays depend on the instrument, such as the circles of a diffractometer.

    Args:
        datasets: Arrays by name.
        attributes: Plain attributes of the group.
    """

    datasets: Mapping[str, Dataset]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AxisRange:
    """Part of an axis that was read.

    Args:
        first: Index in the file of the first sample.
        total: Number of samples in the file.
    """

    first: int
    total: int


@dataclass(frozen=True)
class Acquisition:
    """Arrays of a measurement by entry name, in SI.

    Args:
        kind: Kind of experiment.
        arrays: Instrument numbers in float64; measured arrays in float32, complex64 or uint8 (mask).
        source: Path of the file, for messages and provenance.
        truth: True specimen, if it is known.
        attributes: Further metadata (detector gain, specimen's name).
        places: Place of each array for messages (``scan.h5:/I_raw``); empty for simulated arrays.
        groups: Further parts by their path in the file (``/instrument/goniometer``).
        notes: Sentences on what was read that the config did not name, or not as the config names it.
        ranges: Axes of which a part was read, by their names.
    """

    kind: str
    arrays: Mapping[str, np.ndarray]
    source: str = ""
    truth: Volume | None = None
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ranges: Mapping[str, AxisRange] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    @property
    def nbytes(self) -> int:
        """[bytes] Memory of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def place(self, name: str, paths: Mapping[str, str] = MappingProxyType({})) -> str:
        """Name the place of an array, for messages.

        Args:
            name: Name of the array.
            paths: Paths in unflat's own files by name, for an array whose place is not known.
        """
        return self.places.get(name) or f"{self.source}:{paths.get(name, name)}"

    def in_unit(self, name: str, value: float, unit: str) -> str:
        """Write an array for the config with a unit: by its path in the file, or as the number that the config gives.

        Args:
            name: Name of the array.
            value: Number, read without a unit.
            unit: Unit that it seems to have.
        """
        _, in_file, path = self.places.get(name, "").rpartition(":/")
        return quoted(f"/{path} in {unit}") if in_file else f"{exact(value)} {unit}"
