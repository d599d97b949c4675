"""Volumes in HDF5: our volume file, and the same layout inside other files (``/truth`` of an acquisition).

A group holds ``z``, ``y``, ``x`` [m] and one dataset (z, y, x) a quantity, each with ``units``. It is an ``NXdata``, so
that silx, h5web and NeXpy plot it at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import h5py
import numpy as np

from ..config.advice import shell
from ..config.units import si_factor
from ..errors import DataError, Diagnostic
from ..sampled import Quantity
from ..volume import Volume
from .foreign_hdf5 import read_foreign
from .hdf5_common import (
    BRICK,
    mark_as_plot,
    number_or_text,
    open_checked,
    read_numbers,
    text_of,
    texts_of_attribute,
    write_root_attributes,
)
from .metadata import VolumeOptions
from .phasing_programs import read_phased
from .safe_hdf5 import new_hdf5

FORMAT = "unflat-volume"
GROUP, TRUTH = "volume", "truth"
CONSENSUS = "consensus"
"""Group with one specimen (cell, z, y, x) for the draws of each cell."""
_UNKNOWN: Final = "voxel"
"""Unit of coordinates that count samples, whose size is unknown."""
_NEXUS = {"NX_class", "signal", "axes", "auxiliary_signals", "z_indices", "y_indices", "x_indices", "default"}


def write_group(group: h5py.Group, volume: Volume) -> None:
    """Write a volume into an empty group."""
    names = list(volume.values)
    lead = volume.main.ndim - 3  # axes of cells and draws have no coordinates
    group.attrs.update(volume.attributes)
    mark_as_plot(group, names[0], [*["."] * lead, "z", "y", "x"], names[1:])
    unit = volume.length_unit
    for name, axis in zip("zyx", (volume.z, volume.y, volume.x), strict=True):
        group.create_dataset(name, data=axis).attrs.update({"units": unit, "long_name": f"{name} ({unit})"})
    chunks = (*[1] * lead, *(min(n, BRICK) for n in volume.shape))
    for quantity in volume.quantities:
        dataset = group.create_dataset(
            quantity.name,
            data=volume.values[quantity.name],
            chunks=chunks,
            compression="gzip",
            shuffle=True,
            fletcher32=True,
        )
        dataset.attrs.update({"units": quantity.unit, "long_name": quantity.meaning or quantity.name})


def read_group(group: h5py.Group, kind: str) -> Volume:
    """Read a volume from a group.

    Args:
        group: Group with the axes and the quantities.
        kind: Kind of experiment.

    Raises:
        DataError: If an axis is missing or uneven, there is no quantity, or a shape is not that of the axes.
    """
    where = f"{group.file.filename}:{group.name}"
    z, y, x, unit = axes_of(group)
    names = [n for n, item in group.items() if isinstance(item, h5py.Dataset) and n not in "zyx"]
    order = [*texts_of_attribute(group, "signal"), *texts_of_attribute(group, "auxiliary_signals")]
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    if not names:
        raise DataError(Diagnostic(where, "holds no quantity", "a volume has a dataset (z, y, x) beside its axes"))
    attributes = {k: number_or_text(v) for k, v in group.attrs.items() if k not in _NEXUS and np.ndim(v) == 0}
    values = {name: read_numbers(group, name, "biufc", (3, 4, 5)) for name in names}
    quantities = tuple(quantity_in(group[name], name) for name in names)
    try:
        return Volume(kind, z, y, x, values, quantities, attributes, unit)
    except DataError as error:
        raise DataError(*(Diagnostic(where, fault.message) for fault in error.faults)) from error


def write(volume: Volume, path: Path) -> None:
    """Write a volume file; the caller renames it when it is whole."""
    with new_hdf5(path) as file:
        write_root_attributes(file, FORMAT, volume.kind, GROUP)
        write_group(file.create_group(GROUP), volume)


def read(path: Path, options: VolumeOptions) -> Volume:
    """Read a volume file, the truth inside an acquisition, or arrays (z, y, x) of another program.

    Raises:
        DataError: If the file is truncated, or holds none of them.
    """
    with open_checked(path) as file:
        name, is_own = volume_group(file), "format" in file.attrs
        if name:
            volume = _with_names(read_group(file[name], text_of(file.attrs.get("kind", options.kind))), file)
            return replace(volume, consensus=_read_consensus(file, volume) if name == GROUP else {})
    foreign = read_phased(path) or (None if is_own else read_foreign(path, options))
    if foreign is not None:
        return foreign
    message = "holds no volume (neither /volume nor /truth)"
    raise DataError(Diagnostic(str(path), message, f"see what it holds: {shell('unflat', 'info', path)}"))


def holds_draws(path: Path) -> bool:
    """Whether a file's volume has several draws of several specimens; False for a file that cannot be read."""
    try:
        with open_checked(path) as file:
            group = file.get(GROUP)
            items = group.values() if isinstance(group, h5py.Group) else ()
            return any(isinstance(item, h5py.Dataset) and item.ndim == 5 for item in items)
    except DataError:
        return False


