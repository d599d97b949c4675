"""Reader of raw scans of 34-ID-C at the Advanced Photon Source: TIFF frames, a spec file, dark and white field.

A scan is a folder, or a zip archive of one:

    scan54/scan.spec  scan54/frames/…_S0054_00000.tif …  scan54/dark.tif  scan54/whitefield.tif

It is opened as a tree of arrays at the paths of unflat's own files, in SI: frames divided by the white field, a mask of
the pixels that are dead, hot or outside the white field (they are never set to 0), the monitor, and the geometry by the
beamline's circles. The raw arrays are ``/raw/frames``, ``/raw/dark``, ``/raw/whitefield``; columns of the scan stand
under ``/scan``, the motors' positions under ``/motors``.
"""

import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ....physics.diffraction.beamlines import APS_34IDC, find_circle
from ....physics.diffraction.diffractometer import (
    DetectorView,
    Goniometer,
    Reflection,
    compute_motions,
    compute_reflection,
)
from ...config.photon_energy import PLANCK_TIMES_LIGHT
from ...config.units import si_factor
from ...errors import DataError, Diagnostic
from ...io.guard import guard
from ...io.image_stack import read_image
from ...io.lazy_arrays import Index, LazyArray, LazyArrays, take
from ...io.open import Reader
from ...io.scan_files import USUAL_UNITS
from ...io.spec import SpecScan
from .motion import settle_motion
from .readings import ENERGY_REMEDY, STEADY_ENERGY, complete_readings
from .scan_folder import ScanFiles, ScanFrames, is_spec_name, read_scan

_log = logging.getLogger(__name__)
_PIXELS = {"34idcTIM1": 55e-6, "34idcTIM2": 55e-6}
"""[m] Size of a pixel, by the detector's name in the spec file."""
_HOT_DARK = 1.0
"""Counts of the dark frame above which a pixel is hot."""
_DEAD_WHITE = 0.1
"""White field, relative to its median, below which a pixel is dead or partly covered."""
_REMEDY = (
    "take a scan with even steps; or describe the part that is even: acquisition.frames, with "
    "acquisition.reciprocal_basis and acquisition.bragg_vector null, and acquisition.goniometer with beamline: 34-ID-C "
    "and angles: {Theta: /scan/Theta, Delta: /motors/Delta, …}"
)
_MONITORS = ("Monitor", "Ring Current", "Current", "ic1")
"""Columns that measure the flux, the preferred one first."""


def is_scan(path: Path) -> bool:
    """Whether a folder or an archive holds a spec file."""
    if path.is_dir():
        return any(is_spec_name(file.name) for pattern in ("*", "*/*") for file in path.glob(pattern))
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(is_spec_name(name) for name in archive.namelist())


