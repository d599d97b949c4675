"""Volumes in HDF5 files of other programs: arrays (z, y, x) under any name.

The voxel is the attribute ``element_size_um`` (z, y, x), which Fiji, ilastik and PlantSeg write. ilastik's
``axistags`` name the axes of an array.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..volume import Volume
from .foreign_arrays import foreign_quantities
from .hdf5_common import open_checked
from .metadata import UNKNOWN_SPACING, VolumeOptions, assemble, complete_spacing
from .stack_axes import split_stack

_log = logging.getLogger(__name__)
_VOXEL = "element_size_um"
_OTHER_VOXELS = ("resolution", "spacing", "voxel_size", "scale")
"""Attributes by which other programs give a voxel without its unit."""


def read_foreign(path: Path, options: VolumeOptions) -> Volume | None:
    """Read the arrays of a file that are one volume; None if it holds none.

    Args:
        path: The file.
        options: Name or number of the only array to read, its time, and its spacing.

    Raises:
        ConfigError: If arrays of several shapes are there and none is chosen.
        DataError: If the file is truncated, or its voxel is known along some axes only.
    """
    with open_checked(path) as file:
        names = _names_of_volumes(file)
        chosen = [n for n in names if options.quantity in (n, f"/{n}")]
        arrays: dict[str, np.ndarray] = {}
        voxels = []
        for name in chosen or names:
            arrays |= _quantities(file[name], name, path, options)
            voxels.append(_voxel(file[name], path))
    if not arrays:
        return None
    selected = foreign_quantities(path, arrays, options)
    known = complete_spacing(path, voxels[0], options)
    return assemble(list(selected.values()), known, "", options.kind, names=list(selected))


def _names_of_volumes(file: h5py.File) -> list[str]:
    """Return the paths of all arrays of numbers with three axes of more than one sample, or four."""
    names: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
            longer = [n for n in item.shape if n > 1]
            if len(longer) in (3, 4):
                names.append(name)

    file.visititems(visit)
    return names


def _quantities(dataset: h5py.Dataset, name: str, path: Path, options: VolumeOptions) -> dict[str, np.ndarray]:
    """Return the channels of an array by name."""
    axes = _axis_letters(dataset)
    if len(axes) == dataset.ndim:
        parts, _ = split_stack(_in_order(dataset[()], axes), _ordered(axes), path, options.time)
        return {name if len(parts) == 1 else f"{name}_{i}": part for i, part in enumerate(parts)}
    array = np.squeeze(dataset[()]) if dataset.ndim > 3 else dataset[()]
    return {name: array}


def _axis_letters(dataset: h5py.Dataset) -> str:
    """Return the letters of an array's axes by its ``axistags``; empty if it has none."""
    try:
        tags = json.loads(dataset.attrs.get("axistags", "{}")).get("axes", [])
        return "".join(str(tag["key"]).upper() for tag in tags)
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""


def _ordered(axes: str) -> str:
    return "".join(sorted(axes, key="TCZYX".find))


def _in_order(array: np.ndarray, axes: str) -> np.ndarray:
    """Transpose an array to the order T, C, Z, Y, X."""
    return array.transpose(sorted(range(array.ndim), key=lambda i: "TCZYX".find(axes[i])))


def _voxel(dataset: h5py.Dataset, path: Path) -> Sequence[float]:
    """[m] Return the voxel (z, y, x) of an array; NaN if it is unknown."""
    attributes = dataset.attrs
    if _VOXEL in attributes and np.size(attributes[_VOXEL]) == len(UNKNOWN_SPACING):
        return [float(d) * 1e-6 for d in np.ravel(attributes[_VOXEL])]
    for name in _OTHER_VOXELS:
        if name in attributes:
            value = " x ".join(f"{d:g}" for d in np.ravel(attributes[name])[:3] if isinstance(d, np.number))
            message = "%s:%s: its attribute %s, %s, has no unit, and is not used: give --spacing"
            _log.warning(message, path, dataset.name, name, value)
            break
    return UNKNOWN_SPACING
