"""Series of images in a TIFF: every page is in one of them, or is named as left out.

An OME or Micro-Manager file says which pages belong together: its series are positions of the stage. In any other file
pages of one size are one stack, however they were written: at once, or appended one by one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .colours import COLOURS, grey_where_equal, without_alpha
from .combine_arrays import stack
from .guard import COPY_AGAIN
from .image_axes import drop_single
from .lazy_arrays import Index, LazyArray, take
from .micromanager import position_labels, position_metadata, shortfall
from .ome_set import missing_files, shown
from .page_stacks import main_stacks
from .tiff import TiffMetadata, parse_ome_images, read_metadata

_AXES = {
    "Y": "y",
    "X": "x",
    "Z": "plane",
    "T": "time",
    "C": "channel",
    "S": "channel",
    "R": "position",
    "M": "position",
}
"""Names of tifffile's axes; all others are views."""
_INTERLEAVED = 1
"""TIFF's PlanarConfiguration of pixels whose samples follow one another; separate planes may be views."""
_ALPHA = (1, 2)
"""TIFF's ExtraSamples of transparency."""
_WHITE_IS_ZERO, _PALETTE = 0, 3
"""TIFF's PhotometricInterpretation of an inverted image, and of colours by number."""
_GROUPED = ("ome", "mmstack", "ndtiff")
"""Formats whose series are positions, whatever the sizes of their pages."""


@dataclass(frozen=True)
class ImageSeries:
    """Images of one kind in a file.

    Args:
        array: The images, with the names of their axes.
        metadata: Metadata of the first image.
        files: Names of the files that hold the images, where it is one of several positions.
    """

    array: LazyArray
    metadata: TiffMetadata
    files: frozenset[str] = frozenset()

    def describe(self) -> str:
        """Name, axes and sizes."""
        sizes = ", ".join(f"{axis} {n}" for axis, n in zip(self.array.axes, self.array.shape, strict=True))
        return f"({sizes}; {self.array.dtype}{f'; {self.metadata.name}' if self.metadata.name else ''})"


def read_series(tiff: Any, place: str) -> list[ImageSeries]:
    """List the series of an open TIFF.

    Args:
        tiff: The open file.
        place: Place of the file, for messages.

    Raises:
        DataError: If it holds no image, or images of its set are absent.
    """
    stored = [series for series in tiff.series if {"X", "Y"} <= set(series.axes)]
    if not stored:
        raise DataError(Diagnostic(place, "the TIFF holds no image", COPY_AGAIN))
    if stored[0].kind in _GROUPED:
        return _grouped_series(tiff, stored, place)
    main, left_out = main_stacks([_series_array(tiff, series, place) for series in stored], stored)
    metadata = read_metadata(tiff)
    remarks = [f"not used: {', '.join(left_out)}"] if left_out else []
    if tiff.is_ome:
        remarks.append("its OME-XML does not fit its pages, which are read without it")
        if missing := missing_files(tiff.ome_metadata, Path(tiff.filehandle.path)):
            remarks.append(f"its OME-XML names files that are not here: {shown(missing)}")
    return [ImageSeries(replace(array, remarks=(*array.remarks, *remarks)), metadata) for array in main]


def is_grouped(tiff: Any) -> bool:
    """Whether an open TIFF says which of its pages, or of those of other files, belong together."""
    return bool(tiff.series) and tiff.series[0].kind in _GROUPED


def files_of_set(tiff: Any) -> tuple[str, ...]:
    """Names of the files whose pages the series of an open TIFF hold; empty for a file that is no set."""
    if not is_grouped(tiff):
        return ()
    names = frozenset.union(*(_files_of(series) for series in tiff.series))
    return tuple(sorted(names)) if len(names) > 1 else ()


def _files_of(pages: Iterable[Any]) -> frozenset[str]:
    """Names of the files of pages."""
    return frozenset(str(page.parent.filehandle.name) for page in pages if page is not None)


def stack_positions(series: Sequence[ImageSeries]) -> LazyArray | None:
    """Stack series of one size along an axis ``position``; None if their sizes or types differ."""
    first = series[0].array
    if len(series) == 1:
        return first
    if any((s.array.shape, s.array.axes, s.array.dtype) != (first.shape, first.axes, first.dtype) for s in series):
        return None
    labels = {**first.labels, "position": tuple(s.metadata.name for s in series)}
    return replace(stack([s.array for s in series], "position"), labels=labels)


