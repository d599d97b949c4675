"""Reciprocal basis and Bragg vector of a scan from its circles, at the Bragg peak."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ....physics.diffraction.diffractometer import (
    DetectorView,
    Goniometer,
    Reflection,
    Vector,
    compute_motions,
    compute_reflection,
)
from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic
from .artifacts import find_bragg_peak
from .diffractometer import GROUP, PREFIX, STEP, ScanCircles, goniometer_group, make_goniometer
from .geometry_checks import plane_faults
from .motion import TOLERANCE, settle_motion
from .readings import FrameSelection
from .schema import PATHS
from .uneven_curve import OFFSETS, describe_offsets, frame_offsets, require_curve
from .validate import good_voxels
from .window import pixel_ranges

_log = logging.getLogger(__name__)
_NEEDED = ("wavelength", "detector_distance", "pixel_size")
_LEAST_DEFLECTION = 1e-3
"""Least length of q of a Bragg peak, in units of k: the direct beam is wider."""
_DIFFERENT = 0.05
"""Relative difference of two bases above which they belong to different scans."""


def add_reflection(
    acquisition: Acquisition, circles: ScanCircles, selection: FrameSelection, *, require_even: bool = False
) -> Acquisition:
    """Derive the reciprocal basis and the Bragg vector from the circles, and the offsets of frames that are not even.

    Args:
        acquisition: Acquisition with the circles' readings among its arrays, valid except for its geometry.
        circles: Circles of the scan.
        selection: Frames of the file that the acquisition holds.
        require_even: Whether even steps are assumed, and a curve that is far from them is refused.

    Returns:
        The acquisition with the group ``GROUP`` in place of the readings. A basis that it had already is retained.

    Raises:
        DataError: If the readings are wrong or contradict the basis, or a length that is needed is unknown.
    """
    names = {entry.name for entry in circles.entries}
    arrays = {name: array for name, array in acquisition.arrays.items() if name not in names}
    readings = {name: array for name, array in acquisition.arrays.items() if name in names}
    where = f"{acquisition.source}:{GROUP}"
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        remedy = f"name it in the config: {', '.join(f'acquisition.{name}' for name in missing)}"
        raise DataError(Diagnostic(where, f"the steps of q cannot be found without {' and '.join(missing)}", remedy))
    goniometer = make_goniometer(circles, readings, acquisition.places, selection)
    goniometer = _in_read_frames(acquisition, goniometer)
    frame, view = _view_of_peak(acquisition, goniometer)
    _require_deflection(goniometer, frame, view, where)
    motions = compute_motions(goniometer.machine, goniometer.at(frame), view)
    named = {name.removeprefix(PREFIX): place for name, place in acquisition.places.items() if name.startswith(PREFIX)}
    goniometer = settle_motion(goniometer, motions, named, circles.scanned, require_even=require_even)
    if STEP in readings:
        _require_step(goniometer, float(readings[STEP]) * selection.stride, acquisition.places.get(STEP, STEP))
    geometry = compute_reflection(goniometer.machine, goniometer.at(frame), goniometer.steps, view)
    if faults := plane_faults(geometry.basis, named.get(goniometer.scanned, where)):
        raise DataError(*faults)
    _require_agreement(acquisition, geometry)
    if not require_even:
        arrays |= _own_positions(goniometer, motions, geometry, readings, named)
    arrays = {"reciprocal_basis": geometry.basis, "bragg_vector": geometry.bragg_vector} | arrays
    places = {"reciprocal_basis": where, "bragg_vector": where} | dict(acquisition.places)
    groups = {**acquisition.groups, GROUP: goniometer_group(goniometer)}
    return replace(acquisition, arrays=arrays, places=places, groups=groups)


def _own_positions(
    goniometer: Goniometer,
    motions: Mapping[str, Vector],
    geometry: Reflection,
    readings: Mapping[str, np.ndarray],
    places: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """Compute the offsets of the frames from even steps; empty where they are even within `TOLERANCE`.

    Raises:
        DataError: If they sample no curve, or a frame that is not even has no reading.
    """
    moved = {name: values for name, values in goniometer.angles.items() if np.size(values) > 1}
    offsets = frame_offsets(moved, motions, geometry.basis)
    place = places.get(goniometer.scanned, goniometer.scanned)
    if np.linalg.norm(offsets @ geometry.basis, axis=1).max() <= TOLERANCE * np.linalg.norm(geometry.basis[0]):
        return {}
    for name in moved:
        missing = np.flatnonzero(~np.isfinite(readings.get(f"{PREFIX}{name}", np.zeros(1))))
        if missing.size:
            message = f"frame {missing[0]} has no reading of {name}, and the others are not at even steps"
            remedy = "give its angle, or leave the frame out: acquisition.frames"
            raise DataError(Diagnostic(places.get(name, name), message, remedy))
    require_curve(offsets, goniometer, place)
    _log.warning("%s: the frames are %s: each is taken at its own q", place, describe_offsets(offsets))
    return {OFFSETS: offsets}


def _in_read_frames(acquisition: Acquisition, goniometer: Goniometer) -> Goniometer:
    """Count the pixel of the direct beam in the part of the frames that was read; it is in the middle of the whole."""
    if not acquisition.ranges.keys() & {"y", "x"}:
        return goniometer
    rows, columns = pixel_ranges(acquisition)
    y, x = goniometer.direct_beam or (rows.total // 2, columns.total // 2)
    return replace(goniometer, direct_beam=(y - rows.first, x - columns.first))


def _view_of_peak(acquisition: Acquisition, goniometer: Goniometer) -> tuple[int, DetectorView]:
    """Find the frame of the Bragg peak, and the detector as its brightest pixel sees it."""
    images = acquisition["images"]
    monitor = acquisition.arrays.get("monitor")
    flux = None if monitor is None else monitor / monitor.mean()
    frame, row, column = find_bragg_peak(images.astype(np.float64), good_voxels(acquisition), flux)
    y, x = goniometer.direct_beam or (images.shape[1] // 2, images.shape[2] // 2)
    if goniometer.direct_beam is None:
        _log.info("the detector's angles are taken to point at the middle of the frames, pixel [%d, %d]", y, x)
    rows, columns = (float(size) for size in np.broadcast_to(acquisition["pixel_size"], 2))
    wavelength, distance = float(acquisition["wavelength"]), float(acquisition["detector_distance"])
    return frame, DetectorView(wavelength, distance, (rows, columns), (row - y, column - x))


def _require_step(goniometer: Goniometer, step: float, place: str) -> None:
    """Refuse a step that is not that of the readings.

    Raises:
        DataError: If they differ by more than 5 %.
    """
    actual = goniometer.steps[goniometer.scanned]
    if abs(actual - step) <= _DIFFERENT * abs(actual):
        return
    turn = f"{goniometer.scanned} turns by {np.degrees(actual):.4g} degrees from frame to frame"
    message = f"the step is {np.degrees(step):.4g} degrees, and {turn}"
    raise DataError(Diagnostic(place, message, "set acquisition.goniometer.step: null to believe the readings"))


def _require_deflection(goniometer: Goniometer, frame: int, view: DetectorView, where: str) -> None:
    """Refuse a detector in the direct beam.

    Raises:
        DataError: If the peak is at q = 0.
    """
    machine = goniometer.machine
    length = np.linalg.norm(compute_reflection(machine, goniometer.at(frame), {}, view).bragg_vector)
    if length > _LEAST_DEFLECTION * 2 * np.pi / view.wavelength:
        return
    if not machine.detector:
        message = "no circle turns the detector, and the direct beam is not given: the peak is at q = 0"
        remedy = "give the pixel (y, x) of the direct beam, also outside the frames: acquisition.goniometer.direct_beam"
    else:
        message = "the circles point the detector into the direct beam: q does not turn"
        name = machine.detector[-1].name
        remedy = (
            f"give the detector's angles ({', '.join(circle.name for circle in machine.detector)}), as "
            f"acquisition.goniometer.angles: {{{name}: 30 deg}}, {{{name}: /path in deg}}, or {{{name}: FILE:motor}}, "
            "of a spec or FIO file"
        )
    raise DataError(Diagnostic(where, message, remedy))


def _require_agreement(acquisition: Acquisition, geometry: Reflection) -> None:
    """Refuse a basis that differs from the circles'.

    Raises:
        DataError: If it differs by more than 5 % along an axis.
    """
    if "reciprocal_basis" not in acquisition:
        return
    difference = np.linalg.norm(acquisition["reciprocal_basis"] - geometry.basis, axis=1)
    relative = difference / np.linalg.norm(geometry.basis, axis=1)
    if relative.max() <= _DIFFERENT:
        return
    axis = ("frame", "y", "x")[int(np.argmax(relative))]
    message = f"the basis is not that of the circles: along {axis} they differ by {100 * relative.max():.3g} %"
    remedy = "set acquisition.reciprocal_basis: null to use the circles, or correct them"
    raise DataError(Diagnostic(acquisition.place("reciprocal_basis", PATHS), message, remedy))
