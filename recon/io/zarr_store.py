"""Zarr stores and OME-Zarr images as arrays; needs the extra ``unflat[zarr]``.

The full resolution of the images of an OME-Zarr stands at ``/measurement/images``, with pixel size and planes of focus
as in an OME-TIFF; several images in one store are positions. All arrays of the store stand at their own paths as well.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config.units import conversion_factor
from ..errors import DataError, Diagnostic
from ..sampled import Point3
from .guard import guard
from .image_axes import describe_labels, drop_single, sample_number
from .image_stack import arrange_series
from .lazy_arrays import IMAGES, Index, LazyArray, LazyArrays
from .metadata import KEY
from .tiff import TiffMetadata
from .tiff_series import ImageSeries

_log = logging.getLogger(__name__)
MISSING = "is a zarr store, for which the package zarr is needed"
"""Message where the package is not installed."""
_MARKS = ("zarr.json", ".zgroup", ".zarray")
"""Files at the root of a store."""
_ZIP = (".zarr.zip", ".ozx")
_AXES = {
    "t": "time",
    "time": "time",
    "c": "channel",
    "channel": "channel",
    "z": "plane",
    "y": "y",
    "x": "x",
    "p": "position",
    "position": "position",
}
_OLD_AXES = ("t", "c", "z", "y", "x")
"""Axes of OME-Zarr before version 0.3."""


def is_zarr(path: Path) -> bool:
    """Whether a path is a zarr store: a folder with its metadata, or such a folder in a zip archive."""
    if path.is_dir():
        return any((path / name).is_file() for name in _MARKS)
    return path.name.lower().endswith(_ZIP) and path.is_file()


@contextmanager
def open_zarr(path: Path) -> Iterator[LazyArrays]:
    """Open a zarr store; nothing but its metadata is read.

    Raises:
        DataError: If it is damaged, or the package zarr is not installed.
    """
    with _open_root(path) as (root, zarr), guard(path, "the zarr store"):
        tree = _tree(path, root, zarr)
        yield tree


@dataclass(frozen=True)
class ZarrImage:
    """An image of an OME-Zarr in full resolution.

    Args:
        series: The image, with its axes and the distance of its samples.
        first: [m] Coordinates of the first sample (z, y, x); None where the store does not give them.
    """

    series: ImageSeries
    first: Point3 | None = None


@contextmanager
def open_image(path: Path, position: str | None = None) -> Iterator[ZarrImage]:
    """Open the image of an OME-Zarr.

    Args:
        path: The store.
        position: Number or name of the image, of a store with several; the first by default.

    Raises:
        DataError: If there is none, the store is damaged, or the package zarr is not installed.
    """
    with _open_root(path) as (root, zarr), guard(path, "the zarr store"):
        stored, images = _members(root, zarr)
        if not images:
            message = "holds no image of OME-Zarr (multiscales)"
            raise DataError(Diagnostic(str(path), message, "write it so, or as OME-TIFF or HDF5"))
        series = [_series(f"/{name}".rstrip("/"), group, stored) for name, group in images.items()]
        names = tuple(each.metadata.name for each in series)
        if len(series) > 1 and position is None:
            shown = describe_labels({"position": names}, "position")
            _log.warning(
                "%s: holds %d positions%s: the first is read; --position NAME for another", path, len(series), shown
            )
        remedy = "choose one by its number: --position 0"
        number = 0 if position is None else sample_number("position", position, len(series), names, str(path), remedy)
        yield ZarrImage(series[number], _first(list(images.values())[number]))


@contextmanager
def _open_root(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open the group or array at the root of a store; the second of the pair is the package zarr."""
    try:
        import zarr
    except ImportError as error:
        raise DataError(Diagnostic(str(path), MISSING, "pip install 'unflat[zarr]'")) from error
    with ExitStack() as stack:
        with guard(path, "the zarr store"):
            store = stack.enter_context(zarr.storage.ZipStore(path, mode="r")) if path.is_file() else path
            root = zarr.open(store, mode="r")
        yield root, zarr


def _members(root: Any, zarr: Any) -> tuple[dict[str, LazyArray], dict[str, Any]]:
    """List the arrays of a store by their path, and the groups that are images."""
    members = {"": root, **(dict(root.members(max_depth=None)) if isinstance(root, zarr.Group) else {})}
    stored = {f"/{name}": _lazy(array) for name, array in members.items() if isinstance(array, zarr.Array)}
    groups = {name: group for name, group in members.items() if isinstance(group, zarr.Group)}
    # Label images, which OME-Zarr keeps beside an image, are no positions.
    images = {name: group for name, group in groups.items() if _scales(group) and "labels" not in name.split("/")}
    return stored, images


def _tree(path: Path, root: Any, zarr: Any) -> LazyArrays:
    """List the arrays of a store, and its images by their role."""
    stored, images = _members(root, zarr)
    series = [_series(f"/{name}".rstrip("/"), group, stored) for name, group in images.items()]
    if not series:
        return LazyArrays(path, "zarr", {IMAGES: stored["/"]} if "/" in stored else stored)
    arrays, faults = arrange_series(series, str(path))
    return LazyArrays(path, "OME-Zarr", {**arrays, **stored}, {}, faults)


