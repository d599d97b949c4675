"""Names under which a foreign file likely stores the arrays of an acquisition."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..config.entries import Entry
from ..config.photon_energy import is_energy, wavelength_of
from ..config.units import conversion_factor
from ..errors import DataError
from .hdf5_common import text_of
from .lazy_arrays import ArrayTree, LazyArray

_SUFFIX = re.compile(r"(?P<stem>.+?)[_\s(\[]+(?P<unit>nm|um|µm|mm|cm|m|pm|angstrom|eV|keV|deg|rad|mrad)[)\]]?", re.I)
_SPELLING = {"ev": "eV", "kev": "keV"}
_MOST_VALUES = 3
"""Largest number of values of a number of the instrument: one for each axis."""


class _StoredNumber(NamedTuple):
    """A number of a file.

    Args:
        place: Place as a config names it.
        name: Name of the array or attribute.
        value: Mean of the values.
        unit: Unit that the file states; empty without one.
    """

    place: str
    name: str
    value: float
    unit: str


def likely_source(tree: ArrayTree, entry: Entry, names: Sequence[str], least: float, most: float) -> str | None:
    """Find the only place in a file whose name, unit and value suit an entry.

    Args:
        tree: The open file.
        entry: Entry that is not at its usual path.
        names: Names that are looked for, in lower case; a unit may follow, as in ``lambda_nm``.
        least: Smallest sensible value in SI.
        most: Largest sensible value in SI.

    Returns:
        The source as a config gives it; None where there is none, or several.
    """
    sources = []
    for number in _numbers(tree):
        match = None if number.name.lower() in names else _SUFFIX.fullmatch(number.name)
        stem, ending = (match["stem"], match["unit"].lower()) if match else (number.name, "")
        written = "" if number.unit else _SPELLING.get(ending, ending)
        value = _si_value(number.value, number.unit or written, entry)
        if stem.lower() in names and value is not None and least <= value <= most:
            sources.append(f"{number.place} in {written}" if written else number.place)
    return sources[0] if len(sources) == 1 else None


def only_stack(tree: ArrayTree, dimensions: int) -> str | None:
    """Find the only array of a number of dimensions, each of several samples; None where there is none, or several."""
    arrays = ((name, _array(tree, name)) for name in tree.names())
    stacks = [name for name, array in arrays if array and len(array.shape) == dimensions and min(array.shape) > 1]
    return stacks[0] if len(stacks) == 1 else None


def _numbers(tree: ArrayTree) -> Iterator[_StoredNumber]:
    """List the scalars and short arrays of a file, and the numbers among the attributes of its root."""
    for name in tree.names():
        array = _array(tree, name)
        if array is not None and 0 < array.size <= _MOST_VALUES and (value := _number(array.read())) is not None:
            yield _StoredNumber(name, name.rpartition("/")[2], value, text_of(array.attributes.get("units", "")))
    for name, attribute in (tree.attributes("/") or {}).items():
        if (value := _number(attribute)) is not None:
            yield _StoredNumber(f"/@{name}", name, value, "")


def _array(tree: ArrayTree, name: str) -> LazyArray | None:
    """Return an array; None if it cannot be used."""
    try:
        return tree.array(name)
    except DataError:
        return None


def _number(value: object) -> float | None:
    """Mean of a few real numbers; None for anything else."""
    try:
        numbers = np.asarray(value, float)
    except (TypeError, ValueError):
        return None
    return float(numbers.mean()) if 0 < numbers.size <= _MOST_VALUES and np.isfinite(numbers).all() else None


def _si_value(value: float, unit: str, entry: Entry) -> float | None:
    """Convert a number to the unit of an entry; None if it is of another dimension."""
    try:
        if entry.photon and unit and is_energy(unit):
            return wavelength_of(value * conversion_factor(unit, "J"))
        return value * (conversion_factor(unit, entry.unit) if unit else 1.0)
    except ValueError:
        return None
