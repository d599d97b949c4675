"""Reading of a rocking curve as its config describes it: counts, mask, and the geometry in SI."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ....physics.diffraction.beamlines import find_circle
from ...acquisition import Acquisition
from ...config.entries import Entry
from ...config.source import Source
from ...config.value_types import view_indices
from ...errors import ConfigError, DataError, Diagnostic
from ...io.hdf5_common import is_hdf5
from ...io.lazy_arrays import Index, LazyArray
from ...io.open import open_tree
from ...io.read import read_all
from .aps_34idc import READER
from .config import CrystalSettings
from .config_acquisition import CrystalAcquisition
from .count_limits import LIMITS, CountLimits
from .curve_ends import cut_curve_warnings
from .detector_gaps import mask_gaps
from .diffractometer import GROUP, PREFIX, ScanCircles, beamline_note, parse_diffractometer
from .flux import flux_warnings
from .geometry_checks import geometry_faults
from .lost_frames import mask_lost_frames
from .photons import PHOTON_ENTRY, convert_to_photons
from .readings import FrameSelection, match_readings, require_steady_energy
from .reflection import add_reflection
from .schema import PATHS, SCHEMA, schema_of
from .uneven_curve import sort_frames
from .unmeasured import mask_unmeasured
from .validate import good_voxels, validate, warnings_for, without_hot_pixels
from .window import choose_window, region_slices

_log = logging.getLogger(__name__)


def read(settings: CrystalSettings, path: Path) -> Acquisition:
    """Read a rocking curve.

    Args:
        settings: Settings of the run: names, units and frames.
        path: File of unflat or of another program, a folder of TIFFs or of a beamline's scan, or an archive of one.

    Returns:
        Counts of the selected frames with mask and geometry, neither centred nor cropped; of a large scan the part of
        the frames that matters.

    Raises:
        DataError: With every fault of the file.
        ConfigError: If the frames do not suit the file.
        DeviceError: If the scan does not fit into memory.
    """
    return read_selected(settings, path)[0]


@dataclass(frozen=True)
class ScanSources:
    """Arrays of a rocking curve and the places of their names, by the config and the file.

    Args:
        circles: Circles of the diffractometer; None if neither defines them.
        schema: Arrays to read.
        sources: Source of each in the file.
    """

    circles: ScanCircles | None
    schema: tuple[Entry, ...]
    sources: Mapping[str, Source | None]

    @classmethod
    def of(cls, section: CrystalAcquisition, path: Path) -> "ScanSources":
        """Collect them for a file."""
        circles = section.goniometer.circles if section.goniometer is not None else _read_circles(path)
        own: dict[str, Source | None] = {entry.name: getattr(section, entry.name) for entry in SCHEMA}
        return cls(
            circles,
            (*schema_of(section), *LIMITS, PHOTON_ENTRY, *(circles.entries if circles else ())),
            own | dict(circles.sources if circles else {}),
        )


def read_selected(settings: CrystalSettings, path: Path) -> tuple[Acquisition, FrameSelection]:
    """Read a rocking curve; return the frames of the file that it holds as well.

    Raises:
        UnflatError: Errors of `read`.
    """
    section, scan = settings.acquisition, ScanSources.of(settings.acquisition, path)
    selection = FrameSelection((), 0)
    notes: list[str] = []

    def select(sizes: Mapping[str, int]) -> Mapping[str, Index]:
        nonlocal selection
        if "frame" not in sizes:
            return {}
        indices = _frame_indices(section, sizes["frame"])
        selection = FrameSelection(tuple(indices), sizes["frame"])
        is_whole = indices == list(range(sizes["frame"]))
        frames: Index = slice(0, sizes["frame"]) if is_whole else indices
        if "y" not in sizes or "x" not in sizes:
            return {"frame": frames}
        rows, columns = region_slices(section, sizes["y"], sizes["x"])
        return {"frame": frames, "y": rows, "x": columns}

    def narrow(arrays: Mapping[str, LazyArray], selected: Mapping[str, Index]) -> Mapping[str, Index]:
        window = choose_window(section, arrays, selected)
        notes.extend([window.note] if window else [])
        return {"y": window.rows, "x": window.columns} if window else {}

    if scan.circles is not None and scan.circles.note:
        _log.warning("%s", scan.circles.note)
    acquisition, faults = read_all(path, scan.schema, scan.sources, "crystal", select, readers=(READER,), narrow=narrow)
    acquisition = replace(acquisition, notes=(*acquisition.notes, *notes))
    if not faults:
        acquisition, selection = match_readings(acquisition, _series_names(acquisition, scan.circles), selection)
        acquisition = require_steady_energy(acquisition)
        acquisition = _scale_frame_step(acquisition, selection.stride)
        acquisition = mask_unmeasured(acquisition, CountLimits.of_acquisition(section.saturation, acquisition))
        acquisition, divisor = convert_to_photons(acquisition, good_voxels(acquisition), section.photon)
        faults = validate(acquisition)
        acquisition, gaps = (acquisition, "") if faults else mask_gaps(acquisition)
        acquisition, lost = (acquisition, "") if faults else _mask_lost_frames(section, acquisition)
        for sentence in filter(None, (divisor, gaps, lost)):
            _log.warning("%s: %s", acquisition.place("images", PATHS), sentence)
        if scan.circles is not None and not faults:
            acquisition, selection = _add_geometry(section, acquisition, scan.circles, selection)
            faults = geometry_faults(acquisition)
    if faults:
        raise DataError(*dict.fromkeys(faults))
    _report_warnings(warnings_for(acquisition), refuse=section.doubtful == "refuse")
    _report_warnings([*_flux_warnings(acquisition, selection), *_cut_curve_warnings(acquisition)], refuse=False)
    if "reciprocal_basis" not in acquisition:
        _log.warning(
            "there is no reciprocal basis: the volume is in voxels, without displacement and strain, unless "
            "acquisition.goniometer names the circles"
        )
    return acquisition, selection


def derive_geometry(settings: CrystalSettings, acquisition: Acquisition) -> Acquisition:
    """Derive order, q and geometry of the frames from the circles that an acquisition holds, as from those of its file.

    Raises:
        DataError: If their readings make no rocking curve.
    """
    group = acquisition.groups.get(GROUP)
    machine = None if group is None else parse_diffractometer(group.attributes)
    if group is None or machine is None:
        return acquisition
    circles = ScanCircles(machine, scanned=str(group.attributes.get("scanned", "")))
    readings = {f"{PREFIX}{name}": dataset.values for name, dataset in group.datasets.items()}
    count = len(acquisition["images"])
    acquisition = replace(acquisition, arrays={**acquisition.arrays, **readings})
    return _add_geometry(settings.acquisition, acquisition, circles, FrameSelection(tuple(range(count)), count))[0]


def _add_geometry(
    section: CrystalAcquisition, acquisition: Acquisition, circles: ScanCircles, selection: FrameSelection
) -> tuple[Acquisition, FrameSelection]:
    """Sort the frames by their angles, unless even steps are asked for, and add the steps of q."""
    require_even = section.uneven == "even"
    if not require_even:
        acquisition, selection = sort_frames(acquisition, circles, selection)
    return add_reflection(acquisition, circles, selection, require_even=require_even), selection


def _flux_warnings(acquisition: Acquisition, selection: FrameSelection) -> list[Diagnostic]:
    """Warn of jumps of the flux that the monitor does not explain."""
    monitor = acquisition.arrays.get("monitor")
    images, where = acquisition["images"], acquisition.place("images")
    return flux_warnings(images, good_voxels(acquisition), monitor, where, selection.indices)


def _cut_curve_warnings(acquisition: Acquisition) -> list[Diagnostic]:
    """Warn of a curve that begins or ends within the peak."""
    return cut_curve_warnings(acquisition, without_hot_pixels(acquisition)[1], acquisition.place("images"))


def _mask_lost_frames(section: CrystalAcquisition, acquisition: Acquisition) -> tuple[Acquisition, str]:
    """Mask single frames without a count, and others where doubtful data are accepted."""
    return mask_lost_frames(acquisition, good_voxels(acquisition), mask_all=section.doubtful == "warn")


def _report_warnings(warnings: list[Diagnostic], *, refuse: bool) -> None:
    """Log the warnings, or refuse the data for them.

    Raises:
        DataError: If there are any, and they are refused.
    """
    if warnings and refuse:
        last = warnings[-1]
        remedy = f"{last.remedy}; if it is right, go on with --set acquisition.doubtful=warn"
        raise DataError(*warnings[:-1], replace(last, remedy=remedy))
    for warning in warnings:
        _log.warning("%s: %s", warning.where, warning.message)


def _read_circles(path: Path) -> ScanCircles | None:
    """Read the circles that an HDF5 file defines in its group ``GROUP``.

    Returns:
        The circles; None if the file is no HDF5 file or defines none.

    Raises:
        DataError: If the file's circles make no diffractometer.
    """
    if not is_hdf5(path):
        return None
    with open_tree(path) as tree:
        attributes = tree.attributes(GROUP) or {}
        names = [name.removeprefix(f"{GROUP}/") for name in tree.names() if name.startswith(f"{GROUP}/")]
    try:
        machine = parse_diffractometer(attributes)
    except ValueError as error:
        remedy = "its attributes are beamline, or sample, detector, rows and columns"
        raise DataError(Diagnostic(f"{path}:{GROUP}", str(error), remedy)) from error
    if machine is None:
        return None
    circles = {name: find_circle(machine, name) for name in names}
    sources = {f"{PREFIX}{circle}": Source.parse(f"{GROUP}/{name}") for name, circle in circles.items() if circle}
    if unknown := [name for name, circle in circles.items() if circle is None and name not in ("step", "direct_beam")]:
        known = ", ".join(circle.name for circle in machine.circles)
        _log.warning("%s:%s/%s is no circle of the diffractometer, which has %s", path, GROUP, unknown[0], known)
    scanned = find_circle(machine, str(attributes.get("scanned", ""))) or ""
    return ScanCircles(machine, sources, scanned, beamline_note(attributes))


def _frame_indices(section: CrystalAcquisition, count: int) -> list[int]:
    """List the indices of the selected frames.

    Raises:
        ConfigError: If there are no such frames, or steps between them differ: q must grow evenly.
    """
    try:
        indices = view_indices(section.frames, count)
    except ValueError as error:
        raise ConfigError(
            Diagnostic(
                "acquisition.frames", str(error).replace("view", "frame"), f"the file holds frames 0 to {count - 1}"
            )
        ) from error
    steps = np.diff(sorted(indices))
    if steps.size and (steps.min() < 1 or steps.min() != steps.max()):
        message = f"the frames are {steps.min()} to {steps.max()} apart: a rocking curve has even steps"
        raise ConfigError(Diagnostic("acquisition.frames", message, "name them all, and mask the bad ones"))
    if not _is_even(indices):
        _require_whole(indices, count)
    return indices


def _is_even(indices: list[int]) -> bool:
    """Whether the frames are evenly spaced, in rising or falling order."""
    return len(set(np.diff(indices).tolist())) <= 1


def _require_whole(indices: list[int], count: int) -> None:
    """Accept another order than the file's only for all of its frames, as the order of an unsorted file.

    Raises:
        ConfigError: If some frames are left out: the step of q between the others is unknown.
    """
    if len(indices) < count:
        first = next(i for i in range(2, len(indices)) if indices[i] - indices[i - 1] != indices[1] - indices[0])
        message = f"the frames are out of order: {indices[first]} follows {indices[first - 1]}"
        remedy = f"name them rising or falling, or all {count} in the order in which the crystal turned"
        raise ConfigError(Diagnostic("acquisition.frames", message, remedy))
    _log.warning("the frames are sorted as acquisition.frames says: q is indices to grow by its basis in that order")


def _series_names(acquisition: Acquisition, circles: ScanCircles | None) -> list[str]:
    """Names of the arrays with a number for each point of the scan, which may be more or fewer than the frames."""
    names = [entry.name for entry in circles.entries if entry.name.startswith(PREFIX)] if circles else []
    is_monitor_off = "monitor" in acquisition and len(acquisition["monitor"]) != len(acquisition["images"])
    return ["wavelength", *names, *(["monitor"] if is_monitor_off else [])]


def _scale_frame_step(acquisition: Acquisition, stride: int) -> Acquisition:
    """Scale the step of q per frame for frames that are skipped, and for a curve that is reversed."""
    if stride == 1 or "reciprocal_basis" not in acquisition:
        return acquisition
    basis = acquisition["reciprocal_basis"] * np.array([[stride], [1], [1]])
    return replace(acquisition, arrays={**acquisition.arrays, "reciprocal_basis": basis})
