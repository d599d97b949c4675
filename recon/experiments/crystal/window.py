"""Part of each frame that is read: the region of the config, and of a large scan a window around the Bragg peak.

The frames of a large scan are read one by one to find the peak, and then once more, a window around it alone. It holds
twice the box that is phased, so that masks, artifacts and symmetry are judged as on the whole frames.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition, AxisRange
from ...errors import ConfigError, DataError, DeviceError, Diagnostic
from ...io.checks import check_numbers
from ...io.lazy_arrays import Index, LazyArray, as_index
from ...memory import available_memory, format_bytes
from .config_acquisition import CrystalAcquisition
from .count_limits import CountLimits
from .crop import AUTO_LARGEST
from .schema import schema_of
from .survey import Survey, survey

LARGEST_WHOLE = 1 << 24
"""[voxel] Largest scan that is read as a whole."""
BYTES_PER_VOXEL = 40
"""[byte] Memory that reading and checking take for each voxel, at their peak."""
_BLOCK_BYTES, _LARGEST_BLOCK_BYTES = 32 << 20, 256 << 20
"""[byte] Size of a block of frames, and the largest one where more frames are stored together."""
_MARGIN = 16
"""[pixel] Margin of the window around twice the box."""


@dataclass(frozen=True)
class Window:
    """Window around the Bragg peak.

    Args:
        rows: Rows of the frames.
        columns: Columns of the frames.
        note: Sentence on it.
    """

    rows: slice
    columns: slice
    note: str


def region_slices(section: CrystalAcquisition, rows: int, columns: int) -> tuple[slice, slice]:
    """Return the rows and columns of the config's region.

    Raises:
        ConfigError: If it selects none, or reaches beyond the frames.
    """
    if section.region == "all":
        return slice(0, rows), slice(0, columns)
    y, x = (_part(text, n, noun) for text, n, noun in zip(section.region, (rows, columns), _NOUNS, strict=True))
    return y, x


_NOUNS = ("rows", "columns")


def _part(text: str, count: int, noun: str) -> slice:
    first, end = (int(number) if number.strip() else None for number in text.split(":"))
    start, stop, _ = slice(first, end).indices(count)
    beyond = any(edge is not None and not -count <= edge <= count for edge in (first, end))
    if beyond or stop <= start:
        problem = f"reaches beyond the {count} {noun}" if beyond else f"selects none of the {count} {noun}"
        raise ConfigError(Diagnostic("acquisition.region", f"{text!r} {problem}", f"they count from 0 to {count - 1}"))
    return slice(start, stop)


def pixel_ranges(acquisition: Acquisition) -> tuple[AxisRange, AxisRange]:
    """Return the parts of the rows and of the columns that an acquisition holds."""
    shape = acquisition["images"].shape
    y, x = (acquisition.ranges.get(axis, AxisRange(0, n)) for axis, n in zip("yx", shape[1:], strict=True))
    return y, x


def choose_window(
    section: CrystalAcquisition, arrays: Mapping[str, LazyArray], selection: Mapping[str, Index]
) -> Window | None:
    """Choose the part of the frames to read.

    Args:
        section: Settings.
        arrays: Arrays of the file by name, read in parts.
        selection: Selected frames, rows and columns.

    Returns:
        The window; None where the whole selection is read.

    Raises:
        DataError: If a number in a frame is none of a detector.
        DeviceError: If what is to be read does not fit into memory.
    """
    images = arrays.get("images")
    if images is None or len(images.shape) != 3:
        return None
    frames, rows, columns = (
        np.arange(n)[selection.get(axis, slice(None))]
        for axis, n in zip(("frame", "y", "x"), images.shape, strict=True)
    )
    voxels = frames.size * rows.size * columns.size
    if section.crop == "all" or voxels <= LARGEST_WHOLE:
        _require_memory(voxels)
        return None
    whole = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    seen = survey(lambda: _read_blocks(section, arrays, frames, whole), _flux(arrays.get("monitor"), frames))
    centre = _centre(section, seen, (frames.size, rows.size, columns.size), whole)
    parts = [_around(section, axis, c, part) for axis, c, part in zip((1, 2), centre, whole, strict=True)]
    size = (parts[0].stop - parts[0].start) * (parts[1].stop - parts[1].start)
    _require_memory(frames.size * size)
    shown = " and ".join(f"{noun} {part.start} to {part.stop - 1}" for noun, part in zip(_NOUNS, parts, strict=True))
    note = f"{shown} of {rows.size} x {columns.size} pixels are used, around {_PLACES[_place(section)]}"
    return Window(parts[0], parts[1], note)


_PLACES = {"auto": "the Bragg peak", "none": "the middle", "voxel": "acquisition.centre"}


def _place(section: CrystalAcquisition) -> str:
    return section.centre if isinstance(section.centre, str) else "voxel"


def _require_memory(voxels: int) -> None:
    """Refuse to read more than fits.

    Raises:
        DeviceError: If it does not.
    """
    need, have = voxels * BYTES_PER_VOXEL, available_memory()
    if need > have:
        message = (
            f"{voxels:,} voxels need about {format_bytes(need)} to be read, and {format_bytes(have)} are available"
        )
        remedy = "read a part: acquisition.region, as [100:356, 200:456], acquisition.frames, or acquisition.crop: auto"
        raise DeviceError(Diagnostic("acquisition", message, remedy))


def _centre(
    section: CrystalAcquisition, seen: Survey, shape: tuple[int, int, int], whole: tuple[slice, slice]
) -> tuple[int, int]:
    """Return the row and the column of the frames around which to read."""
    if isinstance(section.centre, str):
        _, y, x = seen.peak if section.centre == "auto" else tuple(n // 2 for n in shape)
        return y + int(whole[0].start), x + int(whole[1].start)
    return section.centre[1], section.centre[2]


def _around(section: CrystalAcquisition, axis: int, centre: int, whole: slice) -> slice:
    """Return the part of an axis around a pixel that holds twice the box, as far as there are pixels."""
    box = AUTO_LARGEST * section.bin[axis] if isinstance(section.crop, str) else section.crop[axis]
    reach = box + _MARGIN
    first, end = max(centre - reach, int(whole.start)), min(centre + reach, int(whole.stop))
    return slice(first, end) if first < end else whole


def _flux(monitor: LazyArray | None, frames: np.ndarray) -> Float[np.ndarray, " frame"]:
    """Return the flux in each frame by the monitor; 1 without one that can be used."""
    readings = np.ravel(monitor.read()).astype(float) if monitor is not None else np.ones(0)
    if readings.size > int(frames.max()) and readings.size != frames.size:
        readings = readings[frames]
    if readings.size != frames.size or not (np.isfinite(readings) & (readings > 0)).all():
        return np.ones(frames.size)
    return np.asarray(readings / readings.mean())


def _read_blocks(
    section: CrystalAcquisition, arrays: Mapping[str, LazyArray], frames: np.ndarray, whole: tuple[slice, slice]
) -> Iterator[tuple[Float[np.ndarray, "frame y x"], Bool[np.ndarray, "frame y x"]]]:
    """Read the frames a few at a time, each once: counts, 0 where they are not good, and good pixels.

    Raises:
        DataError: If a number that is not masked is none of a detector.
    """
    images, mask = arrays["images"], arrays.get("mask")
    saturation = CountLimits.of(section.saturation, arrays).saturation
    still = np.asarray(mask.fetch(whole))[None] if mask is not None and len(mask.shape) == 2 else None
    for part in _blocks(frames, images):
        index = (as_index(part), *whole)
        counts = np.asarray(images.fetch(index), np.float32)
        bad = still if mask is None or still is not None else np.asarray(mask.fetch(index))
        bad = np.zeros((1, 1, 1), np.uint8) if bad is None else bad
        good = np.isfinite(counts) & (bad == 0)
        counts = np.where(good, counts, 0)
        if counts.min(initial=0) < 0 or not (good | (bad != 0)).all():
            _require_counts(section, images, index, np.broadcast_to(bad, counts.shape))
        if saturation is not None:
            good &= counts < saturation
        yield counts, good


def _require_counts(section: CrystalAcquisition, images: LazyArray, index: tuple[Index, ...], mask: np.ndarray) -> None:
    """Refuse negative counts, unless they are noise, and numbers that are not finite where they stand for no gap."""
    entry = next(entry for entry in schema_of(section) if entry.name == "images")
    counts = images.fetch(index)
    if images.attributes.get("marks_gaps"):
        mask = np.where(np.isfinite(counts), mask, 1)
    if faults := check_numbers(entry, counts, images.origin, index, mask):
        raise DataError(*faults)


def _blocks(frames: np.ndarray, images: LazyArray) -> list[np.ndarray]:
    """Divide frames into blocks of those that are stored together, of a size that fits into memory."""
    frame_bytes = 4 * images.shape[1] * images.shape[2]
    together = max(1, images.block)
    most = max(1, (_LARGEST_BLOCK_BYTES if together > 1 else _BLOCK_BYTES) // frame_bytes)
    size = max(1, together * max(1, min(most, _BLOCK_BYTES // frame_bytes) // together)) if together <= most else most
    ends = np.flatnonzero(np.diff(frames // size)) + 1
    return np.split(frames, ends)