def _read_consensus(file: h5py.File, volume: Volume) -> dict[str, np.ndarray]:
    """Read the consensus of the draws of each cell, if the file holds it.

    Raises:
        DataError: If its shape is not that of the draws.
    """
    group, shape = file.get(CONSENSUS), (*volume.main.shape[:1], *volume.shape)
    if not isinstance(group, h5py.Group):
        return {}
    values = {name: read_numbers(group, name, "biufc", (4,)) for name in volume.values if name in group}
    if any(array.shape != shape for array in values.values()):
        raise DataError(Diagnostic(f"{file.filename}:/{CONSENSUS}", f"is not of {shape}, the shape of the draws"))
    return values


def volume_group(file: h5py.File) -> str:
    """Return the name of the group of a file's volume, ``volume`` or ``truth``; empty if it has none."""
    groups = [name for name in (GROUP, TRUTH) if isinstance(file.get(name), h5py.Group)]
    return next((name for name in groups if "format" in file.attrs or "z" in file[name]), "")


def texts_of(file: h5py.File, key: str) -> tuple[str, ...]:
    """Return the texts of a root dataset, one for each cell (``name``, ``label``); nothing if there is none."""
    texts = file.get(key)
    return tuple(text_of(value) for value in np.atleast_1d(texts[()])) if isinstance(texts, h5py.Dataset) else ()


def write_cell_arrays(
    file: h5py.File, arrays: Mapping[str, np.ndarray], columns: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> None:
    """Write arrays at the root of a file, whose first axis counts the cells.

    Args:
        file: The file.
        arrays: Text or numbers (cell,) or (cell, n) by name.
        columns: Names of the n numbers.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            file.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
            continue
        dataset = file.create_dataset(name, data=array)
        dataset.attrs["units"] = "1"
        if name in columns:
            dataset.attrs["columns"] = list(columns[name])


def read_cell_attributes(file: h5py.File, count: int) -> tuple[dict[str, float | str], ...]:
    """Read the arrays of `write_cell_arrays`, except names and classes, as attributes of each cell.

    Args:
        file: The file.
        count: Number of cells.
    """
    attributes: tuple[dict[str, float | str], ...] = tuple({} for _ in range(count))
    for name, item in file.items():
        if name in ("name", "label") or not isinstance(item, h5py.Dataset) or item.shape[:1] != (count,):
            continue
        columns = texts_of_attribute(item, "columns") or [name]
        if item.ndim > 2 or (item.ndim == 2 and len(columns) != item.shape[1]):
            continue
        for own, row in zip(attributes, item[()], strict=True):
            own.update({column: number_or_text(v) for column, v in zip(columns, np.atleast_1d(row), strict=True)})
    return attributes


def _with_names(volume: Volume, file: h5py.File) -> Volume:
    """Return a volume of many cells with their names, classes and further attributes from the file."""
    if volume.main.ndim == 3:
        return volume
    count = len(volume.main)
    texts = (texts_of(file, key) for key in ("name", "label"))
    names, labels = (each if len(each) == count else () for each in texts)
    attributes = read_cell_attributes(file, count)
    return replace(volume, names=names, labels=labels, cell_attributes=attributes if any(attributes) else ())


def axes_of(group: h5py.Group) -> tuple[np.ndarray, np.ndarray, np.ndarray, Literal["m", "voxel"]]:
    """Read the axes z, y and x [m], and the unit of their numbers: ``voxel`` if they count samples.

    Raises:
        DataError: If one is missing or uneven.
    """
    where = f"{group.file.filename}:{group.name}"
    z, y, x = (_axis(group, name, where) for name in "zyx")
    unknown = text_of(group["z"].attrs.get("units", "m")) == _UNKNOWN
    return z, y, x, _UNKNOWN if unknown else "m"


def _axis(group: h5py.Group, name: str, where: str) -> np.ndarray:
    if name not in group:
        raise DataError(Diagnostic(f"{where}/{name}", "is missing", "a volume has the axes z, y and x, in metres"))
    axis = np.atleast_1d(read_numbers(group, name).astype(np.float64))
    unit = text_of(group[name].attrs.get("units", "m"))
    try:
        axis = axis * (1.0 if unit == _UNKNOWN else si_factor(unit))
    except ValueError as error:
        raise DataError(Diagnostic(f"{where}/{name}", str(error), "write the axis in metres")) from error
    steps = np.diff(axis)
    if axis.ndim != 1 or not np.all(np.isfinite(axis)) or (steps.size and not steps.min() > 0):
        raise DataError(Diagnostic(f"{where}/{name}", "is not a rising row of numbers"))
    if steps.size and np.ptp(steps) > 1e-3 * steps.mean():
        raise DataError(Diagnostic(f"{where}/{name}", "is not evenly spaced", "resample the volume on an even grid"))
    return axis


def quantity_in(dataset: h5py.Dataset, name: str) -> Quantity:
    """Return name, unit and meaning of a dataset."""
    meaning = text_of(dataset.attrs.get("long_name", ""))
    return Quantity(name, text_of(dataset.attrs.get("units", "1")), "" if meaning == name else meaning)
