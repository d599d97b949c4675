"""Motion of the circles during a scan, judged by what it does to q: at rest, drifting, or turning from frame to frame.

Several circles may turn together (a θ-2θ scan, a d2scan); the step of q is that of all of them.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ....physics.diffraction.diffractometer import Goniometer, Vector
from ...errors import DataError, Diagnostic

_log = logging.getLogger(__name__)
_STILL = 1e-9
"""[rad] Largest difference of readings of a circle that was not moved."""
_JITTER = 0.01
"""Largest motion of q by a circle at rest, in steps of q: the noise of a read-back."""
_TURNING = 0.1
"""Least step of q of a circle that turns from frame to frame, relative to that of all; others drift."""
_MOST_STEP = 0.05
"""[rad] Largest step from frame to frame of a rocking curve."""
_UNEVEN = 0.5
"""Largest deviation of q from even steps, in steps."""
TOLERANCE = 0.05
"""Deviation of q from even steps from which it is reported, and each frame is taken at its own q, in steps."""
_MOST_BEND = 1.0
"""Deviation of the ends of a curve from a straight line from which it is reported, in steps of q."""


@dataclass(frozen=True)
class _Series:
    """Readings of one circle, and their effect on q.

    Args:
        values: [rad] One reading for each frame.
        slope: [rad] Step from frame to frame, along a straight line through them.
        rest: [rad] Differences from that line.
        motion: [1/m per rad] Change of q by the circle.
    """

    values: Float[np.ndarray, " frame"]
    slope: float
    rest: Float[np.ndarray, " frame"]
    motion: Vector

    @property
    def step(self) -> Vector:
        """[1/m] Step of q by this circle."""
        return self.slope * self.motion

    @property
    def length(self) -> float:
        """[1/m] Length of the step of q."""
        return float(np.linalg.norm(self.step))

    @property
    def range(self) -> float:
        """[1/m] Length of the circle's whole motion of q."""
        return float(np.ptp(self.values) * np.linalg.norm(self.motion))


def settle_motion(
    goniometer: Goniometer,
    motions: Mapping[str, Vector],
    places: Mapping[str, str],
    scanned: str = "",
    *,
    require_even: bool = True,
) -> Goniometer:
    """Find the circles that moved, and report what is not an even turn of one of them.

    Args:
        goniometer: Positions of the circles, with the readings of the file.
        motions: [1/m per rad] Change of q in the crystal by each circle.
        places: Origin of each circle's readings, for messages.
        scanned: Name of the circle that was scanned, if config or file names it.
        require_even: Whether even steps of q are assumed.

    Returns:
        The positions, with one number for each circle at rest, and the circle that turned the crystal most.

    Raises:
        DataError: If no circle of the crystal turned, or the named one did not, or q moved too far, or unevenly where
            it must not.
    """
    series = {
        name: _examine(values, motions[name]) for name, values in goniometer.angles.items() if np.size(values) > 1
    }
    turning = [circle.name for circle in goniometer.machine.sample if circle.name in series]
    main = scanned or max(turning, key=lambda name: series[name].length, default="")
    _require_motion(goniometer, series, main, places, is_named=bool(scanned))
    step = sum((one.step for one in series.values()), np.zeros(3))
    length = float(np.linalg.norm(step))
    moved = {name: one for name, one in series.items() if one.range > _JITTER * length or name == main}
    _require_small_steps(moved, places)
    if require_even:
        _require_even(moved, length, places)
        _report_bend(moved[main], main)
    _report_other_motions(moved, main, length, places, "mean " if require_even else "")
    still = {name: np.array(one.values.mean()) for name, one in series.items() if name not in moved}
    return replace(goniometer, angles={**goniometer.angles, **still}, scanned=main)


def _examine(values: np.ndarray, motion: Vector) -> _Series:
    frames = np.arange(len(values))
    slope, start = np.polyfit(frames, values, 1)
    return _Series(values, float(slope), values - (slope * frames + start), motion)


