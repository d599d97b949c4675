"""Circles of a diffractometer in files and configs: definition, readings, and the one that was scanned.

In unflat's files they are the group ``/instrument/goniometer``, a chain of NeXus transformations: a dataset [rad] of
one number or one a frame for each circle. The group's attributes are ``beamline``, or the circles themselves in the
words of the config: ``sample`` (``["mu -y", "eta -x", "phi -y"]``, the outermost first), ``detector``, ``rows``,
``columns``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....physics.diffraction.diffractometer import BEAMLINES, Circle, Diffractometer, Goniometer
from ...acquisition import Dataset, Group
from ...config.entries import Entry
from ...config.source import Source
from ...errors import DataError, Diagnostic

GROUP = "/instrument/goniometer"
PREFIX = "goniometer.angles."
STEP, DIRECT_BEAM = "goniometer.step", "goniometer.direct_beam"
_MOST_STEP = 0.05
"""[rad] Largest step from frame to frame of a rocking curve."""
_STILL = 1e-9
"""[rad] Largest difference of readings of a circle at rest."""
_UNEVEN = 0.5
"""Largest deviation of a reading from even steps, in steps."""


@dataclass(frozen=True)
class ScanCircles:
    """Circles of a scan and the sources of their readings.

    Args:
        machine: The diffractometer.
        sources: Sources of the readings by entry name; entries that are left out are read from ``GROUP``.
        scanned: Name of the circle that moved; empty if neither config nor file names it.
    """

    machine: Diffractometer
    sources: Mapping[str, Source] = field(default_factory=dict)
    scanned: str = ""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Arrays of an acquisition that hold the readings."""
        angles = (
            Entry(
                f"{PREFIX}{circle.name}", f"{GROUP}/{circle.name}", ((), ("frame",)), "rad", f"angle of {circle.name}"
            )
            for circle in self.machine.circles
        )
        step = Entry(STEP, f"{GROUP}/step", ((),), "rad", "turn of the scanned circle from frame to frame")
        beam = Entry(
            DIRECT_BEAM, f"{GROUP}/direct_beam", (("2",),), "1", "pixel (y, x) to which the detector's angles point"
        )
        return (*angles, step, beam)


def parse_diffractometer(definition: Mapping[str, Any]) -> Diffractometer | None:
    """Build a diffractometer from a config's section or a group's attributes.

    Args:
        definition: ``beamline``, or ``sample``, ``detector``, ``rows`` and ``columns``, which override the beamline's.

    Returns:
        The diffractometer; None if the definition is empty.

    Raises:
        ValueError: If the beamline is unknown, or the circles make no diffractometer.
    """
    name = _text(definition.get("beamline") or "")
    sample, detector = (tuple(map(_text, _as_list(definition.get(key)))) for key in ("sample", "detector"))
    if not name and not sample:
        return None
    if name and name not in BEAMLINES:
        raise ValueError(f"the circles of {name!r} are not known; name them, or one of {', '.join(BEAMLINES)}")
    known = BEAMLINES.get(name)
    rows, columns = (_text(definition.get(key) or "") for key in ("rows", "columns"))
    return Diffractometer(
        tuple(map(Circle.parse, sample)) or (known.sample if known else ()),
        tuple(map(Circle.parse, detector)) or (known.detector if known else ()),
        rows or (known.rows if known else "-y"),
        columns or (known.columns if known else "x"),
    )