@contextmanager
def open_scan(path: Path) -> Iterator[LazyArrays]:
    """Open a raw scan.

    Raises:
        DataError: If frames or the spec file are missing or damaged, or do not belong together.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = tuple(file.relative_to(path).as_posix() for file in files)
        yield _array_tree(ScanFiles(path, names, lambda name: (path / name).read_bytes()))
        return
    with zipfile.ZipFile(path) as archive:
        yield _array_tree(ScanFiles(path, tuple(archive.namelist()), archive.read))


READER = Reader("a raw scan of 34-ID-C (spec and TIFF, or a zip)", is_scan, open_scan)


def _array_tree(files: ScanFiles) -> LazyArrays:
    """Build the tree of arrays of a scan."""
    matched = read_scan(files)
    scan, stack = matched.scan, Stack(files, matched)
    leaves = {
        "/measurement/images": LazyArray(stack.shape, np.dtype(np.float32), stack.corrected),
        "/measurement/mask": LazyArray.of(stack.mask),
        **_instrument(matched, f"{files.path}:{matched.spec}"),
        "/raw/frames": LazyArray(stack.shape, np.dtype(np.int32), stack.raw),
    }
    for name, array in (("dark", stack.dark), ("whitefield", stack.white)):
        if array is not None:
            leaves[f"/raw/{name}"] = LazyArray.of(array)
    readings = {f"/scan/{name}": column for name, column in scan.columns.items()}
    readings |= {f"/motors/{name}": np.array(position) for name, position in scan.motors.items()}
    leaves |= {name.replace(" ", "_"): LazyArray.of(at, usual_units=USUAL_UNITS) for name, at in readings.items()}
    attributes = {"scan": scan.number, "command": scan.command, "detector": scan.notes.get("UIMDET", "")}
    return LazyArrays(files.path, "34-ID-C scan", leaves, attributes)


class Stack:
    """Frames of a scan with their dark and white fields.

    Args:
        files: Files of the scan.
        matched: Scan and its frames.
    """

    def __init__(self, files: ScanFiles, matched: ScanFrames) -> None:
        self._files = files
        self._matched = matched
        self.shape = (len(matched.frames), *_read_image(files, matched.frames[0]).shape)

    @cached_property
    def dark(self) -> np.ndarray | None:
        """Dark field in the frames' region of the detector; None if there is none."""
        return self._field("dark")

    @cached_property
    def white(self) -> np.ndarray | None:
        """White field in the frames' region of the detector; None if there is none."""
        return self._field("white")

    @cached_property
    def mask(self) -> np.ndarray:
        """Bad pixels: 1 where a pixel is hot or dead."""
        bad = np.zeros(self.shape[1:], bool)
        if self.dark is not None:
            bad |= self.dark > _HOT_DARK
        if self.white is not None:
            bad |= self.white < _DEAD_WHITE * np.median(self.white)
        return bad.astype(np.uint8)

    @cached_property
    def _gain(self) -> Float[np.ndarray, "y x"]:
        """Factor that makes all good pixels equally sensitive; 1 for bad ones."""
        if self.white is None:
            return np.ones(self.shape[1:])
        good = self.mask == 0
        return np.where(good, np.median(self.white[good]) / np.where(good, self.white, 1), 1.0)

    def raw(self, index: tuple[Index, ...]) -> np.ndarray:
        """Read frames without correction."""
        numbers = index[0] if isinstance(index[0], list) else range(*index[0].indices(self.shape[0]))
        frames = [_read_image(self._files, self._matched.frames[i]) for i in numbers]
        for i, frame in zip(numbers, frames, strict=True):
            if frame.shape != self.shape[1:]:
                message = f"has {frame.shape} pixels, and the first frame {self.shape[1:]}"
                raise DataError(Diagnostic(f"{self._files.path}:{self._matched.frames[i]}", message, "leave it out"))
        return take(np.stack(frames), (slice(None), *index[1:]))

    def corrected(self, index: tuple[Index, ...]) -> np.ndarray:
        """Read frames divided by the white field, on the scale of raw counts."""
        gain = take(self._gain[None], (slice(None), *index[1:]))
        return np.asarray(self.raw(index) * gain, np.float32)

    def _field(self, word: str) -> np.ndarray | None:
        """Crop a field of the whole detector to the frames' region."""
        name = self._files.find_image(word)
        if name is None:
            return None
        field = _read_image(self._files, name).astype(np.float64)
        if field.shape == self.shape[1:]:
            return field
        region = _region(self._matched.scan, "UIMR5")
        if region is not None:
            left, width, top, height = region
            part = field[top : top + height, left : left + width]
            if part.shape == self.shape[1:]:
                return part
        message = f"has {field.shape} pixels, the frames {self.shape[1:]}, and the spec file does not say which part"
        raise DataError(Diagnostic(f"{self._files.path}:{name}", message, "cut it to the frames' part (#UIMR5)"))


def _instrument(matched: ScanFrames, where: str) -> dict[str, LazyArray]:
    """Collect wavelength, distance, pixel, monitor and geometry, as far as the spec file holds them."""
    scan = matched.scan
    leaves: dict[str, LazyArray] = {}
    monitor = next((scan.columns[n] for n in _MONITORS if n in scan.columns and (scan.columns[n] > 0).all()), None)
    if monitor is not None:
        leaves["/measurement/monitor"] = LazyArray.of(monitor)
    energy, distance = scan.motors.get("Energy", 0.0), scan.motors.get("camdist", 0.0) * 1e-3
    wavelength = PLANCK_TIMES_LIGHT / (energy * si_factor("keV")) if energy > 0 else 0.0
    detector = scan.notes.get("UIMDET", "").rstrip(":")
    pixel = _PIXELS.get(detector, 0.0)
    if wavelength > 0:
        leaves["/instrument/wavelength"] = LazyArray.of(np.array(wavelength), {"units": "m"})
    if distance > 0:
        leaves["/instrument/detector_distance"] = LazyArray.of(np.array(distance), {"units": "m"})
    if pixel > 0:
        leaves["/instrument/pixel_size"] = LazyArray.of(np.array([pixel, pixel]), {"units": "m"})
    known = {"the energy (Energy)": wavelength, "the distance (camdist)": distance, "a known detector": pixel}
    missing = [name for name, value in known.items() if not value > 0]
    if missing:
        _log.warning("%s: the steps of q are not known: scan %d lacks %s", where, scan.number, " and ".join(missing))
        return leaves
    return leaves | _geometry(scan, DetectorView(wavelength, distance, (pixel, pixel), _region_offset(scan)), where)