def _require_motion(
    goniometer: Goniometer, series: Mapping[str, _Series], main: str, places: Mapping[str, str], *, is_named: bool
) -> None:
    """Refuse a scan along which no circle of the crystal turned, or not the one that is named.

    Raises:
        DataError: If it is one.
    """
    if main in series and np.ptp(series[main].values) > _STILL and series[main].length > 0:
        return
    if main and is_named:
        place = places.get(main, "acquisition.goniometer.scanned")
        if main not in series:
            remedy = "set acquisition.goniometer.step, as '0.005 deg', or give one angle a frame"
            raise DataError(Diagnostic(place, f"the scanned circle {main} has no angle for each frame", remedy))
        raise DataError(Diagnostic(place, f"the scanned circle {main} stood still", "check which circle was scanned"))
    others = [name for name, one in series.items() if np.ptp(one.values) > _STILL]
    if others:
        name = others[0]
        message = f"{name} of the detector moved during the scan, by {_degrees(np.ptp(series[name].values))} degrees"
        remedy = "give the angle of the crystal's circle that turned, one a frame: acquisition.goniometer.angles"
        raise DataError(Diagnostic(places.get(name, name), f"{message}, and no circle of the crystal", remedy))
    machine = goniometer.machine
    names = ", ".join(circle.name for circle in machine.sample)
    message = "no circle's readings differ from frame to frame"
    remedy = (
        f"give one angle a frame, as acquisition.goniometer.angles: {{{machine.sample[0].name}: /path in deg}} or "
        f"{{{machine.sample[0].name}: FILE:column}}, or set acquisition.goniometer.scanned (one of {names}) and "
        "acquisition.goniometer.step, as '0.005 deg'"
    )
    raise DataError(Diagnostic("acquisition.goniometer", message, remedy))


def _require_small_steps(moved: Mapping[str, _Series], places: Mapping[str, str]) -> None:
    """Refuse a circle that turns by degrees from frame to frame.

    Raises:
        DataError: If one does.
    """
    for name, one in moved.items():
        if abs(one.slope) > _MOST_STEP:
            message = f"{name} turns by {one.slope:g} rad ({_degrees(one.slope)} degrees) from frame to frame"
            remedy = f"write the unit: '{one.slope:.10g} deg'"
            raise DataError(Diagnostic(places.get(name, name), f"{message}; it looks like degrees", remedy))


def _report_other_motions(
    moved: Mapping[str, _Series], main: str, length: float, places: Mapping[str, str], mean: str
) -> None:
    """Report circles that turned beside the main one, or drifted, of which only the mean motion may count."""
    together = [name for name, one in moved.items() if name == main or one.length > _TURNING * length]
    if len(together) > 1:
        turns = " and ".join(f"{name} (by {_degrees(moved[name].slope)} degrees a frame)" for name in together)
        _log.warning("%s moved together; the step of q is that of all", turns)
    for name, one in moved.items():
        if name not in together:
            _log.warning(
                "%s: %s moved by %s degrees during the scan, %.2g steps of q; its %smotion is accounted for",
                places.get(name, name), name, _degrees(np.ptp(one.values)), one.range / length, mean,
            )  # fmt: skip


def _require_even(moved: Mapping[str, _Series], length: float, places: Mapping[str, str]) -> None:
    """Refuse uneven steps of q, and report those that are nearly even.

    Raises:
        DataError: If a frame is more than half a step off.
    """
    off = np.linalg.norm(sum(one.rest[:, None] * one.motion for one in moved.values()), axis=1) / length
    frame = int(np.argmax(off))
    name = max(moved, key=lambda name: abs(moved[name].rest[frame]) * np.linalg.norm(moved[name].motion))
    if off[frame] > TOLERANCE:
        steps = np.diff(moved[name].values)
        message = (
            f"{name} turned unevenly: frame {frame} is {off[frame]:.2g} steps off; its steps are "
            f"{_degrees(steps.min())} to {_degrees(steps.max())} degrees, the first {_degrees(steps[0])}, the last "
            f"{_degrees(steps[-1])}"
        )
        place = places.get(name, name)
        if off[frame] > _UNEVEN and abs(moved[name].slope) * len(steps) < np.ptp(moved[name].values) / 2:
            message = f"{name} went to and fro within {_degrees(np.ptp(moved[name].values))} degrees"
            remedy = "a rocking curve turns the crystal evenly; give the readings of the circle that was scanned"
            raise DataError(Diagnostic(place, message, remedy))
        if off[frame] > _UNEVEN:
            remedy = "a rocking curve has even steps; use the frames that are even: acquisition.frames"
            raise DataError(Diagnostic(place, message, remedy))
        _log.warning("%s: %s; even steps are assumed", place, message)


def _report_bend(series: _Series, name: str) -> None:
    """Report a curve so long that it bends."""
    span = float(np.ptp(series.values))
    bend = len(series.values) * span / 8
    if bend > _MOST_BEND:
        _log.warning(
            "the curve spans %s degrees of %s: its ends lie %.2g steps of q off the straight line that is assumed; "
            "acquisition.frames selects a part", _degrees(span), name, bend,
        )  # fmt: skip


def _degrees(angle: float) -> str:
    return f"{np.degrees(angle):.3g}"
