"""Reader of raw scans of 34-ID-C at the Advanced Photon Source: TIFF frames, a spec file, dark and white field.

A scan is a folder, or a zip archive of one:

    scan54/scan.spec  scan54/frames/…_S0054_00000.tif …  scan54/dark.tif  scan54/whitefield.tif

It is opened as a tree of arrays at the paths of unflat's own files, in SI: frames divided by the white field, a mask of
the pixels that are dead, hot or outside the white field (they are never set to 0), the monitor, and the geometry by the
beamline's circles. The raw arrays are ``/raw/frames``, ``/raw/dark``, ``/raw/whitefield``, and each column of the scan
under ``/scan``.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from ....physics.diffraction.diffractometer import APS_34IDC, Reflection, compute_reflection
from ...config.photon_energy import PLANCK_TIMES_LIGHT
from ...errors import DataError, Diagnostic
from ...io.lazy_arrays import Index, LazyArray, LazyArrays, take
from ...io.open import Reader
from ...io.spec import SpecScan, parse_scans
from ...io.tiff import natural_order

_JOULES_PER_KEV = 1.602176634e-16
_PIXELS = {"34idcTIM1": 55e-6, "34idcTIM2": 55e-6}
"""[m] Size of a pixel, by the detector's name in the spec file."""
_HOT_DARK = 1.0
"""Counts of the dark frame above which a pixel is hot."""
_DEAD_WHITE = 0.1
"""White field, relative to its median, below which a pixel is dead or partly covered."""
_SCAN_IN_NAME = re.compile(r"[_-]S(\d+)[_-]", re.IGNORECASE)
"""Number of the scan in the name of a frame."""
_MONITORS = ("Monitor", "Ring Current", "Current", "ic1")
"""Columns that measure the flux, the preferred one first."""


@dataclass(frozen=True)
class ScanFiles:
    """Files of a scan in a folder or an archive.

    Args:
        path: Folder or archive.
        names: Paths inside it.
        read: Function that reads the bytes of a path.
    """

    path: Path
    names: tuple[str, ...]
    read: Callable[[str], bytes]

    @property
    def spec(self) -> str | None:
        """Path of the spec file; None if there is none."""
        return next((name for name in self.names if name.endswith(".spec")), None)

    def find_image(self, word: str) -> str | None:
        """Find an image with a word in its name, such as ``dark`` or ``white``; None if there is none."""
        return next((n for n in self.names if _is_image(n) and word in PurePosixPath(n).name.lower()), None)

    @cached_property
    def frames(self) -> tuple[str, ...]:
        """Paths of the frames, sorted by the numbers in their names."""
        others = {self.find_image("dark"), self.find_image("white")}
        images = [name for name in self.names if _is_image(name) and name not in others]
        return tuple(sorted(images, key=natural_order))


def is_scan(path: Path) -> bool:
    """Whether a folder or an archive holds a spec file."""
    if path.is_dir():
        return any(True for _ in path.glob("*.spec")) or any(True for _ in path.glob("*/*.spec"))
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".spec") for name in archive.namelist())


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
    try:
        with zipfile.ZipFile(path) as archive:
            yield _array_tree(ScanFiles(path, tuple(archive.namelist()), archive.read))
    except zipfile.BadZipFile as error:
        raise DataError(Diagnostic(str(path), f"the archive is damaged: {error}", "copy it again")) from error


READER = Reader("a raw scan of 34-ID-C (spec and TIFF, or a zip)", is_scan, open_scan)


def _array_tree(files: ScanFiles) -> LazyArrays:
    """Build the tree of arrays of a scan."""
    scan = _read_spec(files)
    stack = Stack(files, scan)
    _require_frames(files, scan, stack)
    leaves = {
        "/measurement/images": LazyArray(stack.shape, np.dtype(np.float32), stack.corrected),
        "/measurement/mask": LazyArray.of(stack.mask),
        **_instrument(files, scan),
        "/raw/frames": LazyArray(stack.shape, np.dtype(np.int32), stack.raw),
    }
    for name, array in (("dark", stack.dark), ("whitefield", stack.white)):
        if array is not None:
            leaves[f"/raw/{name}"] = LazyArray.of(array)
    leaves |= {f"/scan/{name.replace(' ', '_')}": LazyArray.of(column) for name, column in scan.columns.items()}
    attributes = {"scan": scan.number, "command": scan.command, "detector": scan.notes.get("UIMDET", "")}
    return LazyArrays(files.path, "34-ID-C scan", leaves, attributes)


class Stack:
    """Frames of a scan with their dark and white fields.

    Args:
        files: Files of the scan.
        scan: Scan in the spec file.
    """

    def __init__(self, files: ScanFiles, scan: SpecScan) -> None:
        self._files = files
        self._scan = scan
        first = _read_image(files, files.frames[0]) if files.frames else np.zeros((0, 0), np.int32)
        self.shape = (len(files.frames), *first.shape)

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
        frames = [_read_image(self._files, self._files.frames[i]) for i in numbers]
        for i, frame in zip(numbers, frames, strict=True):
            if frame.shape != self.shape[1:]:
                message = f"has {frame.shape} pixels, and the first frame {self.shape[1:]}"
                raise DataError(Diagnostic(f"{self._files.path}:{self._files.frames[i]}", message, "leave it out"))
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
        region = _region(self._scan, "UIMR5")
        if region is not None:
            left, width, top, height = region
            part = field[top : top + height, left : left + width]
            if part.shape == self.shape[1:]:
                return part
        message = f"has {field.shape} pixels, the frames {self.shape[1:]}, and the spec file does not say which part"
        raise DataError(Diagnostic(f"{self._files.path}:{name}", message, "cut it to the frames' part (#UIMR5)"))


