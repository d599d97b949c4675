"""Lookup of the arrays of an acquisition: at the source named in the config, or at the path of our own files.

A source may name another file, or be a list of sources.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from ..config.entries import Entry
from ..config.photon_energy import PLANCK_TIMES_LIGHT, is_energy
from ..config.source import Source
from ..config.units import conversion_factor, dimension_of
from ..errors import DataError, Diagnostic
from .combine_arrays import stack_last, union
from .complex_source import ComplexSource, resolve_complex
from .lazy_arrays import IMAGES, ArrayTree, Index, LazyArray
from .name_faults import absolute_path, content_of, plain_name, unknown_name
from .patterns import find_array, is_pattern
from .resolved_array import ResolvedArray
from .side_files import SideFiles
from .text_table import TABLE, WHOLE

SourceMap: TypeAlias = Mapping[str, Source | ComplexSource | None]
"""Sources by the name of the entry; None for an entry that shall not be read even if the file holds it."""


def resolve(
    tree: ArrayTree, entry: Entry, source: Source | ComplexSource | None, files: SideFiles
) -> ResolvedArray | None:
    """Find the array of one entry.

    Args:
        tree: The open file.
        entry: Entry to find.
        source: Source in the config.
        files: Other files that the config may name.

    Returns:
        The array; None if it is absent from its default path, or excluded by the config.

    Raises:
        DataError: If the config names an object that is absent, or the unit is of another dimension.
    """
    if source is None:
        return None
    if isinstance(source, ComplexSource):
        return resolve_complex(entry, source, lambda part, where: _require(tree, part, where, files))
    if source.is_literal:
        return ResolvedArray(entry, LazyArray.of(source.value), 1.0, f"acquisition.{entry.name}")
    if source.parts:
        return _resolve_parts(tree, entry, source, files)
    if not source.file and _find(tree, entry, source) is None:
        if source.is_default(entry.path):
            return None
        named = source.as_file()
        if named is None or not files.has(named.file):
            raise DataError(unknown_name(tree, entry, source))
        source = named
    at = source
    if source.file:
        tree = files.open(source.file, f"acquisition.{entry.name}")
        if not source.path or source.path.startswith("["):
            at = replace(source, path=_only_array(tree, entry, source) + source.path)
    array = _find(tree, entry, at)
    if array is None:
        raise DataError(unknown_name(tree, entry, source))
    place = f"{tree.path}:{array.origin or at.path}" + (f"@{source.attribute}" if source.attribute else "")
    unit = source.unit or _unit_in_file(array, entry) or array.usual_units.get(entry.unit, "")
    _require_stated(unit, array, entry, source, place)
    if entry.photon and is_energy(unit):
        array, unit = _wavelengths(array, unit, place), ""
    if entry.needs_unit and not unit:
        _require_zeros(entry, source, array, place)
    factor = _unit_factor(unit, entry, source, place)
    views_last = tree.form.startswith("MATLAB") and not is_pattern(at.path)  # A pattern stacks along the first.
    return ResolvedArray(entry, array, factor, place, source.order, views_last, source.place)


def _require(tree: ArrayTree, entry: Entry, source: Source, files: SideFiles) -> ResolvedArray:
    """Find the array of a part of an entry.

    Raises:
        DataError: If it is absent.
    """
    item = resolve(tree, entry, source, files)
    if item is None:
        raise DataError(unknown_name(tree, entry, source))
    return item


def _find(tree: ArrayTree, entry: Entry, source: Source) -> LazyArray | None:
    """Return the array or attribute at the path of a source; None if there is none."""
    return find_array(tree, absolute_path(source.path), max(map(len, entry.axes)), source.attribute)


def _only_array(tree: ArrayTree, entry: Entry, source: Source) -> str:
    """Return the path of the array that is meant by the name of a file alone.

    Raises:
        DataError: If the file holds several.
    """
    if tree.form == TABLE:
        return WHOLE
    if tree.array(entry.path) is not None:
        return entry.path
    names = tree.names()
    if len(names) == 1:
        return names[0]
    if IMAGES in names and not tree.form.startswith(("HDF5", "CXI", "MATLAB", "NPZ")):
        return IMAGES
    if not names:
        raise DataError(Diagnostic(str(tree.path), f"holds no array, for acquisition.{entry.name}"))
    message = f"holds several arrays, for acquisition.{entry.name}; {content_of(tree)}"
    raise DataError(
        Diagnostic(str(tree.path), message, f"name one of them, as '{source.file}:{plain_name(tree, names[0])}'")
    )


def _require_stated(unit: str, array: LazyArray, entry: Entry, source: Source, place: str) -> None:
    """Refuse numbers of a format without units, where the config states none either.

    Raises:
        DataError: If that is so.
    """
    if unit or not array.usual_units or entry.unit in ("1", "counts"):
        return
    message = f"states no unit, and programs that write such files differ in it, for acquisition.{entry.name}"
    raise DataError(Diagnostic(place, message, _name_unit(entry, source)))


def _unit_factor(unit: str, entry: Entry, source: Source, place: str) -> float:
    """Return the SI units in one unit.

    Raises:
        DataError: If the unit is unknown, or of another dimension.
    """
    try:
        return conversion_factor(unit, entry.unit) if unit else 1.0
    except ValueError as error:
        remedy = _name_unit(entry, source)
        if dimension_of(unit):  # A known unit is right, and its numbers are of another kind.
            remedy = f"{entry.meaning} is due; convert the numbers, or name others"
        raise DataError(Diagnostic(place, str(error), remedy)) from error


def _name_unit(entry: Entry, source: Source) -> str:
    """Return the remedy for a unit that is unknown or wrong."""
    example = "keV" if entry.photon else {"m": "um", "rad": "deg"}.get(entry.unit, entry.unit)
    others = " (or nm, …)" if entry.photon else ""
    return f"name its unit in the config: acquisition.{entry.name}: '{source.in_unit(example)}'{others}"


def _wavelengths(energies: LazyArray, unit: str, place: str) -> LazyArray:
    """Present photon energies in a unit as wavelengths [m]."""

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        values = np.asarray(energies.fetch(index), float)
        if not (values > 0).all():
            message = f"the photons' energy {np.ravel(values)[~(np.ravel(values) > 0)][0]:g} {unit} is not positive"
            raise DataError(Diagnostic(place, message, "set acquisition.wavelength, as '9 keV' or '0.138 nm'"))
        return np.asarray(PLANCK_TIMES_LIGHT / (values * conversion_factor(unit, "J")))

    return LazyArray(energies.shape, np.dtype(float), fetch, origin=energies.origin)


def _resolve_parts(tree: ArrayTree, entry: Entry, source: Source, files: SideFiles) -> ResolvedArray:
    """Find several sources, and present them as one array: stacked along a last axis, or as the union of masks.

    Raises:
        DataError: If one is absent, or their shapes differ.
    """
    parts = [_require(tree, entry, part, files) for part in source.parts]
    place = ", ".join(dict.fromkeys(item.place for item in parts if not item.place.startswith("acquisition.")))
    try:
        if entry.hides:
            return ResolvedArray(entry, union([item.array for item in parts]), 1.0, place)
        return ResolvedArray(entry, stack_last([(item.array, item.factor) for item in parts]), 1.0, place)
    except ValueError as error:
        message = f"the sources of acquisition.{entry.name} differ: {error}"
        raise DataError(Diagnostic(place, message, "name arrays of one shape")) from error


def _unit_in_file(array: LazyArray, entry: Entry) -> str:
    """Return the unit in the file; empty for counts, whose units differ between files and do not matter."""
    unit = array.attributes.get("units", array.attributes.get("unit", ""))
    unit = unit.decode("latin-1") if isinstance(unit, bytes) else unit
    return unit.strip() if isinstance(unit, str) and entry.unit != "counts" else ""


def _require_zeros(entry: Entry, source: Source, array: LazyArray, place: str) -> None:
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
    remedy = f"write the unit: acquisition.{entry.name}: '{source.in_unit('deg')}' (or in rad)"
    raise DataError(Diagnostic(place, f"its unit is not stated, and {shown} {guess}", remedy))