def make_goniometer(
    circles: ScanCircles, arrays: Mapping[str, np.ndarray], places: Mapping[str, str], *, frames: int, stride: int = 1
) -> Goniometer:
    """Combine the readings of the circles during a scan.

    Args:
        circles: Circles of the scan.
        arrays: Readings by the names of :attr:`ScanCircles.entries`.
        places: Origin of each array, for messages.
        frames: Number of frames of the curve.
        stride: Frames of the file from one of them to the next; multiplies a step that was read.

    Raises:
        DataError: If an angle looks like degrees, none or several circles moved, or one moved unevenly.
    """
    machine = circles.machine
    angles = {name.removeprefix(PREFIX): values for name, values in arrays.items() if name.startswith(PREFIX)}
    angle_places = {name: places.get(f"{PREFIX}{name}", name) for name in angles}
    faults = [
        fault for name, values in angles.items() for fault in _degree_faults(machine, name, values, angle_places[name])
    ]
    if faults:
        raise DataError(*faults)
    scanned = circles.scanned or _detect_scanned(machine, angles, angle_places)
    step = arrays.get(STEP)
    if step is not None and np.ndim(angles.get(scanned, 0.0)) == 0:
        rest = next(circle.rest for circle in machine.circles if circle.name == scanned)
        middle = angles.get(scanned, np.array(rest))
        angles[scanned] = middle + (np.arange(frames) - frames // 2) * float(step) * stride
    beam = arrays.get(DIRECT_BEAM)
    goniometer = Goniometer(machine, angles, scanned, None if beam is None else (float(beam[0]), float(beam[1])))
    _require_even(goniometer, angle_places.get(scanned, scanned), places.get(STEP, "acquisition.goniometer.step"))
    return goniometer


def goniometer_group(goniometer: Goniometer) -> Group:
    """Convert a goniometer to a part of an acquisition, as a chain of NeXus transformations."""
    machine = goniometer.machine
    beamline = next((name for name, known in BEAMLINES.items() if known == machine), "")
    attributes: dict[str, Any] = {"NX_class": "NXtransformations", "scanned": goniometer.scanned}
    attributes |= {"beamline": beamline} if beamline else {}
    attributes |= {"rows": machine.rows, "columns": machine.columns}
    datasets: dict[str, Dataset] = {}
    for key, circles in (("sample", machine.sample), ("detector", machine.detector)):
        attributes[key] = [f"{circle.name} {circle.axis}" for circle in circles]
        outer = "."
        for circle in circles:
            angle = np.asarray(goniometer.angles.get(circle.name, circle.rest))
            datasets[circle.name] = Dataset(angle, "rad", _rotation_attributes(circle, outer))
            outer = circle.name
    if goniometer.direct_beam is not None:
        datasets["direct_beam"] = Dataset(np.array(goniometer.direct_beam), "1")
    return Group(datasets, attributes)


def _rotation_attributes(circle: Circle, outer: str) -> dict[str, Any]:
    """Attributes of a NeXus rotation; ``outer`` is the circle that carries it, ``.`` for none."""
    sign, letter = (-1.0 if circle.axis.startswith("-") else 1.0), circle.axis[-1]
    vector = [sign * (letter == axis) for axis in "xyz"]
    return {"transformation_type": "rotation", "vector": vector, "depends_on": outer}


def _degree_faults(machine: Diffractometer, name: str, values: np.ndarray, place: str) -> list[Diagnostic]:
    """Find angles beyond the range of a circle in radians."""
    is_detector = name in {circle.name for circle in machine.detector}
    largest = float(np.abs(values).max()) if np.size(values) else 0.0
    if largest <= (np.pi if is_detector else 2 * np.pi):
        return []
    limit = "half a turn" if is_detector else "a turn"
    message = f"{name} at {largest:g} rad is more than {limit}; it looks like degrees"
    remedy = f"write the unit: acquisition.goniometer.angles.{name}: '{largest:g} deg', or '/path in deg'"
    return [Diagnostic(place, message, remedy)]


def _detect_scanned(machine: Diffractometer, angles: Mapping[str, np.ndarray], places: Mapping[str, str]) -> str:
    """Name the circle of the crystal whose readings differ from frame to frame."""
    moving = {name for name, values in angles.items() if np.size(values) > 1 and float(np.ptp(values)) > _STILL}
    names = [circle.name for circle in machine.sample]
    moving_sample = [name for name in names if name in moving]
    moving_detector = moving - set(names)
    if moving_detector:
        name = min(moving_detector)
        message = f"{name} of the detector moved during the scan, by {np.degrees(np.ptp(angles[name])):.3g} degrees"
        raise DataError(
            Diagnostic(places[name], message, "a rocking curve turns the crystal; give the angle as one number")
        )
    if len(moving_sample) == 1:
        return moving_sample[0]
    remedy = f"set acquisition.goniometer.scanned (one of {', '.join(names)})"
    if moving_sample:
        message = f"several circles moved: {', '.join(moving_sample)}"
    else:
        message = "no circle's readings differ from frame to frame"
        remedy += " and acquisition.goniometer.step, as '0.005 deg'"
    raise DataError(Diagnostic("acquisition.goniometer", message, remedy))


def _require_even(goniometer: Goniometer, place: str, step_place: str) -> None:
    """Refuse a scanned circle that stood still, turned unevenly, or too far.

    Raises:
        DataError: If it did.
    """
    scanned = goniometer.scanned
    readings = goniometer.angles.get(scanned)
    if readings is None or np.size(readings) < 2:
        remedy = "set acquisition.goniometer.step, as '0.005 deg', or give one angle a frame"
        raise DataError(Diagnostic(place, f"the scanned circle {scanned} has no angle for each frame", remedy))
    step = goniometer.step
    if abs(step) < _STILL:
        raise DataError(
            Diagnostic(place, f"the scanned circle {scanned} stood still", "check which circle was scanned")
        )
    if abs(step) > _MOST_STEP:
        message = f"{scanned} turns by {step:g} rad ({np.degrees(step):.3g} degrees) from frame to frame"
        raise DataError(Diagnostic(step_place, f"{message}; it looks like degrees", f"write the unit: '{step:g} deg'"))
    line = np.polyval(np.polyfit(np.arange(len(readings)), readings, 1), np.arange(len(readings)))
    deviations = np.abs(readings - line)
    if deviations.max() > _UNEVEN * abs(step):
        frame = int(np.argmax(deviations))
        message = f"{scanned} turned unevenly: frame {frame} is {deviations[frame] / abs(step):.2g} steps off"
        raise DataError(Diagnostic(place, message, "a rocking curve has even steps; leave the frames out that are off"))


def _as_list(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | bytes) else tuple(value)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
