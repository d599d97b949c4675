"""Circles of a diffractometer in files and configs: definition, readings, and the one that was scanned.

In unflat's files they are the group ``/instrument/goniometer``, a chain of NeXus transformations: a dataset [rad] of
one number or one a frame for each circle. The group's attributes are ``beamline``, or the circles themselves in the
words of the config: ``sample`` (``["mu -y", "eta -x", "phi -y"]``, the outermost first), ``detector``, ``rows``,
``columns``.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....physics.diffraction.beamlines import BEAMLINES, find_beamline
from ....physics.diffraction.diffractometer import Circle, Diffractometer, Goniometer
from ...acquisition import Dataset, Group
from ...config.advice import exact
from ...config.entries import Entry
from ...config.source import Source
from ...errors import DataError, Diagnostic
from .readings import FrameSelection, complete_readings

_log = logging.getLogger(__name__)
GROUP = "/instrument/goniometer"
PREFIX = "goniometer.angles."
STEP, DIRECT_BEAM = "goniometer.step", "goniometer.direct_beam"


@dataclass(frozen=True)
class ScanCircles:
    """Circles of a scan and the sources of their readings.

    Args:
        machine: The diffractometer.
        sources: Sources of the readings by entry name; entries that are left out are read from ``GROUP``.
        scanned: Name of the circle that moved; empty if neither config nor file names it.
        note: Disagreement of published programs on the beamline, as far as the definition leaves it open.
    """

    machine: Diffractometer
    sources: Mapping[str, Source] = field(default_factory=dict)
    scanned: str = ""
    note: str = ""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Arrays of an acquisition that hold the readings, whose number may differ from that of the frames."""
        angles = (
            Entry(
                f"{PREFIX}{circle.name}",
                f"{GROUP}/{circle.name}",
                ((), (f"reading_of_{circle.name}",)),
                "rad",
                f"angle of {circle.name}",
                has_gaps=True,
                needs_unit=True,
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
    beamline = find_beamline(name) if name else None
    if name and beamline is None:
        raise ValueError(f"the circles of {name!r} are not known; name them, or one of {', '.join(BEAMLINES)}")
    known = beamline.machine if beamline else None
    rows, columns = (_text(definition.get(key) or "") for key in ("rows", "columns"))
    return Diffractometer(
        tuple(map(Circle.parse, sample)) or (known.sample if known else ()),
        tuple(map(Circle.parse, detector)) or (known.detector if known else ()),
        rows or (known.rows if known else "-y"),
        columns or (known.columns if known else "x"),
    )


def beamline_note(definition: Mapping[str, Any]) -> str:
    """Return the disagreement of published programs on a beamline; empty if the definition settles it.

    Args:
        definition: Definition of a diffractometer, as `parse_diffractometer` takes it.
    """
    beamline = find_beamline(_text(definition.get("beamline") or ""))
    if beamline is None or all(_as_list(definition.get(key)) for key in beamline.disputed):
        return ""
    keys = " and ".join(f"acquisition.goniometer.{key}" for key in beamline.disputed)
    return f"{beamline.name}: {beamline.note}; if that is not so at yours, set {keys}"


def make_goniometer(
    circles: ScanCircles, arrays: Mapping[str, np.ndarray], places: Mapping[str, str], selection: FrameSelection
) -> Goniometer:
    """Combine the readings of the circles during a scan.

    Args:
        circles: Circles of the scan.
        arrays: Readings by the names of :attr:`ScanCircles.entries`.
        places: Origin of each array, for messages.
        selection: Frames of the curve; their distance in the file multiplies a step that was read.

    Raises:
        DataError: If an angle looks like degrees, or too many readings are missing.
    """
    machine = circles.machine
    names = {name: name.removeprefix(PREFIX) for name in arrays if name.startswith(PREFIX)}
    faults = [
        fault
        for key, name in names.items()
        for fault in _degree_faults(machine, name, arrays[key], places.get(key, key))
    ]
    if faults:
        raise DataError(*faults)
    angles = {name: complete_readings(name, arrays[key], places.get(key, name)) for key, name in names.items()}
    if at_rest := [circle.name for circle in machine.circles if circle.name not in angles]:
        _log.info("taken to be at rest, without readings: %s", ", ".join(at_rest))
    step, scanned = arrays.get(STEP), circles.scanned
    if step is not None and scanned and np.ndim(angles.get(scanned, 0.0)) == 0:
        rest = next(circle.rest for circle in machine.circles if circle.name == scanned)
        middle, frames = angles.get(scanned, np.array(rest)), len(selection.indices)
        angles[scanned] = middle + (np.arange(frames) - frames // 2) * float(step) * selection.stride
    beam = arrays.get(DIRECT_BEAM)
    return Goniometer(machine, angles, scanned, None if beam is None else (float(beam[0]), float(beam[1])))


def goniometer_group(goniometer: Goniometer) -> Group:
    """Convert a goniometer to a part of an acquisition, as a chain of NeXus transformations."""
    machine = goniometer.machine
    beamline = next((name for name, known in BEAMLINES.items() if known.machine == machine), "")
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
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max()) if np.size(finite) else 0.0
    if largest <= (np.pi if is_detector else 2 * np.pi):
        return []
    limit, key = "half a turn" if is_detector else "a turn", f"acquisition.goniometer.angles.{name}"
    if place == key:
        message = f"{name} at {largest:g} rad is more than {limit}; it looks like degrees"
        return [Diagnostic(place, message, f"write the unit: {key}: '{exact(largest)} deg'")]
    message = f"{name} at {np.degrees(largest):g} degrees ({largest:g} rad) is more than {limit}"
    return [Diagnostic(place, message, f"name the unit of its readings: {key}: '/path in deg', or in mdeg")]


def _as_list(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | bytes) else tuple(value)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
