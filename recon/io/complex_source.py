"""Complex arrays stored as real ones: two parts, amplitude and phase, or the optical path difference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from ..config.entries import Entry
from ..config.source import Source
from ..errors import DataError, Diagnostic
from .combine_arrays import cartesian, constant, polar
from .resolved_array import ResolvedArray

Find: TypeAlias = Callable[[Entry, Source], ResolvedArray]
"""Function that finds the array of an entry, and raises an error if there is none."""
_UNITS = {"phase": "rad", "path_difference": "m"}


@dataclass(frozen=True)
class ComplexSource:
    """Sources of a complex array: scale · (real + i imag), or scale · amplitude · exp(i phase).

    Args:
        parts: Sources by ``real`` and ``imag``, or ``phase`` or ``path_difference`` and perhaps ``amplitude``, which
            is 1 otherwise.
        scale: Factor on all numbers.
        wavelength: Entry and source of the wavelength, which makes a phase of an optical path difference.
    """

    parts: Mapping[str, Source] = field(default_factory=dict)
    scale: float = 1.0
    wavelength: tuple[Entry, Source] | None = None


def resolve_complex(entry: Entry, source: ComplexSource, find: Find) -> ResolvedArray:
    """Find the real arrays of a complex one, and combine them when they are read.

    Args:
        entry: Entry of the complex array.
        source: Sources of its parts.
        find: Function that finds each.

    Raises:
        DataError: If a part is absent, or the shapes of two differ.
    """
    items = {name: find(_entry(entry, name), part) for name, part in source.parts.items()}
    first = next(item for name, item in items.items() if name != "amplitude")
    arrays = {name: item.array for name, item in items.items()}
    try:
        if "real" in arrays:
            array = cartesian(arrays["real"], arrays["imag"], source.scale)
        else:
            amplitude = arrays.get("amplitude", constant(1.0, first.array.shape))
            if not amplitude.shape:
                amplitude = constant(float(amplitude.read()), first.array.shape)
            array = polar(amplitude, first.array, first.factor * _radians(source, items, find), source.scale)
    except ValueError as error:
        message = f"{' and '.join(items)} of {entry.name} differ: {error}"
        raise DataError(Diagnostic(first.place, message, "name arrays of one shape")) from error
    return replace(first, entry=entry, array=array, factor=1.0)


def _entry(entry: Entry, part: str) -> Entry:
    """Describe one part of a complex array."""
    unit = _UNITS.get(part, entry.unit)
    return replace(
        entry, name=f"{entry.name}.{part}", unit=unit, meaning=f"{part.replace('_', ' ')} of {entry.meaning}"
    )


def _radians(source: ComplexSource, items: Mapping[str, ResolvedArray], find: Find) -> float:
    """Return the radians of phase in one unit of the stored phase: 2 pi / wavelength of a path difference in metres.

    Raises:
        DataError: If the wavelength is not known.
    """
    if "path_difference" not in items:
        return 1.0
    if source.wavelength is None:
        message = "a path difference is a phase by its wavelength, which is not given"
        raise DataError(Diagnostic(items["path_difference"].place, message, "set acquisition.wavelength, as '532 nm'"))
    wavelength = find(*source.wavelength)
    values = np.ravel(wavelength.array.read()).astype(float) * wavelength.factor
    return float(2 * np.pi / values[0])