def _read_spec(files: ScanFiles) -> SpecScan:
    """Read the scan whose number is in the frames' names, or the only one.

    Raises:
        DataError: If there is no spec file, it is damaged, or the scan is ambiguous.
    """
    name = files.spec
    if name is None:
        raise DataError(
            Diagnostic(str(files.path), "holds no spec file", "put the scan's .spec file beside the frames")
        )
    where = f"{files.path}:{name}"
    try:
        scans = parse_scans(files.read(name).decode(errors="replace"))
    except ValueError as error:
        raise DataError(Diagnostic(where, f"cannot be read: {error}", "copy it again")) from error
    numbered = {int(m[1]) for frame in files.frames[:1] if (m := _SCAN_IN_NAME.search(PurePosixPath(frame).name))}
    chosen = numbered & set(scans) or (set(scans) if len(scans) == 1 else set())
    if len(chosen) != 1:
        held = ", ".join(map(str, scans)) or "none"
        named = f"the frames' names belong to scan {min(numbered)}" if numbered else "the frames' names have no number"
        message = f"{named}, and the spec file holds the scans: {held}"
        raise DataError(Diagnostic(where, message, "use the spec file of these frames, with this scan alone"))
    return scans[chosen.pop()]


def _require_frames(files: ScanFiles, scan: SpecScan, stack: Stack) -> None:
    """Check that there are frames, as many as the scan has points.

    Raises:
        DataError: If there are no frames, or their number differs from that of the scan's points.
    """
    if not stack.shape[0]:
        raise DataError(Diagnostic(str(files.path), "holds no TIFF frames beside the spec file", "add the frames"))
    points = len(next(iter(scan.columns.values()), ()))
    if points != stack.shape[0]:
        message = f"{stack.shape[0]} frames, and scan {scan.number} of the spec file has {points} points"
        raise DataError(Diagnostic(str(files.path), message, "add the missing frames, or remove those of other scans"))


def _instrument(files: ScanFiles, scan: SpecScan) -> dict[str, LazyArray]:
    """Collect wavelength, distance, pixel, monitor and geometry, as far as the spec file holds them."""
    leaves: dict[str, LazyArray] = {}
    monitor = next((scan.columns[n] for n in _MONITORS if n in scan.columns and (scan.columns[n] > 0).all()), None)
    if monitor is not None:
        leaves["/measurement/monitor"] = LazyArray.of(monitor)
    energy, distance = scan.motors.get("Energy", 0.0), scan.motors.get("camdist", 0.0) * 1e-3
    wavelength = PLANCK_TIMES_LIGHT / (energy * _JOULES_PER_KEV) if energy > 0 else 0.0
    if wavelength > 0:
        leaves["/instrument/wavelength"] = LazyArray.of(np.array(wavelength), {"units": "m"})
    if distance > 0:
        leaves["/instrument/detector_distance"] = LazyArray.of(np.array(distance), {"units": "m"})
    pixel = _PIXELS.get(scan.notes.get("UIMDET", "").rstrip(":"), 0.0)
    if pixel > 0:
        leaves["/instrument/pixel_size"] = LazyArray.of(np.array([pixel, pixel]), {"units": "m"})
    if wavelength > 0 and distance > 0 and pixel > 0:
        geometry = _geometry(files, scan, wavelength, distance, pixel)
        leaves["/instrument/reciprocal_basis"] = LazyArray.of(geometry.basis, {"units": "1/m"})
        leaves["/instrument/bragg_vector"] = LazyArray.of(geometry.bragg_vector, {"units": "1/m"})
    return leaves


def _geometry(files: ScanFiles, scan: SpecScan, wavelength: float, distance: float, pixel: float) -> Reflection:
    """Compute the reflection, with the steps of q, from the angles of the circles.

    Raises:
        DataError: If a circle's angle or the scanned column is missing, or the scan does not turn the sample.
    """
    where = f"{files.path}:{files.spec}"
    angles, step = _circle_angles(scan, where)
    try:
        return compute_reflection(
            APS_34IDC,
            angles,
            scan.scanned,
            step,
            wavelength=wavelength,
            distance=distance,
            pixel_size=(pixel, pixel),
            offset=_region_offset(scan),
        )
    except ValueError as error:
        raise DataError(Diagnostic(where, str(error), "use a scan that turns a circle of the sample")) from error


def _circle_angles(scan: SpecScan, where: str) -> tuple[dict[str, float], float]:
    """Read the angles of the circles at the middle frame, and the step of the scanned one between frames.

    Args:
        scan: Scan in the spec file.
        where: Path of the spec file, for messages.

    Returns:
        [rad] Angles by the circle's name; and the step.

    Raises:
        DataError: If a circle's angle or the scanned column is missing.
    """
    circles = [circle.name for circle in APS_34IDC.circles]
    if missing := [name for name in circles if name not in scan.motors]:
        message = f"holds no angle of {', '.join(missing)}"
        raise DataError(Diagnostic(where, message, "check its #O and #P lines"))
    readings = scan.columns.get(scan.scanned)
    if readings is None or len(readings) < 2:
        message = f"scan {scan.number} has no column of {scan.scanned!r}, the motor that moved"
        raise DataError(Diagnostic(where, message))
    angles = {name: float(np.radians(scan.motors[name])) for name in circles}
    angles[scan.scanned] = float(np.radians(readings[len(readings) // 2]))
    return angles, float(np.radians((readings[-1] - readings[0]) / (len(readings) - 1)))


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
    import tifffile

    try:
        return np.asarray(tifffile.imread(io.BytesIO(files.read(name))))
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            Diagnostic(f"{files.path}:{name}", f"the TIFF is damaged: {reason}", "copy it again")
        ) from error


def _is_image(name: str) -> bool:
    return name.lower().endswith((".tif", ".tiff"))
