"""Volumes as OME-Zarr 0.5 images, for napari, Fiji and Neuroglancer; needs the extra ``unflat[zarr]``.

An image is a folder: axes ``c z y x``, one channel for each quantity, float32 or whole numbers, lengths in µm (none
where the size of a voxel is unknown). Scale and translation place the samples. Copies of half the resolution follow,
each sample the mean of eight; whole numbers, such as labels, are not averaged. The attribute ``unflat`` holds units and
further metadata, which other programs ignore.

Source: https://ngff.openmicroscopy.org/0.5/ (multiscales, axes, coordinateTransformations, omero).
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from ..config.units import si_factor
from ..errors import ConfigError, DataError, Diagnostic
from ..volume import Volume
from .guard import COPY_AGAIN
from .hdf5_common import BRICK
from .lazy_arrays import LazyArray
from .metadata import (
    KEY,
    VOXEL,
    VolumeOptions,
    assemble,
    complete_spacing,
    metadata_json,
    positive_spacing,
    single_precision,
)
from .stack_axes import split_stack
from .volume_position import axis_letters
from .zarr_store import MISSING, open_image

_log = logging.getLogger(__name__)
VERSION = "0.5"
_COARSEST = 128
"""Longest edge, in samples, of the coarsest copy."""
_EXACT = (np.uint8, np.uint16, np.int16, np.uint32, np.int32)
_WHITE = "FFFFFF"


def write(volume: Volume, path: Path) -> None:
    """Write a volume into an empty folder.

    Raises:
        ConfigError: If the package zarr is not installed, or the volume holds several cells.
    """
    try:
        import zarr
    except ImportError as error:
        raise ConfigError(Diagnostic(str(path), MISSING, "pip install 'unflat[zarr]', or write .ome.tif")) from error
    arrays = [volume.values[quantity.name] for quantity in volume.quantities]
    if any(array.ndim != 3 for array in arrays):
        raise ConfigError(Diagnostic(str(path), "this format holds one specimen", "write .h5, or a folder"))
    dtype = single_precision(arrays, _EXACT)
    stack = np.stack([np.asarray(array, dtype) for array in arrays])
    levels = _pyramid(stack)
    root = zarr.open_group(path, mode="w", zarr_format=3)
    for number, (samples, _) in enumerate(levels):
        chunks = (1, *(min(n, BRICK) for n in samples.shape[1:]))
        array = root.create_array(
            str(number),
            shape=samples.shape,
            dtype=samples.dtype,
            chunks=chunks,
            dimension_names=("c", "z", "y", "x"),
            config={"write_empty_chunks": True},  # A chunk that is missing is then known to be lost.
        )
        array[...] = samples
    root.attrs.update({"ome": _describe(volume, stack, [scale for _, scale in levels]), KEY: metadata_json(volume)})


def read(path: Path, options: VolumeOptions) -> Volume:
    """Read a volume: the image of an OME-Zarr in full resolution.

    Raises:
        ConfigError: If there is no such time or position.
        DataError: If the store is damaged, or holds no image of three axes.
    """
    with open_image(path, options.position) as image:
        array, metadata = image.series.array, image.series.metadata
        _require_whole(array, path, is_own=bool(metadata.annotation))
        arrays, names = split_stack(array.read(), axis_letters(array), path, options.time)
    spacing = complete_spacing(path, metadata.size, options)
    first = image.first if options.spacing is None else None
    return assemble(arrays, spacing, metadata.annotation, options.kind, first, names or metadata.channels)


def _require_whole(array: LazyArray, path: Path, *, is_own: bool) -> None:
    """Refuse a store of ours that has lost chunks; of another program's, which may leave out empty ones, tell of them.

    Raises:
        DataError: If chunks of ours are absent.
    """
    for remark in array.remarks:
        if is_own:
            raise DataError(Diagnostic(str(path), remark, COPY_AGAIN))
        _log.warning("%s: %s", path, remark)


def _pyramid(stack: Num[np.ndarray, "c z y x"]) -> list[tuple[np.ndarray, tuple[int, int, int]]]:
    """List the stack and its copies, each with the number of the stack's samples in one of its own along z, y and x."""
    levels = [(stack, (1, 1, 1))]
    while max(levels[-1][0].shape[1:]) > _COARSEST:
        finer, scale = levels[-1]
        long = max(finer.shape[1:])
        factors = [2 if n > 1 and 2 * n > long / 2 else 1 for n in finer.shape[1:]]
        z, y, x = (old * new for old, new in zip(scale, factors, strict=True))
        levels.append((_coarsen(finer, factors), (z, y, x)))
    return levels


def _coarsen(stack: Num[np.ndarray, "c z y x"], factors: Sequence[int]) -> Num[np.ndarray, "c k j i"]:
    """Average neighbouring samples; of whole numbers take the first."""
    for axis, factor in enumerate(factors, 1):
        if factor == 1:
            continue
        even = np.take(stack, range(0, stack.shape[axis], 2), axis=axis)
        if stack.dtype.kind == "f":
            odd = np.take(stack, range(1, stack.shape[axis], 2), axis=axis)
            if odd.shape != even.shape:  # The last sample has no neighbour.
                odd = np.concatenate([odd, np.take(even, [-1], axis=axis)], axis=axis)
            even = (even + odd) / np.float32(2)
        stack = even
    return stack


def _describe(volume: Volume, stack: np.ndarray, scales: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
    """Describe the image as OME-Zarr: axes with units, place of each copy, and names and ranges of the channels."""
    in_voxels = volume.length_unit == VOXEL
    unit = {} if in_voxels else {"unit": "micrometer"}
    factor = 1.0 if in_voxels else 1 / si_factor("um")
    spacing = [step * factor for step in positive_spacing(volume)]
    first = [float(axis[0]) * factor for axis in volume.grid.axes]
    averaged = stack.dtype.kind == "f"
    datasets = []
    for number, scale in enumerate(scales):
        steps = [_rounded(step * n) for step, n in zip(spacing, scale, strict=True)]
        shifts = [(n - 1) / 2 * step if averaged else 0.0 for n, step in zip(scale, spacing, strict=True)]
        start = [_rounded(place + shift) for place, shift in zip(first, shifts, strict=True)]
        place = [{"type": "scale", "scale": [1.0, *steps]}, {"type": "translation", "translation": [0.0, *start]}]
        datasets.append({"path": str(number), "coordinateTransformations": place})
    axes = [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space", **unit} for axis in "zyx")]
    main = volume.quantity().name
    channels = [
        _channel(quantity.name, samples, active=quantity.name == main)
        for quantity, samples in zip(volume.quantities, stack, strict=True)
    ]
    return {
        "version": VERSION,
        "multiscales": [{"name": volume.kind or "volume", "axes": axes, "datasets": datasets}],
        "omero": {"channels": channels},
    }


def _channel(name: str, samples: Num[np.ndarray, "z y x"], *, active: bool) -> dict[str, Any]:
    """Name of a channel, the range of values that a viewer first shows, and whether it shows the channel at first."""
    low, high = float(np.nanmin(samples)), float(np.nanmax(samples))
    if not np.isfinite(high - low):
        raise DataError(f"{name} holds values that are not finite")
    top = high if high > low else low + 1.0
    return {
        "label": name,
        "color": _WHITE,
        "active": active,
        "window": {"min": low, "max": top, "start": low, "end": top},
    }


def _rounded(length: float) -> float:
    """Round a length to the digits that a conversion to µm leaves right."""
    return float(f"{length:.12g}")
