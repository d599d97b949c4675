"""The circles of a scan as files and configs tell them: which there are, how each stood, and which of them moved.

In our files they are the group ``/instrument/goniometer``, a chain of NeXus transformations: a dataset [rad] of one
number or one a frame for each circle. The group's attributes are ``beamline``, or the circles themselves in the words
of the config: ``sample`` (``["mu -y", "eta -x", "phi -y"]``, the outermost first), ``detector``, ``rows``, ``columns``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ....physics.diffraction.diffractometer import BEAMLINES, Circle, Diffractometer, Goniometer
from ...config.entries import Entry
from ...errors import DataError, Diagnostic

GROUP = "/instrument/goniometer"
PREFIX = "goniometer.angles."
STEP, DIRECT_BEAM = "goniometer.step", "goniometer.direct_beam"
_MOST_STEP = 0.05
"""[rad] A larger step from frame to frame is no rocking curve's."""
_STILL = 1e-9
_UNEVEN = 0.5


def machine_of(facts: Mapping[str, Any]) -> Diffractometer | None:
    """Make a diffractometer of what a config's section or a group's attributes say.

    Args:
        facts: ``beamline``, or ``sample``, ``detector``, ``rows`` and ``columns``, which go before the beamline's.

    Returns:
        The circles; None if nothing is said of them.

    Raises:
        ValueError: If the beamline is unknown, or the circles make no diffractometer.
    """
    name = _text(facts.get("beamline") or "")
    sample, detector = (tuple(map(_text, _listed(facts.get(key)))) for key in ("sample", "detector"))
    if not name and not sample:
        return None
    if name and name not in BEAMLINES:
        raise ValueError(f"the circles of {name!r} are not known; name them, or say one of {', '.join(BEAMLINES)}")
    known = BEAMLINES.get(name)
    rows, columns = (_text(facts.get(key) or "") for key in ("rows", "columns"))
    return Diffractometer(
        tuple(map(Circle.parse, sample)) or (known.sample if known else ()),
        tuple(map(Circle.parse, detector)) or (known.detector if known else ()),
        rows or (known.rows if known else "-y"),
        columns or (known.columns if known else "x"),
    )


def circle_entries(machine: Diffractometer) -> tuple[Entry, ...]:
    """What an acquisition may hold of a diffractometer's circles."""
    angles = (
        Entry(f"{PREFIX}{circle.name}", f"{GROUP}/{circle.name}", ((), ("frame",)), "rad", f"angle of {circle.name}")
        for circle in machine.circles
    )
    step = Entry(STEP, f"{GROUP}/step", ((),), "rad", "turn of the scanned circle from frame to frame")
    beam = Entry(
        DIRECT_BEAM, f"{GROUP}/direct_beam", (("2",),), "1", "pixel (y, x) to which the detector's angles point"
    )
    return (*angles, step, beam)


