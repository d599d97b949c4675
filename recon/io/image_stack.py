"""TIFF stacks of images as named arrays.

The images stand at ``/measurement/images``, and the pixel size of an OME-TIFF or ImageJ stack at
``/instrument/pixel_size``: the paths of our own files. The positions of the planes of focus stand at ``/plane_z``. In a
file whose series differ, each stands at ``/series/0``, ``/series/1``….
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from .guard import guard
from .image_axes import ImageChoice, take_image
from .lazy_arrays import IMAGES, PIXEL_SIZE, PLANE_Z, LazyArray, LazyArrays
from .tiff import TiffMetadata, open_tiff
from .tiff_series import ImageSeries, files_of_set, read_series, stack_positions

_LARGEST_DISAGREEMENT = 0.02
"""Largest relative difference of two statements of one distance of planes."""


@contextmanager
def open_stack(path: Path) -> Iterator[LazyArrays]:
    """Open a TIFF of one or several pages, or an OME-TIFF, as arrays.

    Raises:
        DataError: If the file is damaged.
    """
    with ExitStack() as stack:
        with guard(path, "the TIFF"):
            tiff = stack.enter_context(open_tiff(path))
            arrays, faults = arrange_series(read_series(tiff, str(path)), str(path))
            form = "OME-TIFF" if tiff.is_ome else "TIFF"
            tree = LazyArrays(path, form, arrays, {}, faults, files_of_set(tiff))
        yield tree


def read_image(
    source: Path | BytesIO, choice: ImageChoice | None = None, place: str = ""
) -> tuple[np.ndarray, TiffMetadata]:
    """Read the images of a TIFF with their metadata.

    Args:
        source: The file.
        choice: Position, channel, time and plane to take.
        place: Place of the file, for messages.

    Returns:
        Image (y, x) or stack (stack, y, x), and the metadata of the first image.

    Raises:
        DataError: If it holds several channels, positions or kinds of images, and none is chosen.
        ValueError: If it holds no image; tifffile raises other exceptions for a damaged file.
    """
    place = place or str(source)
    with open_images(source, place) as (array, metadata):
        return take_image(array, choice or ImageChoice(), "image", place).read(), metadata


@contextmanager
def open_images(source: Path | BytesIO, place: str) -> Iterator[tuple[LazyArray, TiffMetadata]]:
    """Open a TIFF as one array with named axes, and the metadata of its first image.

    Args:
        source: The file.
        place: Place of the file, for messages.

    Raises:
        DataError: If it holds images of several kinds.
        ValueError: If it holds no image; tifffile raises other exceptions for a damaged file.
    """
    with open_tiff(source) as tiff:
        if not tiff.pages:
            raise ValueError("it holds no image")
        series = read_series(tiff, place)
        array = stack_positions(series)
        if array is None:
            raise DataError(_mixture(place, series, "save the one to use in a file of its own"))
        yield array, series[0].metadata


def arrange_series(series: Sequence[ImageSeries], place: str) -> tuple[dict[str, LazyArray], dict[str, Diagnostic]]:
    """Present series as arrays: one stack of all positions, with what belongs to it, or each by its number.

    Args:
        series: Series of one file.
        place: Path of the file, for messages.

    Returns:
        Arrays by path, and the faults of those that cannot be used.
    """
    images = stack_positions(series)
    arrays: dict[str, LazyArray] = {}
    faults: dict[str, Diagnostic] = {}
    if images is None:
        faults[IMAGES] = _mixture(f"{place}:{IMAGES}", series)
        arrays |= {f"/series/{i}": each.array for i, each in enumerate(series)}
    else:
        arrays[IMAGES], planes = _with_planes(series, images)
        if planes is not None:
            arrays[PLANE_Z] = planes
    sizes = {each.metadata.size[1:] for each in series if each.metadata.has_pixel_size}
    if len(sizes) == 1 and all(each.metadata.has_pixel_size for each in series):
        arrays[PIXEL_SIZE] = LazyArray.of(np.array(sizes.pop()), {"units": "m"})
    return arrays, faults


def _mixture(place: str, series: Sequence[ImageSeries], remedy: str = "") -> Diagnostic:
    """Describe a file that holds images of several kinds."""
    contents = [f"/series/{i} {each.describe()}" for i, each in enumerate(series)]
    message = f"it holds images of {len(series)} kinds: {', '.join(contents[:8])}{', …' * (len(contents) > 8)}"
    return Diagnostic(place, message, remedy or "name the one to use: acquisition.images: /series/0")


def _with_planes(series: Sequence[ImageSeries], images: LazyArray) -> tuple[LazyArray, LazyArray | None]:
    """Return the images, with a remark where the file contradicts itself, and the positions of their planes of focus.

    The positions [m] are relative to the middle plane, and None if they are unknown. Their axes are ``plane``, or
    ``position plane`` where several positions are stacked.
    """
    if "plane" not in images.axes:
        return images, None
    count = images.shape[images.axes.index("plane")]
    stacked = "position" in images.axes
    try:
        rows = [_plane_offsets(each.metadata, count) for each in (series if stacked else series[:1])]
    except ValueError as error:
        return replace(images, remarks=(*images.remarks, str(error))), None
    if not all(row.size for row in rows):
        return images, None
    source = "PositionZ of its planes" if series[0].metadata.plane_z else "its distance of planes"
    remark = f"the planes of focus are at {rows[0][0] * 1e6:.4g} … {rows[0][-1] * 1e6:.4g} um, by {source}"
    array = LazyArray.of(np.array(rows) if stacked else rows[0], {"units": "m"})
    axes = ("position", "plane") if stacked else ("plane",)
    return images, replace(array, axes=axes, labels=images.labels, remarks=(remark,))


def _plane_offsets(metadata: TiffMetadata, count: int) -> np.ndarray:
    """Positions of planes [m] relative to the middle one; empty if they are unknown.

    Raises:
        ValueError: If the recorded positions contradict the distance of planes.
    """
    step = metadata.size[0]
    positions = np.array(metadata.plane_z if len(metadata.plane_z) == count else ())
    if positions.size and np.ptp(positions) > 0:
        recorded = float(np.mean(np.abs(np.diff(positions))))
        if math.isfinite(step) and abs(recorded / step - 1) > _LARGEST_DISAGREEMENT:
            raise ValueError(
                f"PositionZ of its planes ({recorded * 1e6:.4g} um apart) contradicts PhysicalSizeZ "
                f"({step * 1e6:.4g} um): neither is used"
            )
        return np.asarray(positions - positions[count // 2])
    return (np.arange(count) - count // 2) * step if math.isfinite(step) else np.zeros(0)
