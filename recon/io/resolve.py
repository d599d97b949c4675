"""Lookup of the arrays of an acquisition: at the source named in the config, or at the path of our own files."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np

from ..config.entries import Entry
from ..config.photon_energy import PLANCK_TIMES_LIGHT, is_energy
from ..config.source import Source
from ..config.units import conversion_factor, dimension_of
from ..errors import DataError, Diagnostic
from .hdf5_common import ROOT_ATTRIBUTES
from .lazy_arrays import ArrayTree, Index, LazyArray
from .patterns import find_array


@dataclass(frozen=True)
class ComplexSource:
    """Complex array stored as two real ones: scale · (real + i imag)."""

    real: Source
    imag: Source
    scale: float = 1.0


SourceMap: TypeAlias = Mapping[str, Source | ComplexSource | None]
"""Sources by the name of the entry; None for an entry that shall not be read even if the file holds it."""


@dataclass(frozen=True)
class ResolvedArray:
    """Array whose place in the file is known, and which is not read yet.

    Args:
        entry: Entry of the acquisition.
        array: The array.
        factor: SI units in one unit of the stored numbers.
        place: Place in the file, for messages.
        order: Names of its axes, slowest first, if the config gives them (``/stack as y x view``).
    """

    entry: Entry
    array: LazyArray
    factor: float
    place: str
    order: tuple[str, ...] = ()


def resolve(tree: ArrayTree, entry: Entry, source: Source | ComplexSource | None) -> ResolvedArray | None:
    """Find the array of one entry.

    Args:
        tree: The open file.
        entry: Entry to find.
        source: Source in the config.

    Returns:
        The array; None if it is absent from its default path, or excluded by the config.

    Raises:
        DataError: If the config names an object that is absent, or the unit is of another dimension.
    """
    if source is None:
        return None
    if isinstance(source, ComplexSource):
        return _resolve_complex(tree, entry, source)
    if source.is_literal:
        return ResolvedArray(entry, LazyArray.of(source.value), 1.0, f"acquisition.{entry.name}")
    path, _, order = source.path.partition(" as ")
    path = path.strip()
    array = find_array(tree, path, max(map(len, entry.axes)), source.attribute)
    if array is None:
        if path == entry.path and not source.attribute:
            return None
        raise DataError(_unknown_name(tree, entry, path, source.attribute))
    place = f"{tree.path}:{array.origin or path}" + (f"@{source.attribute}" if source.attribute else "")
    unit = source.unit or _unit_in_file(array, entry)
    if entry.photon and is_energy(unit):
        array, unit = _wavelengths(array, unit, place), ""
    if entry.needs_unit and not unit:
        _require_zeros(entry, array, place, path)
    try:
        factor = conversion_factor(unit, entry.unit) if unit else 1.0
    except ValueError as error:
        example = "keV' (or nm, …)" if entry.photon else {"m": "um"}.get(entry.unit, entry.unit) + "'"
        remedy = f"name its unit in the config: acquisition.{entry.name}: '{path} in {example}"
        if dimension_of(unit):  # A known unit is right, and its numbers are of another kind.
            remedy = f"{entry.meaning} is due; convert the numbers, or name others"
        raise DataError(Diagnostic(place, str(error), remedy)) from error
    return ResolvedArray(entry, array, factor, place, tuple(order.replace(",", " ").split()))


def missing_diagnostic(tree: ArrayTree, entry: Entry, *others: Entry) -> Diagnostic:
    """Return the fault of a file that lacks a required entry.

    Args:
        tree: The open file.
        entry: Required entry.
        others: Entries that would do instead.
    """
    required = " nor ".join(f"{e.path} ({e.meaning})" for e in (entry, *others))
    forms = "/path, /@attribute, or a plain number" if _may_be_number(entry) else "/path"
    remedy = f"name it in the config (acquisition.{entry.name}: {forms}), {_content(tree)}"
    return Diagnostic(str(tree.path), f"the file holds {'neither' if others else 'no'} {required}", remedy)


def _wavelengths(energies: LazyArray, unit: str, place: str) -> LazyArray:
    """Present photon energies in a unit as wavelengths [m]."""

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        values = np.asarray(energies.fetch(index), float)
        if not (values > 0).all():
            message = f"the photons' energy {np.ravel(values)[~(np.ravel(values) > 0)][0]:g} {unit} is not positive"
            raise DataError(Diagnostic(place, message, "set acquisition.wavelength, as '9 keV' or '0.138 nm'"))
        return np.asarray(PLANCK_TIMES_LIGHT / (values * conversion_factor(unit, "J")))

    return LazyArray(energies.shape, np.dtype(float), fetch, origin=energies.origin)


def _unit_in_file(array: LazyArray, entry: Entry) -> str:
    """Return the unit in the file; empty for counts, whose units differ between files and do not matter."""
    unit = array.attributes.get("units", array.attributes.get("unit", ""))
    unit = unit.decode("latin-1") if isinstance(unit, bytes) else unit
    return unit.strip() if isinstance(unit, str) and entry.unit != "counts" else ""


def _require_zeros(entry: Entry, array: LazyArray, place: str, path: str) -> None:
    """Refuse numbers whose unit is not known, unless they are 0 in any unit.

    Raises:
        DataError: If one is not 0.
    """
    values = np.ravel(array.read())
    finite = values[np.isfinite(values)] if values.dtype.kind in "iuf" else np.zeros(0)
    if not finite.any():
        return
    low, high = float(finite.min()), float(finite.max())
    shown = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    guess = "look like degrees" if max(abs(low), abs(high)) > 2 * np.pi else "may be degrees or radians"
    remedy = f"write the unit: acquisition.{entry.name}: '{path} in deg' (or in rad)"
    raise DataError(Diagnostic(place, f"its unit is not stated, and {shown} {guess}", remedy))


def _unknown_name(tree: ArrayTree, entry: Entry, path: str, attribute: str) -> Diagnostic:
    """Return the fault of a config that names an absent array or attribute."""
    place = f"{tree.path}:{path}"
    if attribute:
        attributes = tree.attributes(path)
        if attributes is not None:
            shown = ", ".join(list(attributes)[:12]) or "none"
            message = f"there is no attribute {attribute!r} for acquisition.{entry.name}"
            remedy = f"its attributes are {shown}{_suggestion(attribute, list(attributes))}"
            return Diagnostic(place, message, remedy)
    message = f"there is nothing of that name, for acquisition.{entry.name}"
    suggestion = _suggestion(path, [*tree.names(), *_root_attributes(tree)])
    number = "; the config may give a plain number instead" if _may_be_number(entry) else ""
    return Diagnostic(place, message, f"{_content(tree)}{suggestion}{number}")


def _may_be_number(entry: Entry) -> bool:
    """Whether a single number suffices, which the config itself can give."""
    return any(axes in ((), ("1",), ("2",)) for axes in entry.axes) and entry.dtype != "text"


def _root_attributes(tree: ArrayTree) -> list[str]:
    """List the file's own attributes as the config names them, without those that every file of ours has."""
    return [f"/@{name}" for name in tree.attributes("/") or {} if name not in ROOT_ATTRIBUTES]