def _geometry(scan: SpecScan, view: DetectorView, where: str) -> dict[str, LazyArray]:
    """Present the steps of q and G, computed when they are read: a scan without them can still be looked at."""

    @cache
    def reflection() -> Reflection:
        goniometer = _goniometer(scan, where)
        middle = len(next(iter(scan.columns.values()))) // 2
        motions = compute_motions(APS_34IDC, goniometer.at(middle), view)
        try:
            goniometer = settle_motion(goniometer, motions, dict.fromkeys(motions, where))
        except DataError as error:
            raise DataError(*(replace(fault, remedy=_REMEDY) for fault in error.faults)) from error
        return compute_reflection(APS_34IDC, goniometer.at(middle), goniometer.steps, view)

    def leaf(shape: tuple[int, ...], attribute: str) -> LazyArray:
        def fetch(index: tuple[Index, ...]) -> np.ndarray:
            return take(getattr(reflection(), attribute), index)

        return LazyArray(shape, np.dtype(np.float64), fetch, {"units": "1/m"})

    return {
        "/instrument/reciprocal_basis": leaf((3, 3), "basis"),
        "/instrument/bragg_vector": leaf((3,), "bragg_vector"),
    }


def _goniometer(scan: SpecScan, where: str) -> Goniometer:
    """Collect the readings of the circles: of each point where they were recorded, or else those at the start.

    Raises:
        DataError: If a circle has none, or the scan moved the energy or no circle.
    """
    motors = {circle.name: _motor(scan, circle.name) for circle in APS_34IDC.circles}
    missing = [name for name, motor in motors.items() if motor is None]
    if missing:
        message = f"holds no angle of {', '.join(missing)}"
        raise DataError(Diagnostic(where, message, "check its #O and #P lines"))
    named = {name: motor for name, motor in motors.items() if motor is not None}
    columns = {name: column for name, motor in named.items() if (column := _column(scan, motor)) is not None}
    _require_turn(scan, [name for name, motor in named.items() if motor in scan.moving], columns, where)
    angles = {name: np.array(np.radians(scan.motors[motor])) for name, motor in named.items()}
    angles |= {name: complete_readings(name, np.radians(column), where) for name, column in columns.items()}
    return Goniometer(APS_34IDC, angles, "")


def _require_turn(
    scan: SpecScan, commanded: Sequence[str], columns: Mapping[str, Float[np.ndarray, " point"]], where: str
) -> None:
    """Refuse a scan that moved the energy, or no circle, or a circle whose readings are not recorded.

    Raises:
        DataError: If it is one.
    """
    unrecorded = [name for name in commanded if name not in columns]
    if unrecorded:
        message = f"scan {scan.number} has no column of {unrecorded[0]!r}, the motor that moved"
        raise DataError(Diagnostic(where, message, "check its #L line"))
    energy = _column(scan, "Energy")
    if "Energy" in scan.moving or (energy is not None and np.ptp(energy) > STEADY_ENERGY * energy.mean()):
        message = f"scan {scan.number} ({scan.command}) moved the energy"
        raise DataError(Diagnostic(where, message, ENERGY_REMEDY))
    turning = [columns[circle.name] for circle in APS_34IDC.sample if circle.name in columns]
    if not any(np.nanmax(column) > np.nanmin(column) for column in turning):
        message = f"scan {scan.number} ({scan.command}) turned no circle of the sample"
        raise DataError(Diagnostic(where, message, "use a scan that turns a circle of the sample"))


def _motor(scan: SpecScan, circle: str) -> str | None:
    """Find the motor of a circle, also by an abbreviation; None if there is none."""
    if circle in scan.motors:
        return circle
    return next((motor for motor in scan.motors if find_circle(APS_34IDC, motor) == circle), None)


def _column(scan: SpecScan, motor: str) -> Float[np.ndarray, " point"] | None:
    """Readings of a motor at each point; None if there are fewer than two numbers."""
    column = scan.column(motor)
    return None if column is None or np.isfinite(column).sum() < 2 else column


def _region_offset(scan: SpecScan) -> tuple[float, float]:
    """Compute the offset (y, x) [pixel] of the frames' middle from the detector's, where its angles point."""
    whole, part = _region(scan, "Readout"), _region(scan, "UIMR5")
    if whole is None or part is None:
        return 0.0, 0.0
    return part[2] + part[3] // 2 - whole[3] / 2, part[0] + part[1] // 2 - whole[1] / 2


def _region(scan: SpecScan, name: str) -> tuple[int, int, int, int] | None:
    """Read a region of the detector from a line of the spec file: first column, columns, first row, rows."""
    numbers = [int(n) for n in scan.notes.get(name, "").split()[:4]]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None


def _read_image(files: ScanFiles, name: str) -> np.ndarray:
    """Read the only image of a TIFF.

    Raises:
        DataError: If it is damaged, or holds several images.
    """
    where = f"{files.path}:{name}"
    with guard(where, "the TIFF"):
        image, _ = read_image(BytesIO(files.read(name)), place=where)
    if image.ndim != 2:
        raise DataError(Diagnostic(where, f"has the shape {image.shape}; one image (y, x) is expected", "leave it out"))
    return image
