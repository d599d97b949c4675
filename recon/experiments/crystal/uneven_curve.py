"""Rocking curve whose frames are not at even steps: their order by the angles, and the q of each.

Frames are put in the order of the angle that was scanned, so that back-steps and repeated frames lie beside those of
the same q. The position of a frame is its index plus an offset, in steps of the even curve nearest to them all, and its
transverse offsets are in pixels: both follow from the readings of all circles that moved.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ....physics.diffraction.diffractometer import Goniometer, Vector
from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic
from .crop import CropBox
from .diffractometer import PREFIX, ScanCircles
from .readings import FrameSelection

OFFSETS = "frame_offsets"
"""Array of an acquisition: offsets of each frame along (frame, y, x), in steps and pixels of the reciprocal basis."""
_LARGEST_GAP = 0.25
"""Largest distance of two neighbouring frames, relative to the whole curve."""
_LEAST_ANGLES = 8
"""Least number of angles that differ by a tenth of a mean step."""
_FEW = 0.1
"""Share of the readings up to which those behind a wide gap are single ones that failed."""
_SAME = 0.1
"""[step] Distance of two frames that are at one angle."""

_log = logging.getLogger(__name__)


def sort_frames(
    acquisition: Acquisition, circles: ScanCircles | None, selection: FrameSelection
) -> tuple[Acquisition, FrameSelection]:
    """Put the frames in the order of the scanned circle's angle; a curve without a back-step stays as it is.

    Args:
        acquisition: Acquisition with one reading for each frame among its arrays.
        circles: Circles of the scan; None if they are not known.
        selection: Frames of the file that it holds.
    """
    values = None if circles is None else _scanned_readings(acquisition, circles)
    if values is None or not np.isfinite(values).all():
        return acquisition, selection
    steps = np.diff(values)
    rising = values[-1] >= values[0] if abs(values[-1] - values[0]) > np.ptp(values) / 2 else True
    backward = int(np.sum(steps < 0 if rising else steps > 0))
    if not backward:
        return acquisition, selection
    order = np.argsort(values if rising else -values, kind="stable")
    _log.warning("the crystal stepped back %d times: the frames are taken in the order of their angles", backward)
    count = len(values)
    arrays = {
        name: array[order] if array.ndim and len(array) == count and _is_series(name, array) else array
        for name, array in acquisition.arrays.items()
    }
    indices = tuple(selection.indices[i] for i in order)
    return replace(acquisition, arrays=arrays), FrameSelection(indices, selection.total)


def _is_series(name: str, array: np.ndarray) -> bool:
    """Whether the first axis of an array of a matching length is the frame."""
    return name == "images" or (name == "mask" and array.ndim == 3) or name == "monitor" or name.startswith(PREFIX)


def _scanned_readings(acquisition: Acquisition, circles: ScanCircles) -> Float[np.ndarray, " frame"] | None:
    """Return the readings of the circle that turned the crystal; None if none has one for each frame."""
    frames = len(acquisition["images"])
    names = [circles.scanned] if circles.scanned else [circle.name for circle in circles.machine.sample]
    series = [acquisition.arrays.get(f"{PREFIX}{name}", np.zeros(())) for name in names]
    series = [np.unwrap(values) for values in series if values.shape == (frames,)]
    return max(series, key=np.ptp, default=None)


def frame_offsets(
    readings: Mapping[str, np.ndarray], motions: Mapping[str, Vector], basis: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "frame 3"]:
    """Compute the offsets of the frames from even steps, along (frame, y, x) of the basis.

    Args:
        readings: [rad] Readings of the circles that moved, one for each frame.
        motions: [1/m per rad] Change of q in the crystal by each circle.
        basis: [1/m] Rows: steps of q of (frame, y, x).
    """
    frames = np.arange(len(next(iter(readings.values()))))
    rest = np.zeros((len(frames), 3))
    for name, values in readings.items():
        rest += (values - np.polyval(np.polyfit(frames, values, 1), frames))[:, None] * motions[name]
    return np.asarray(rest @ np.linalg.inv(basis))


def require_curve(offsets: Float[np.ndarray, "frame 3"], goniometer: Goniometer, place: str) -> None:
    """Refuse angles that sample no curve: too few different ones, or a jump.

    Args:
        offsets: Offsets of the frames from even steps.
        goniometer: Positions of the circles.
        place: Origin of the readings of the scanned circle.

    Raises:
        DataError: If they do.
    """
    _require_near_readings(goniometer, place)
    positions = np.arange(len(offsets)) + offsets[:, 0]
    gaps = np.diff(np.sort(positions))
    different = 1 + int((gaps > _SAME).sum())
    name, remedy = goniometer.scanned, "give the readings of the circle that was scanned"
    if different < _LEAST_ANGLES:
        message = f"{name} stood at {different} different angles in {len(offsets)} frames"
        raise DataError(Diagnostic(place, message, f"a rocking curve has at least {_LEAST_ANGLES}; {remedy}"))
    widest = int(np.argmax(gaps))
    if gaps[widest] > _LARGEST_GAP * np.ptp(positions):
        step = np.degrees(abs(goniometer.steps[name]))
        message = f"{name} jumps by {gaps[widest]:.3g} steps ({gaps[widest] * step:.3g} degrees) between two frames"
        remedy = f"a quarter of the curve is not measured; correct the readings, or leave frames out: {_FRAMES}"
        raise DataError(Diagnostic(place, message, remedy))


_FRAMES = "acquisition.frames"


def _require_near_readings(goniometer: Goniometer, place: str) -> None:
    """Refuse single readings far from all others, as where an encoder failed.

    Raises:
        DataError: If there are any.
    """
    values = np.sort(goniometer.angles[goniometer.scanned])
    gaps = np.diff(values)
    first = int(np.argmax(gaps)) + 1  # First reading behind the widest gap.
    parts = sorted((values[:first], values[first:]), key=len)
    if len(parts[0]) > _FEW * len(values) or gaps[first - 1] <= _LARGEST_GAP * np.ptp(values):
        return
    far, near = (f"{np.degrees(part[0]):.5g} to {np.degrees(part[-1]):.5g} degrees" for part in parts)
    far = far if len(parts[0]) > 1 else f"{np.degrees(parts[0][0]):.5g} degrees"
    message = f"{len(parts[0])} of {len(values)} readings of {goniometer.scanned} lie apart: {far}, the others {near}"
    remedy = f"correct them, write nan where there was none, or leave frames out: {_FRAMES}"
    raise DataError(Diagnostic(place, message, remedy))


def describe_offsets(offsets: Float[np.ndarray, "frame 3"]) -> str:
    """Describe by how much a curve is not even."""
    along, across = np.abs(offsets[:, 0]).max(), np.linalg.norm(offsets[:, 1:], axis=1).max()
    gap = float(np.diff(np.sort(np.arange(len(offsets)) + offsets[:, 0])).max())
    parts = [f"up to {along:.2g} steps off even ones (widest gap {gap:.2g} steps)"] if along >= _SAME else []
    parts += [f"up to {across:.2g} pixels off the line of the curve"] if across >= _SAME else []
    return " and ".join(parts) or f"up to {max(along, across):.2g} steps off even ones"


def even_positions(count: int) -> Float[np.ndarray, "frame 3"]:
    """Positions of the frames of an even curve, as of one that is not."""
    positions = np.zeros((count, 3))
    positions[:, 0] = np.arange(count) - count // 2
    return positions


def box_positions(
    offsets: Float[np.ndarray, "frame 3"], box: CropBox, binning: int
) -> tuple[Float[np.ndarray, "bin 3"], float]:
    """Compute the positions of the frames of a crop box, on an even curve that just holds them.

    Args:
        offsets: Offsets of all frames from even steps.
        box: Box of the array.
        binning: Number of frames per bin; a bin is at the mean of its frames.

    Returns:
        Positions along the curve [step], from the middle ``n // 2``, and along y and x [pixel of the file]; and the
        step, relative to that of the array's basis times the binning. Frames beyond the data are at even steps.
    """
    count = len(offsets)
    index = np.arange(box.size[0]) + box.first[0]
    inside = (index >= 0) & (index < count)
    own = offsets[np.clip(index, 0, count - 1)] + np.array([1.0, 0.0, 0.0]) * index[:, None]
    binned = own.reshape(-1, binning, 3).mean(axis=1) / np.array([binning, 1, 1])
    is_measured = np.asarray(inside.reshape(-1, binning).all(axis=1))
    n = len(binned)
    middle = n // 2
    binned[:, 0] -= binned[middle, 0]
    measured = np.flatnonzero(is_measured)
    first, last = measured[0] - middle, measured[-1] - middle
    along = binned[is_measured, 0]
    scale = max(along.max() / max(last, 1), along.min() / min(first, -1))
    even = even_positions(n)
    binned[:, 0] /= scale
    return np.where(is_measured[:, None], binned, even), float(scale)