def _grouped_series(tiff: Any, stored: Sequence[Any], place: str) -> list[ImageSeries]:
    """List the series of a format that says which pages belong together."""
    images = parse_ome_images(tiff.ome_metadata)
    arrays: list[LazyArray] = []
    files: list[frozenset[str]] = []
    for each in stored:
        parts = _by_position(_series_array(tiff, each, place))
        arrays += parts
        files += _files_by_position(each, len(parts))
    if stored[0].kind == "mmstack":
        metadata, names = position_metadata(tiff, len(arrays), images), position_labels(tiff)
    else:
        metadata, names = _metadata_by_name(tiff, stored, images), [image.name for image in images]
    series = []
    for array, described, names_of_files in zip(arrays, metadata, files, strict=True):
        labels = {"channel": described.channels, **array.labels} if described.channels else array.labels
        series.append(ImageSeries(replace(array, labels=labels), described, names_of_files))
    remarks = shortfall(tiff, arrays[0]) if stored[0].kind == "mmstack" else []
    if len(names) > len(series):
        absent = [name for name in names if name not in {each.metadata.name for each in series}]
        remark = f"{len(names) - len(series)} of {len(names)} positions are in files that are not here"
        remark += f": {', '.join(absent[:6])}" if any(absent) and len(absent) < len(names) else ""
        missing = missing_files(tiff.ome_metadata, Path(tiff.filehandle.path))
        remarks.append(f"{remark} ({shown(missing)})" if missing else remark)
    first = series[0].array
    return [replace(series[0], array=replace(first, remarks=(*first.remarks, *remarks))), *series[1:]]


def _by_position(array: LazyArray) -> list[LazyArray]:
    """Split an array into one for each position."""
    if "position" not in array.axes:
        return [array]
    axis = array.axes.index("position")
    return [array.at(axis, i) for i in range(array.shape[axis])]


def _files_by_position(series: Any, count: int) -> list[frozenset[str]]:
    """Names of the files of each position of a stored series."""
    if count == 1:
        return [_files_of(series)]
    axis = next(i for i, letter in enumerate(series.axes) if _AXES.get(letter) == "position")
    lead = series.shape[: len(series.shape) - len(series.keyframe.shape)]
    numbers = np.moveaxis(np.arange(len(series)).reshape(lead), axis, 0).reshape(count, -1)
    pages = list(series)
    return [_files_of(pages[i] for i in row) for row in numbers]


def _metadata_by_name(tiff: Any, stored: Sequence[Any], images: Sequence[TiffMetadata]) -> list[TiffMetadata]:
    """Return the metadata of each stored series: those of the image at its place, or else of its name."""
    if len(images) == len(stored):
        return list(images)
    first, by_name = read_metadata(tiff), {image.name: image for image in images}
    return [by_name.get(each.name, replace(first, name=each.name)) for each in stored]


def _absent_images(series: Any) -> frozenset[int]:
    """Numbers of the images of a set that are in no file: tifffile reads zeros for them."""
    if series.kind not in _GROUPED:
        return frozenset()
    return frozenset(i for i, page in enumerate(series) if page is None or page.databytecounts[:1] == (0,))


def _require_present(absent: frozenset[int], keys: np.ndarray, series: Any, place: str, missing: Sequence[str]) -> None:
    """Refuse to read images that are absent.

    Args:
        absent: Numbers of the images that are.
        keys: Numbers of the images to read.
        series: Series of the images.
        place: Place of the file, for messages.
        missing: Names of the files of the set that are not here.

    Raises:
        DataError: If any is.
    """
    count = len(absent & set(keys.ravel().tolist()))
    if count:
        name = f" of {series.name!r}" if series.name else ""
        reason = f"not here: {shown(missing)}" if missing else "a file of the set is missing, or it was stopped"
        remedy = "copy all files of the set into one folder, or choose another position, time or plane"
        raise DataError(Diagnostic(place, f"{count} of {keys.size} images{name} are absent: {reason}", remedy))