def _lazy(array: Any) -> LazyArray:
    """Present an array of a store, with the names that xarray gives its axes."""

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        return np.asarray(array.oindex[index] if index else array[...])

    attributes = dict(array.attrs)
    dimensions = getattr(array.metadata, "dimension_names", None) or attributes.get("_ARRAY_DIMENSIONS") or ()
    lazy = LazyArray(tuple(array.shape), np.dtype(array.dtype), fetch, {}, _axes(dimensions, len(array.shape)))
    absent = array.nchunks - array.nchunks_initialized
    if absent:
        remark = f"{absent} of {array.nchunks} chunks are not stored, and read as {array.fill_value}"
        lazy = replace(lazy, remarks=(remark,))
    units = attributes.get("units")
    return replace(lazy, attributes={"units": units}) if isinstance(units, str) else lazy


def _axes(names: Any, count: int) -> tuple[str, ...]:
    """Name the axes of an array; none, if it is no image."""
    axes = tuple(_AXES.get(str(name).lower(), "view") for name in names)
    return axes if len(axes) == count and {"y", "x"} <= set(axes) else ()


def _scales(group: Any) -> Mapping[str, Any] | None:
    """Return the description of an OME-Zarr image; None for any other group."""
    attributes = dict(group.attrs)
    described = attributes.get("ome", attributes)
    scales = described.get("multiscales") if isinstance(described, Mapping) else None
    return scales[0] if isinstance(scales, list) and scales and isinstance(scales[0], Mapping) else None


def _series(place: str, group: Any, stored: Mapping[str, LazyArray]) -> ImageSeries:
    """Return the full resolution of an OME-Zarr image with its metadata.

    Raises:
        DataError: If the image that is described is absent.
    """
    scales = _scales(group) or {}
    dataset = scales["datasets"][0]
    array = stored.get(f"{place}/{dataset['path']}")
    if array is None:
        message = f"the image {dataset['path']!r} that is described is absent"
        raise DataError(Diagnostic(f"{place or '/'}", message, "copy the store again"))
    described = scales.get("axes") or _OLD_AXES[-len(array.shape) :]
    axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in described]
    names = _axes([axis["name"] for axis in axes], len(array.shape))
    channels = _channels(group)
    named = replace(array, axes=names, labels={"channel": channels} if channels else {})
    size = {name: _size(axis, i, dataset, scales) for i, (name, axis) in enumerate(zip(names, axes, strict=False))}
    z, y, x = (size.get(name, math.nan) for name in ("plane", "y", "x"))
    name = str(scales.get("name") or place.strip("/") or "")
    own = group.attrs.get(KEY, "")
    metadata = TiffMetadata((z, y, x), own if isinstance(own, str) else "", name=name, channels=channels)
    return ImageSeries(drop_single(named), metadata)


def _size(axis: Mapping[str, Any], position: int, dataset: Mapping[str, Any], scales: Mapping[str, Any]) -> float:
    """Return the distance of samples along an axis [m]; NaN if it, or its unit, is unknown."""
    size, stated = 1.0, False
    for transformation in _transformations(dataset, scales):
        if transformation.get("type") == "scale":
            size, stated = size * float(transformation["scale"][position]), True
    try:
        return size * conversion_factor(str(axis.get("unit", "")), "m") if stated else math.nan
    except ValueError:
        return math.nan


def _transformations(dataset: Mapping[str, Any], scales: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the transformations of an image in the order in which they apply."""
    described = (dataset.get("coordinateTransformations"), scales.get("coordinateTransformations"))
    return [transformation for group in described for transformation in group or ()]


def _first(group: Any) -> Point3 | None:
    """[m] Coordinates of the first sample of an image (z, y, x); None where they, or their unit, are unknown."""
    scales = _scales(group) or {}
    axes = [axis if isinstance(axis, Mapping) else {} for axis in scales.get("axes", ())]
    places = [0.0] * len(axes)
    for transformation in _transformations(scales["datasets"][0], scales):
        kind = str(transformation.get("type"))
        for index, number in enumerate(transformation.get(kind, ())):
            is_scale = kind == "scale"
            places[index] = places[index] * float(number) if is_scale else places[index] + float(number)
    units = {
        str(axis.get("name")): (place, str(axis.get("unit", ""))) for axis, place in zip(axes, places, strict=True)
    }
    try:
        z, y, x = (units[name][0] * conversion_factor(units[name][1], "m") for name in "zyx")
    except (KeyError, ValueError):
        return None
    return z, y, x


def _channels(group: Any) -> tuple[str, ...]:
    """Return the names of the channels of an OME-Zarr image; empty if it gives none."""
    attributes = dict(group.attrs)
    described = attributes.get("ome", attributes)
    omero = described.get("omero") if isinstance(described, Mapping) else None
    channels = omero.get("channels", ()) if isinstance(omero, Mapping) else ()
    return tuple(str(channel.get("label", "")) for channel in channels if isinstance(channel, Mapping))
