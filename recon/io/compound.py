"""Compound types: numbers with several named parts, of which some pairs are complex numbers.

MATLAB, C and other programs write complex numbers as ``{real, imag}`` or ``{amplitude, phase}``; any other part is an
array by itself, ``/table/column``.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .lazy_arrays import LazyArray

_CARTESIAN = frozenset((("r", "i"), ("re", "im"), ("real", "imag"), ("real", "imaginary"), ("realpart", "imagpart")))
_POLAR = frozenset((("amplitude", "phase"), ("amp", "phase"), ("abs", "arg"), ("magnitude", "phase"), ("mag", "phase")))


def complex_parts(dtype: np.dtype[Any]) -> tuple[str, str] | None:
    """Return the names of the two parts of a complex number; None for any other type."""
    names = dtype.names or ()
    lower = tuple(name.lower().replace("_", "") for name in names)
    return (names[0], names[1]) if lower in _CARTESIAN | _POLAR else None


def to_complex(array: np.ndarray) -> np.ndarray:
    """Convert pairs of a compound type to complex numbers; arrays of other types stay as they are."""
    parts = complex_parts(array.dtype)
    if parts is None:
        return array
    first, second = array[parts[0]], array[parts[1]]
    is_polar = (parts[0].lower(), parts[1].lower()) in _POLAR
    return np.asarray(first * np.exp(1j * second) if is_polar else first + 1j * second)


def arrays_of(name: str, array: np.ndarray) -> Iterator[tuple[str, LazyArray]]:
    """Yield an array by its path; one of a compound type by the paths of its parts, unless they are complex."""
    array = to_complex(array)
    if array.dtype.names is None:
        yield name, LazyArray.of(array)
    for part in array.dtype.names or ():
        yield from arrays_of(f"{name}/{part}", array[part])