def _series_array(tiff: Any, series: Any, place: str) -> LazyArray:
    """Return the images of one series, without axes of one sample, and without colour where there is none."""
    names = _axis_names(series.axes)
    labels: dict[str, tuple[str, ...]] = {}
    if "S" in series.axes and series.shape[series.axes.index("S")] in (len(COLOURS), len(COLOURS) + 1):
        labels["channel"] = (*COLOURS, "3")[: series.shape[series.axes.index("S")]]
    elif "C" in series.axes and (shown := _imagej_labels(tiff, series)):
        labels["channel"] = shown
    array = LazyArray(series.shape, series.dtype, _fetcher(tiff, series, place), {}, names, labels, _shades(series))
    array = _without_alpha(drop_single(array), series)
    return grey_where_equal(array, place) if "S" in series.axes and "channel" in array.axes else array


def _shades(series: Any) -> tuple[str, ...]:
    """Return a remark on pixels that are shown otherwise than as grey that rises with their numbers."""
    page = series.keyframe
    if page.photometric == _WHITE_IS_ZERO:
        return ("its 0 is white: its numbers, which fall with the light, are used as they are",)
    palette = page.colormap if page.photometric == _PALETTE else None
    if palette is None or ((palette == palette[:1]).all() and (np.diff(palette[0].astype(int)) >= 0).all()):
        return ()
    return ("its pixels are numbers of colours in a palette: the numbers are used, and not the colours",)


def _axis_names(axes: str) -> tuple[str, ...]:
    """Name tifffile's axes; of two of one name the second is ``colour``, or a further ``view``."""
    names: list[str] = []
    for letter in axes:
        name = _AXES.get(letter, "view")
        if name in names and name != "view":
            name = "colour" if letter == "S" else "view"
        names.append(name)
    return tuple(names)


def _imagej_labels(tiff: Any, series: Any) -> tuple[str, ...]:
    """Return the labels of ImageJ for the slices of the first channels, as the names of the channels."""
    labels = (tiff.imagej_metadata or {}).get("Labels") or ()
    lead = series.shape[: len(series.shape) - 2]
    if len(labels) != int(np.prod(lead)) or "C" not in series.axes[: len(lead)]:
        return ()
    grid = np.array([str(label) for label in labels], object).reshape(lead)
    first: tuple[slice | int, ...] = tuple(slice(None) if axis == "C" else 0 for axis in series.axes[: len(lead)])
    return tuple(grid[first])


def _fetcher(tiff: Any, series: Any, place: str) -> Any:
    """Return the function that reads a part of a series: only its pages where each image is one page."""
    shape = tuple(series.shape)
    page = series.keyframe.shape
    lead = shape[: len(shape) - len(page)]
    in_this_file = series.kind not in _GROUPED or all(each is None or each.parent is tiff for each in series)
    absent = _absent_images(series)
    missing = missing_files(tiff.ome_metadata, Path(tiff.filehandle.path)) if absent else []
    is_contiguous = in_this_file and not absent and series.dataoffset is not None

    @cache
    def whole() -> np.ndarray:
        if is_contiguous and tiff.filehandle.is_file:
            stored = tiff.filehandle.memmap_array(tiff.byteorder + series.dtype.char, shape, series.dataoffset)
            return np.asarray(stored)
        return np.asarray(series.asarray()).reshape(shape)

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        if not lead or is_contiguous or shape[len(lead) :] != page or len(series) != int(np.prod(lead)):
            _require_present(absent, np.arange(len(series)), series, place, missing)
            return np.array(take(whole(), index), series.dtype)
        chosen = [np.arange(n)[part] for n, part in zip(lead, index, strict=False)]
        keys = np.ravel_multi_index(np.ix_(*chosen), lead)
        _require_present(absent, keys, series, place, missing)
        images = np.asarray(series.asarray(key=keys.ravel().tolist())).reshape(*keys.shape, *page)
        return take(images, (*(slice(None) for _ in lead), *index[len(lead) :]))

    return fetch


def _without_alpha(array: LazyArray, series: Any) -> LazyArray:
    """Leave out an alpha channel, which follows the other samples of each pixel."""
    samples = [int(sample) for sample in series.keyframe.extrasamples or ()]
    if "S" not in series.axes or "channel" not in array.axes or not samples or samples[-1] not in _ALPHA:
        return array
    return without_alpha(array) if int(series.keyframe.planarconfig) == _INTERLEAVED else array