def _suggestion(name: str, names: list[str]) -> str:
    """Suggest the nearest name, by the whole path or by its last part."""
    nearest = get_close_matches(name, names, n=1)
    if not nearest:
        last = {path.rpartition("/")[2]: path for path in names}
        nearest = [last[key] for key in get_close_matches(name.rpartition("/")[2], list(last), n=1)]
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _content(tree: ArrayTree) -> str:
    """List the first arrays and attributes of a file, for messages."""
    shown = []
    for name in tree.names()[:8]:
        try:
            array = tree.array(name)
        except DataError:
            array = None
        shown.append(name if array is None else f"{name} {array.shape}")
    more = ", …" if len(tree.names()) > 8 else ""
    attributes = _root_attributes(tree)
    if attributes:
        more += f"; attributes {', '.join(attributes[:8])}{', …' if len(attributes) > 8 else ''}"
    return f"it holds {', '.join(shown)}{more}" if shown else f"it holds no arrays{more}"


def _resolve_complex(tree: ArrayTree, entry: Entry, source: ComplexSource) -> ResolvedArray:
    """Find two real arrays, and present them as one complex array."""
    real, imag = (resolve(tree, entry, part) for part in (source.real, source.imag))
    if real is None or imag is None:
        part = source.real if real is None else source.imag
        raise DataError(_unknown_name(tree, entry, part.path, part.attribute))
    if real.array.shape != imag.array.shape:
        message = f"the real part has the shape {real.array.shape}, the imaginary part {imag.array.shape}"
        raise DataError(Diagnostic(real.place, message, "name two arrays of one shape"))
    first, second, scale = real.array, imag.array, source.scale

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        values = np.asarray(first.fetch(index), np.complex64)
        values.imag = second.fetch(index)
        return values * np.float32(scale)

    array = LazyArray(first.shape, np.dtype(np.complex64), fetch, first.attributes)
    return ResolvedArray(entry, array, real.factor, real.place, real.order)
