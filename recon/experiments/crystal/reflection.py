"""Reciprocal basis and Bragg vector of a scan from its circles, at the Bragg peak."""

from dataclasses import replace

import numpy as np

from ....physics.diffraction.diffractometer import Goniometer, Reflection, compute_reflection
from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic
from .artifacts import find_bragg_peak
from .diffractometer import GROUP, ScanCircles, goniometer_group, make_goniometer
from .schema import PATHS
from .validate import good_voxels

_NEEDED = ("wavelength", "detector_distance", "pixel_size")
_DIFFERENT = 0.05
"""Relative difference of two bases above which they belong to different scans."""


def add_reflection(acquisition: Acquisition, circles: ScanCircles, stride: int) -> Acquisition:
    """Derive the reciprocal basis and the Bragg vector from the circles.

    Args:
        acquisition: Acquisition with the circles' readings among its arrays, valid except for its geometry.
        circles: Circles of the scan.
        stride: Frames of the file from one frame of the acquisition to the next.

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
    goniometer = make_goniometer(circles, readings, acquisition.places, frames=len(arrays["images"]), stride=stride)
    geometry = _at_peak(acquisition, goniometer)
    if not np.linalg.norm(geometry.basis, axis=1).all():
        message = "the circles point the detector into the direct beam: q does not turn"
        raise DataError(Diagnostic(where, message, "give the detector's angles: acquisition.goniometer.angles"))
    _require_agreement(acquisition, geometry)
    arrays = {"reciprocal_basis": geometry.basis, "bragg_vector": geometry.bragg_vector} | arrays
    places = {"reciprocal_basis": where, "bragg_vector": where} | dict(acquisition.places)
    groups = {**acquisition.groups, GROUP: goniometer_group(goniometer)}
    return replace(acquisition, arrays=arrays, places=places, groups=groups)


def _at_peak(acquisition: Acquisition, goniometer: Goniometer) -> Reflection:
    """Compute the reciprocal basis and G at the Bragg peak."""
    images = acquisition["images"]
    frame, row, column = find_bragg_peak(images.astype(np.float64), good_voxels(acquisition))
    y, x = goniometer.direct_beam or (images.shape[1] // 2, images.shape[2] // 2)
    rows, columns = (float(size) for size in np.broadcast_to(acquisition["pixel_size"], 2))
    return compute_reflection(
        goniometer.machine,
        goniometer.at(frame),
        goniometer.scanned,
        goniometer.step,
        wavelength=float(acquisition["wavelength"]),
        distance=float(acquisition["detector_distance"]),
        pixel_size=(rows, columns),
        offset=(row - y, column - x),
    )


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
