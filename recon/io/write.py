"""Writing of an acquisition as HDF5 that h5web, silx and NeXpy display without settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..acquisition import Acquisition, Group
from ..config.entries import Entry
from ..volume import centred_axis
from .atomic import write_atomically
from .hdf5_common import write_root_attributes
from .lazy_arrays import LazyArray
from .safe_hdf5 import new_hdf5

FORMAT = "unflat-acquisition"
_NX_CLASS = {"measurement": "NXdata", "instrument": "NXinstrument"}


def write(
    acquisition: Acquisition,
    schema: Sequence[Entry],
    path: str | Path,
    streams: Mapping[str, LazyArray] = MappingProxyType({}),
) -> None:
    """Write an acquisition; the file appears whole or not at all.

    Args:
        acquisition: The acquisition; arrays that the schema does not name are left out.
        schema: Path, unit and axes of each array.
        path: The file.
        streams: Further arrays of the schema, too large for memory: they are copied image by image.

    Raises:
        DataError: If the folder is missing, or the disk is full, read-only or forbidden.
    """
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, FORMAT, acquisition.kind, "measurement")
        for name, value in acquisition.attributes.items():
            file.attrs.setdefault(name, value)
        for entry in schema:
            if entry.name in streams or entry.name in acquisition:
                _write_entry(file, entry, streams.get(entry.name) or acquisition[entry.name])
        _write_axes(file, acquisition, schema)
        for group_path, group in acquisition.groups.items():
            _write_group(file.create_group(group_path), group)
        if acquisition.truth is not None:
            from .volume_hdf5 import write_group

            write_group(file.create_group("truth"), acquisition.truth)


def _write_entry(file: Any, entry: Entry, array: np.ndarray | LazyArray) -> None:
    group_name, _, name = entry.path.strip("/").rpartition("/")
    group = file.require_group(group_name) if group_name else file
    group.attrs.setdefault("NX_class", _NX_CLASS.get(group_name, "NXcollection"))
    options: dict[str, Any] = {}
    if isinstance(array, np.ndarray) and array.dtype.kind == "U":
        import h5py

        array, options = array.astype(object), {"dtype": h5py.string_dtype()}
    elif len(array.shape) >= 2 and array.size > 1024:
        # One image a chunk: views are read one by one.
        options = {
            "chunks": (*(1 for _ in array.shape[:-2]), *array.shape[-2:]),
            "compression": "gzip",
            "fletcher32": True,
            "shuffle": True,
        }
    if isinstance(array, LazyArray):
        dataset = group.create_dataset(name, array.shape, array.dtype, **options)
        for i in range(array.shape[0]):
            dataset[i] = array.fetch((slice(i, i + 1), *(slice(None) for _ in array.shape[1:])))[0]
    else:
        dataset = group.create_dataset(name, data=array, **options)
    dataset.attrs["units"] = entry.unit
    dataset.attrs["long_name"] = entry.meaning


def _write_group(target: Any, group: Group) -> None:
    """Write a part of an acquisition into an empty HDF5 group."""
    target.attrs.update(group.attributes)
    for name, dataset in group.datasets.items():
        target.create_dataset(name, data=dataset.values).attrs.update({"units": dataset.unit, **dataset.attributes})


def _write_axes(file: Any, acquisition: Acquisition, schema: Sequence[Entry]) -> None:
    """Write the coordinates of pixels, if their size is known, and name the signal and its axes for viewers."""
    group = file.get("measurement")
    main = next((e for e in schema if e.choice == "measurement" and e.path in file), None)
    if group is None or main is None:
        return
    shape = file[main.path].shape
    layout = next((names for names in main.axes if len(names) == len(shape)), ())
    axes = ["."] * len(shape)
    if "pixel_size" in acquisition and acquisition["pixel_size"].size in (1, 2):
        pixels = np.broadcast_to(acquisition["pixel_size"].ravel(), 2)
        for axis, pixel in zip(("y", "x"), pixels, strict=True):
            if axis not in layout:
                continue
            position = layout.index(axis)
            group[axis] = centred_axis(shape[position], float(pixel))
            group[axis].attrs["units"] = "m"
            axes[position] = axis
    group.attrs["signal"] = main.path.rpartition("/")[2]
    if axes:
        group.attrs["axes"] = axes
