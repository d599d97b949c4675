"""Readings along a rocking curve, one for each frame: matched with the frames, and completed where some are missing.

A scan that was stopped leaves a frame without readings, or readings without a frame; some files hold one more reading
than frames. Nothing is left out in silence.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic

_log = logging.getLogger(__name__)
_MOST_MISSING = 0.25
"""Largest fraction of a circle's readings that may be missing."""
STEADY_ENERGY = 2e-4
"""Largest relative range of an energy that does not move: a hundredth of it is the noise of a read-back."""


@dataclass(frozen=True)
class FrameSelection:
    """Frames of a file that are used.

    Args:
        indices: Indices of the frames in the file, in their order in the acquisition.
        total: Number of frames in the file.
    """

    indices: tuple[int, ...]
    total: int

    @property
    def stride(self) -> int:
        """Distance of the frames in the file; negative for a curve that is reversed, 1 for frames that are sorted."""
        steps = set(np.diff(self.indices).tolist())
        return steps.pop() if len(steps) == 1 else 1

    def without_last(self) -> "FrameSelection":
        """Return the selection without the last frame of the file."""
        return FrameSelection(tuple(i for i in self.indices if i != self.total - 1), self.total)


def match_readings(
    acquisition: Acquisition, names: Sequence[str], selection: FrameSelection
) -> tuple[Acquisition, FrameSelection]:
    """Select the readings of the frames that are used, and leave out a last frame that has none.

    Args:
        acquisition: Acquisition with all readings of the file among its arrays.
        names: Names of the arrays with one number, or one for each frame; absent ones are ignored. A constant series
            becomes one number, except the monitor.
        selection: Frames of the acquisition's images.

    Raises:
        DataError: If there are more or fewer readings than frames, by more than one.
    """
    series = {name: acquisition[name] for name in names if name in acquisition and acquisition[name].ndim == 1}
    still = {name: values[:1].reshape(()) for name, values in series.items() if name != "monitor" and _is_still(values)}
    moving = {name: values for name, values in series.items() if name not in still}
    total, used = selection.total, len(selection.indices)
    faults = [
        _count_fault(acquisition.place(name), len(values), total)
        for name, values in moving.items()
        if len(values) not in (total - 1, total, total + 1, used)
    ]
    if faults:
        raise DataError(*faults)
    short = [name for name, values in moving.items() if len(values) == total - 1 and used != total - 1]
    if short and total - 1 in selection.indices:
        counted = f"{total - 1} readings for {total} frames"
        _log.warning("%s: %s; the last frame, which has none, is left out", acquisition.place(short[0]), counted)
        acquisition, selection = _drop_last(acquisition, selection), selection.without_last()
    matched = {name: _select(values, selection, acquisition.place(name)) for name, values in moving.items()}
    return replace(acquisition, arrays={**acquisition.arrays, **still, **matched}), selection


def complete_readings(name: str, values: np.ndarray, place: str) -> np.ndarray:
    """Replace readings that were not recorded (NaN) by those of a straight line, and jumps by a turn (359° to 0°).

    Args:
        name: Name of the circle, for messages.
        values: [rad] One reading, or one for each frame.
        place: Place of the readings, for messages.

    Raises:
        DataError: If too many are missing.
    """
    recorded = np.isfinite(values)
    if recorded.all():
        return np.asarray(np.unwrap(values)) if np.ndim(values) else values
    count, missing = np.size(values), int(np.size(values) - recorded.sum())
    if np.ndim(values) == 0 or missing > _MOST_MISSING * count:
        remedy = f"give its angle in the config: acquisition.goniometer.angles.{name}, as '17.2 deg'"
        raise DataError(Diagnostic(place, f"{missing} of {count} readings of {name} are no numbers", remedy))
    first = int(np.argmin(recorded))
    _log.warning(
        "%s: %d of %d readings of %s are no numbers, the first of frame %d; they are taken from a straight line "
        "through the others", place, missing, count, name, first,
    )  # fmt: skip
    frames, smooth = np.arange(count), np.array(values)
    smooth[recorded] = np.unwrap(values[recorded])
    line = np.polyval(np.polyfit(frames[recorded], smooth[recorded], 1), frames)
    return np.asarray(np.where(recorded, smooth, line))


def require_steady_energy(acquisition: Acquisition) -> Acquisition:
    """Replace one wavelength for each frame by its mean; refuse those of an energy scan.

    Raises:
        DataError: If the wavelength moves.
    """
    if "wavelength" not in acquisition or acquisition["wavelength"].ndim == 0:
        return acquisition
    waves = acquisition["wavelength"]
    if not np.ptp(waves) <= STEADY_ENERGY * abs(waves.mean()):
        message = f"the wavelength moves from {1e9 * waves[0]:.6g} to {1e9 * waves[-1]:.6g} nm: it is an energy scan"
        raise DataError(Diagnostic(acquisition.place("wavelength"), message, ENERGY_REMEDY))
    return replace(acquisition, arrays={**acquisition.arrays, "wavelength": np.array(waves.mean())})


ENERGY_REMEDY = "unflat phases rocking curves, along which the crystal turns at one energy; use such a scan"
"""Remedy for a scan of the energy."""


def _is_still(values: Float[np.ndarray, " reading"]) -> bool:
    return bool((values == values[0]).all())


def _count_fault(place: str, count: int, total: int) -> Diagnostic:
    message = f"{count} readings for {total} frames"
    remedy = "name the readings of this scan, or one number; frames are left out by acquisition.frames"
    return Diagnostic(place, message, remedy)


def _drop_last(acquisition: Acquisition, selection: FrameSelection) -> Acquisition:
    """Leave out the file's last frame, in the arrays that have one entry for each frame that is used."""
    positions = [position for position, index in enumerate(selection.indices) if index != selection.total - 1]
    images = acquisition["images"]
    arrays: dict[str, np.ndarray] = {"images": images[positions]}
    for name, ndim in (("mask", 3), ("monitor", 1)):
        if name in acquisition and acquisition[name].ndim == ndim and len(acquisition[name]) == len(images):
            arrays[name] = acquisition[name][positions]
    return replace(acquisition, arrays={**acquisition.arrays, **arrays})


def _select(values: Float[np.ndarray, " reading"], selection: FrameSelection, place: str) -> np.ndarray:
    """Select the readings of the frames that are used."""
    count, used = len(values), len(selection.indices)
    if count == used and count != selection.total:
        if selection.indices != tuple(range(used)):
            frames = f"{selection.indices[0]} to {selection.indices[-1]}"
            _log.warning("%s: %d readings, taken for those of the frames that are used, %s", place, count, frames)
        return values
    if count > selection.total:
        _log.warning("%s: %d readings for %d frames; the last one is left out", place, count, selection.total)
    return values[list(selection.indices)]
