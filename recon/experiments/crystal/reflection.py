"""From the circles of a scan to the steps of q: around the Bragg peak, where the crystal's pattern is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ....physics.diffraction.diffractometer import Diffractometer, Reflection, reflection
from ...acquisition import Acquisition
from ...config.entries import Entry
from ...config.source import Source
from ...errors import DataError, Diagnostic
from ...io.open import open_tree
from .artifacts import bragg_peak
from .config_diffractometer import CrystalGoniometer
from .scan_circles import GROUP, circle_entries, goniometer_of, machine_of
from .schema import place
from .validate import good_voxels

_NEEDED = ("wavelength", "detector_distance", "pixel_size")
_DIFFERENT = 0.05
"""Relative difference of two bases from which they are of different scans."""


@dataclass(frozen=True)
class Circles:
    """What is said of the circles before their angles are read.

    Args:
        machine: The circles.
        entries: What to read of them.
        sources: Where it stands, if not in our own place.
        scanned: Name of the circle that moved; empty if nobody says.
    """

    machine: Diffractometer
    entries: tuple[Entry, ...]
    sources: Mapping[str, Source]
    scanned: str = ""


def circles_of(wanted: CrystalGoniometer | None, path: Path) -> Circles | None:
    """Find the circles that the config or the file names.

    Args:
        wanted: The config's section.
        path: The file, asked if there is no section.

    Raises:
        DataError: If the file's circles make no diffractometer.
    """
    if wanted is not None:
        return Circles(wanted.machine, circle_entries(wanted.machine), wanted.sources, wanted.scanned or "")
    import h5py

    if not path.is_file() or not h5py.is_hdf5(path):
        return None
    with open_tree(path) as tree:
        facts = tree.attributes(GROUP) or {}
    try:
        machine = machine_of(facts)
    except ValueError as error:
        remedy = "its attributes are beamline, or sample, detector, rows and columns"
        raise DataError(Diagnostic(f"{path}:{GROUP}", str(error), remedy)) from error
    if machine is None:
        return None
    return Circles(machine, circle_entries(machine), {}, str(facts.get("scanned", "")))


def with_reflection(acquisition: Acquisition, circles: Circles, stride: int) -> Acquisition:
    """Derive the basis and the Bragg vector from the circles.

    Args:
        acquisition: As read, sound but for its geometry; its arrays hold the circles' angles.
        circles: The circles.
        stride: Frames of the file from one frame of the acquisition to the next.

    Returns:
        The acquisition with ``goniometer`` in place of the angles. A basis that it had already is kept.

    Raises:
        DataError: If the angles are wrong or contradict the basis, or a length is not known that is needed.
    """
    names = {entry.name for entry in circles.entries}
    arrays = {name: array for name, array in acquisition.arrays.items() if name not in names}
    missing = [name for name in _NEEDED if name not in arrays]
    where = f"{acquisition.source}:{GROUP}"
    if missing:
        remedy = f"name it in the config: {', '.join(f'acquisition.{name}' for name in missing)}"
        raise DataError(Diagnostic(where, f"the steps of q cannot be found without {' and '.join(missing)}", remedy))
    given = {name: array for name, array in acquisition.arrays.items() if name in names}
    frames = len(arrays["images"])
    stood = goniometer_of(
        circles.machine, given, acquisition.places, frames=frames, stride=stride, scanned=circles.scanned
    )
    found = _around_peak(replace(acquisition, arrays=arrays, goniometer=stood))
    if not np.linalg.norm(found.basis, axis=1).all():
        remedy = "give the detector's angles: acquisition.goniometer.angles"
        raise DataError(
            Diagnostic(where, "the circles point the detector into the direct beam: q does not turn", remedy)
        )
    _require_agreement(acquisition, found)
    arrays = {"reciprocal_basis": found.basis, "bragg_vector": found.bragg_vector} | arrays
    places = {"reciprocal_basis": where, "bragg_vector": where} | dict(acquisition.places)
    return replace(acquisition, arrays=arrays, places=places, goniometer=stood)


def _around_peak(acquisition: Acquisition) -> Reflection:
    """The steps of q at the Bragg peak."""
    images, stood = acquisition["images"], acquisition.goniometer
    if stood is None:
        raise DataError(f"{acquisition.source}: holds no circles")
    frame, row, column = bragg_peak(images.astype(np.float64), good_voxels(acquisition))
    y, x = stood.direct_beam or (images.shape[1] // 2, images.shape[2] // 2)
    rows, columns = (float(size) for size in np.broadcast_to(acquisition["pixel_size"], 2))
    return reflection(
        stood.machine,
        stood.at(frame),
        stood.scanned,
        stood.step,
        wavelength=float(acquisition["wavelength"]),
        distance=float(acquisition["detector_distance"]),
        pixel_size=(rows, columns),
        offset=(row - y, column - x),
    )


def _require_agreement(acquisition: Acquisition, found: Reflection) -> None:
    """Refuse a basis that is not the circles'."""
    if "reciprocal_basis" not in acquisition:
        return
    off = np.linalg.norm(acquisition["reciprocal_basis"] - found.basis, axis=1) / np.linalg.norm(found.basis, axis=1)
    if off.max() <= _DIFFERENT:
        return
    axis = ("frame", "y", "x")[int(np.argmax(off))]
    message = f"the basis is not that of the circles: along {axis} they differ by {100 * off.max():.3g} %"
    remedy = "say acquisition.reciprocal_basis: null to believe the circles, or correct them"
    raise DataError(Diagnostic(place(acquisition, "reciprocal_basis"), message, remedy))
