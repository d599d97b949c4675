"""Limits of the counts of a detector: the config's saturation, or those that a file states.

NeXus calls counts up to and including ``saturation_value`` valid; a Dectris detector cuts counts off at its
``countrate_correction_count_cutoff``, so that a pixel with just as many may have received more. Counts below
``underload_value`` are marked as gaps when they are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...acquisition import Acquisition
from ...config.entries import Entry
from ...io.lazy_arrays import COUNT_CUTOFF, SATURATION_VALUE, UNDERLOAD_VALUE, LazyArray


def _entry(name: str, path: str, meaning: str) -> Entry:
    return Entry(name, path, ((),), "counts", meaning)


LIMITS = (
    _entry("saturation_value", SATURATION_VALUE, "largest valid count of a pixel"),
    _entry("count_cutoff", COUNT_CUTOFF, "count at which larger ones are cut off"),
    _entry("underload_value", UNDERLOAD_VALUE, "least valid count of a pixel"),
)
"""Limits that a file may state; no acquisition holds them once it is masked."""


@dataclass(frozen=True)
class CountLimits:
    """Limits of the counts of one acquisition.

    Args:
        saturation: [counts] Least count that is saturated; None if none is known.
        source: Clause that says so.
        underload: [counts] Least valid count; None if the file states none.
    """

    saturation: float | None = None
    source: str = ""
    underload: float | None = None

    @classmethod
    def of(cls, given: float | None, arrays: Mapping[str, LazyArray]) -> "CountLimits":
        """Collect the limits of an open file.

        Args:
            given: [counts] ``acquisition.saturation``, which takes precedence over the file.
            arrays: Arrays of the file by name.
        """
        read = {entry.name: arrays[entry.name] for entry in LIMITS if entry.name in arrays}
        return cls._of_numbers(
            given,
            {name: array.read() for name, array in read.items()},
            {name: array.origin for name, array in read.items()},
        )

    @classmethod
    def of_acquisition(cls, given: float | None, acquisition: Acquisition) -> "CountLimits":
        """Collect the limits of an acquisition that was read with the entries of `LIMITS`."""
        return cls._of_numbers(given, acquisition.arrays, acquisition.places)

    @classmethod
    def _of_numbers(
        cls, given: float | None, numbers: Mapping[str, np.ndarray], places: Mapping[str, str]
    ) -> "CountLimits":
        values = {e.name: float(numbers[e.name]) for e in LIMITS if e.name in numbers}
        underload = values.get("underload_value")
        if given is not None:
            return cls(given, f"hold {given:g} counts or more", underload)
        known = []
        if "saturation_value" in values:  # Counts are float32, and this one is valid.
            largest = values["saturation_value"]
            end = float(np.nextafter(np.float32(largest), np.float32(np.inf)))
            known.append((end, f"hold more than {largest:.9g} counts ({places['saturation_value']})"))
        if "count_cutoff" in values:
            end = values["count_cutoff"]
            known.append((end, f"hold {end:.9g} counts or more ({places['count_cutoff']})"))
        least, source = min(known, default=(None, ""))
        return cls(least, source, underload)


def without_limits(acquisition: Acquisition) -> dict[str, np.ndarray]:
    """Return the arrays of an acquisition without those of `LIMITS`."""
    names = {entry.name for entry in LIMITS}
    return {name: array for name, array in acquisition.arrays.items() if name not in names}