def goniometer_of(
    machine: Diffractometer,
    arrays: Mapping[str, np.ndarray],
    places: Mapping[str, str],
    *,
    frames: int,
    stride: int = 1,
    scanned: str = "",
) -> Goniometer:
    """Put together how the circles stood.

    Args:
        machine: The circles.
        arrays: By the names of :func:`circle_entries`.
        places: Where each of them was found, for messages.
        frames: Frames of the curve.
        stride: Frames of the file from one of them to the next, by which a step that was read is multiplied.
        scanned: Name of the circle that moved; empty for the one that the readings show to move.

    Raises:
        DataError: If an angle looks like degrees, none or several circles moved, or one moved unevenly.
    """
    angles = {name.removeprefix(PREFIX): values for name, values in arrays.items() if name.startswith(PREFIX)}
    where = {name: places.get(f"{PREFIX}{name}", name) for name in angles}
    faults = [fault for name, values in angles.items() for fault in _degree_faults(machine, name, values, where[name])]
    if faults:
        raise DataError(*faults)
    moved = scanned or _moved(machine, angles, where)
    given = arrays.get(STEP)
    if given is not None and np.ndim(angles.get(moved, 0.0)) == 0:
        rest = next(circle.rest for circle in machine.circles if circle.name == moved)
        middle = angles.get(moved, np.array(rest))
        angles[moved] = middle + (np.arange(frames) - frames // 2) * float(given) * stride
    beam = arrays.get(DIRECT_BEAM)
    found = Goniometer(machine, angles, moved, None if beam is None else (float(beam[0]), float(beam[1])))
    _require_even(found, where.get(moved, moved), places.get(STEP, "acquisition.goniometer.step"))
    return found


def write_circles(group: Any, goniometer: Goniometer) -> None:
    """Write how the circles stood into an empty group."""
    machine = goniometer.machine
    group.attrs.update({"NX_class": "NXtransformations", "scanned": goniometer.scanned})
    name = next((name for name, known in BEAMLINES.items() if known == machine), "")
    if name:
        group.attrs["beamline"] = name
    group.attrs.update({"rows": machine.rows, "columns": machine.columns})
    for key, circles in (("sample", machine.sample), ("detector", machine.detector)):
        group.attrs[key] = [f"{circle.name} {circle.axis}" for circle in circles]
        outer = "."
        for circle in circles:
            data = group.create_dataset(circle.name, data=goniometer.angles.get(circle.name, circle.rest))
            sign, letter = (-1.0 if circle.axis.startswith("-") else 1.0), circle.axis[-1]
            data.attrs.update(
                {
                    "units": "rad",
                    "transformation_type": "rotation",
                    "vector": [sign * (letter == axis) for axis in "xyz"],
                    "depends_on": outer,
                }
            )
            outer = circle.name
    if goniometer.direct_beam is not None:
        group.create_dataset("direct_beam", data=goniometer.direct_beam).attrs["units"] = "1"


def _degree_faults(machine: Diffractometer, name: str, values: np.ndarray, place: str) -> list[Diagnostic]:
    """Angles beyond what a circle can read in radians."""
    detector = name in {circle.name for circle in machine.detector}
    largest = float(np.abs(values).max()) if np.size(values) else 0.0
    if largest <= (np.pi if detector else 2 * np.pi):
        return []
    what = "half a turn" if detector else "a turn"
    message = f"{name} at {largest:g} rad is more than {what}; it looks like degrees"
    remedy = f"write the unit: acquisition.goniometer.angles.{name}: '{largest:g} deg', or '/path in deg'"
    return [Diagnostic(place, message, remedy)]


def _moved(machine: Diffractometer, angles: Mapping[str, np.ndarray], where: Mapping[str, str]) -> str:
    """The circle of the crystal whose readings differ from frame to frame."""
    moving = {name for name, values in angles.items() if np.size(values) > 1 and float(np.ptp(values)) > _STILL}
    names = [circle.name for circle in machine.sample]
    found = [name for name in names if name in moving]
    still = moving - set(names)
    if still:
        name = min(still)
        message = f"{name} of the detector moved during the scan, by {np.degrees(np.ptp(angles[name])):.3g} degrees"
        raise DataError(
            Diagnostic(where[name], message, "a rocking curve turns the crystal; give the angle as one number")
        )
    if len(found) == 1:
        return found[0]
    what = f"several circles moved: {', '.join(found)}" if found else "no circle's readings differ from frame to frame"
    remedy = f"say acquisition.goniometer.scanned (one of {', '.join(names)})"
    remedy += "" if found else " and acquisition.goniometer.step, as '0.005 deg'"
    raise DataError(Diagnostic("acquisition.goniometer", what, remedy))


def _require_even(found: Goniometer, where: str, where_step: str) -> None:
    """Refuse a circle that stood still, turned unevenly, or too far."""
    readings = found.angles.get(found.scanned)
    if readings is None or np.size(readings) < 2:
        remedy = "say acquisition.goniometer.step, as '0.005 deg', or give one angle a frame"
        raise DataError(Diagnostic(where, f"the scanned circle {found.scanned} has no angle for each frame", remedy))
    step = found.step
    if abs(step) < _STILL:
        raise DataError(
            Diagnostic(where, f"the scanned circle {found.scanned} stood still", "see which circle was scanned")
        )
    if abs(step) > _MOST_STEP:
        message = f"{found.scanned} turns by {step:g} rad ({np.degrees(step):.3g} degrees) from frame to frame"
        raise DataError(Diagnostic(where_step, f"{message}; it looks like degrees", f"write the unit: '{step:g} deg'"))
    line = np.polyval(np.polyfit(np.arange(len(readings)), readings, 1), np.arange(len(readings)))
    off = np.abs(readings - line)
    if off.max() > _UNEVEN * abs(step):
        frame = int(np.argmax(off))
        message = f"{found.scanned} turned unevenly: frame {frame} is {off[frame] / abs(step):.2g} steps off"
        raise DataError(Diagnostic(where, message, "a rocking curve has even steps; leave the frames out that are off"))


def _listed(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | bytes) else tuple(value)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
