"""Preprocessing of a rocking curve for phasing: scaled, cleaned, cropped and binned, with a log of every step.

Nothing is dropped silently: the log counts what is masked or cropped.
"""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...phase_retrieval.data import DiffractionData
from ...phase_retrieval.frame_corrections import FrameCorrections
from .artifacts import find_aliens, find_bragg_peak, find_hot_pixels
from .config import CrystalSettings
from .config_acquisition import CrystalAcquisition
from .crop import CropBox, bin_counts, choose_crop_box
from .diffractometer import GROUP
from .geometry_checks import frequency_metric, require_spacing
from .oversampling import Good, Oversampling, Voxels, estimate_oversampling, masked_share
from .uneven_curve import OFFSETS, box_positions, describe_offsets, even_positions
from .validate import good_voxels
from .window import pixel_ranges, region_slices

_log = logging.getLogger(__name__)
_MASKED = 0.05
"""Share of the counts behind the mask above which the autocorrelation is that of the mask, and not of the crystal."""


@dataclass(frozen=True)
class PreprocessedScan:
    """Rocking curve for phasing; the peak is near index ``n // 2``, unless the config chooses another centre.

    Args:
        counts: Counts (frame, y, x), not scaled; 0 where they are not good.
        good: Mask of the measured voxels.
        exposure: Flux of the beam in each frame, relative to the mean over the acquisition's frames.
        reciprocal_basis: [1/m] Rows: change of q for one step of the array's axes; None if unknown.
        bragg_vector: [1/m] G; None if unknown.
        peak: Index of the Bragg peak in the arrays above; beyond them if the box leaves it out.
        sampling: Oversampling of the crystal.
        crop_box: Box of the file's array.
        notes: Sentences of the processing log.
        positions: Position of each frame along the curve [step], from the middle ``n // 2``, and its offsets along y
            and x [pixel]; None for an even curve.
        angles: [rad] Angle of the scanned circle at position 0, and its turn in one step; None if unknown.
    """

    counts: Float[np.ndarray, "frame y x"]
    good: Good
    exposure: Float[np.ndarray, " frame"]
    reciprocal_basis: Float[np.ndarray, "3 3"] | None
    bragg_vector: Float[np.ndarray, " 3"] | None
    peak: tuple[int, int, int]
    sampling: Oversampling
    crop_box: CropBox
    notes: tuple[str, ...]
    positions: Float[np.ndarray, "frame 3"] | None = None
    angles: tuple[float, float] | None = None

    @property
    def frame_positions(self) -> Float[np.ndarray, "frame 3"]:
        """Positions of the frames, those of even steps for an even curve."""
        return even_positions(len(self.counts)) if self.positions is None else self.positions

    def corrected(self, frames: FrameCorrections | None) -> "PreprocessedScan":
        """Apply fitted corrections of the frames; None for none."""
        if frames is None:
            return self
        return replace(self, positions=self.frame_positions + frames.offsets, exposure=self.exposure * frames.flux)

    @property
    def normalized_counts(self) -> Float[np.ndarray, "frame y x"]:
        """Counts under a steady beam."""
        return np.asarray(self.counts / self.exposure[:, None, None], np.float32)

    @property
    def data(self) -> DiffractionData:
        """Input of phasing, which chooses the pixels that every method withholds."""
        frame, y, x = self.counts.shape
        metric = None if self.reciprocal_basis is None else frequency_metric(self.reciprocal_basis, (frame, y, x))
        good = self.good.astype(np.float32)
        return DiffractionData(self.counts, good, self.exposure, self.peak, metric, self.positions)


@dataclass
class ProcessingLog:
    """Log of the processing, passed on to the run's log as it is written.

    Args:
        sentences: Sentences so far.
    """

    sentences: list[str] = field(default_factory=list)

    def info(self, sentence: str) -> None:
        """Log a step that loses nothing, or that the config asks for."""
        self.sentences.append(sentence)
        _log.info("%s", sentence)

    def warn(self, sentence: str) -> None:
        """Log a step that a person should check."""
        self.sentences.append(sentence)
        _log.warning("%s", sentence)


def preprocess(settings: CrystalSettings, acquisition: Acquisition) -> PreprocessedScan:
    """Preprocess a rocking curve.

    Args:
        settings: Settings of the run.
        acquisition: Rocking curve as read.

    Raises:
        ConfigError: If the crop, the centre or the spacing of the result do not suit the data.
    """
    section, log = settings.acquisition, ProcessingLog()
    good = good_voxels(acquisition)
    counts = np.where(good, acquisition["images"], 0).astype(acquisition["images"].dtype, copy=False)
    flux = _relative_flux(acquisition, len(counts), log)
    peak, corner = find_bragg_peak(counts, good, flux), _corner(acquisition)
    _log_peak(good, _shifted(peak, corner), log)
    good = _mask_artifacts(counts, good, flux, peak, corner, section, log)
    box = _crop_box(section, acquisition, peak)
    cropped_good = box.take(good)
    cropped = np.where(cropped_good, box.take(counts).astype(np.float64), 0)
    _log_box(box, corner, float(counts.sum(dtype=np.float64, where=good)), float(cropped.sum()), log)
    binned_good = bin_counts((~cropped_good).astype(np.float64), section.bin) == 0
    binned = np.where(binned_good, bin_counts(cropped, section.bin), 0)
    exposure = _exposure(flux, box, section.bin[0])
    steady = binned / exposure[:, None, None]
    oversampling = estimate_oversampling(steady, binned_good)
    _log_oversampling(oversampling, masked_share(steady, binned_good), log)
    positions, basis = _positions(settings, acquisition, box, log)
    frame, y, x = binned.shape
    require_spacing(settings.volume.spacing, basis, (frame, y, x))
    return PreprocessedScan(
        counts=binned.astype(np.float32),
        good=binned_good,
        exposure=exposure,
        reciprocal_basis=basis,
        bragg_vector=acquisition.arrays.get("bragg_vector"),
        peak=_binned_index(peak, box, section.bin),
        sampling=oversampling,
        crop_box=_in_file(box, acquisition),
        notes=tuple(log.sentences),
        positions=positions,
        angles=_angles(settings, acquisition, box, basis),
    )


def binned_basis(settings: CrystalSettings, acquisition: Acquisition) -> Float[np.ndarray, "3 3"] | None:
    """Compute the reciprocal basis after binning, as rows [1/m] for one step of (frame, y, x); None if unknown."""
    basis = acquisition.arrays.get("reciprocal_basis")
    return None if basis is None else np.asarray(basis * np.array(settings.acquisition.bin)[:, None])


def _positions(
    settings: CrystalSettings, acquisition: Acquisition, box: CropBox, log: ProcessingLog
) -> tuple[Float[np.ndarray, "frame 3"] | None, Float[np.ndarray, "3 3"] | None]:
    """Compute the positions of the frames in the box, None for an even curve, and the basis of their array."""
    basis, offsets = binned_basis(settings, acquisition), acquisition.arrays.get(OFFSETS)
    if offsets is None:
        return None, basis
    frames, rows, columns = settings.acquisition.bin
    positions, scale = box_positions(offsets, box, frames)
    log.info(f"each of the {len(positions)} frames at its own q: {describe_offsets(offsets)}")
    pixels = np.array([1, rows, columns])
    return positions / pixels, None if basis is None else np.asarray(basis * np.array([[scale], [1], [1]]))


def _angles(
    settings: CrystalSettings, acquisition: Acquisition, box: CropBox, basis: Float[np.ndarray, "3 3"] | None
) -> tuple[float, float] | None:
    """Find the angle of the scanned circle in the middle of the array, and its turn in one step of the array."""
    group = acquisition.groups.get(GROUP)
    whole = acquisition.arrays.get("reciprocal_basis")
    if group is None or basis is None or whole is None:
        return None
    scanned = group.datasets.get(str(group.attributes.get("scanned", "")))
    if scanned is None or np.size(scanned.values) != len(acquisition["images"]):
        return None
    frames, binning = np.arange(np.size(scanned.values)), settings.acquisition.bin[0]
    slope, start = np.polyfit(frames, scanned.values, 1)
    middle = box.first[0] + binning * (box.size[0] // binning // 2) + (binning - 1) / 2
    offsets = acquisition.arrays.get(OFFSETS)
    off = 0.0 if offsets is None else float(np.interp(middle, frames, offsets[:, 0]))
    return float(start + slope * (middle + off)), float(slope * np.linalg.norm(basis[0]) / np.linalg.norm(whole[0]))


def crop_box_by_size(settings: CrystalSettings, acquisition: Acquisition) -> CropBox:
    """Choose the crop box from the size of the array alone, for estimates.

    Raises:
        ConfigError: If the crop does not suit the data.
    """
    frame, y, x = acquisition["images"].shape
    return _crop_box(settings.acquisition, acquisition, (frame // 2, y // 2, x // 2))


def _relative_flux(acquisition: Acquisition, frames: int, log: ProcessingLog) -> Float[np.ndarray, " frame"]:
    """Compute the beam's flux in each frame by the monitor, relative to its mean; 1 without a monitor."""
    if "monitor" not in acquisition:
        return np.ones(frames)
    monitor = acquisition["monitor"].astype(np.float64)
    flux = monitor / monitor.mean()
    log.info(f"the beam's flux by the monitor, relative to its mean: {flux.min():.3f} to {flux.max():.3f}")
    return np.asarray(flux)


def _exposure(flux: Float[np.ndarray, " n"], box: CropBox, binning: int) -> Float[np.ndarray, " frame"]:
    """Average the flux over the frames of each bin of a box; 1 outside the data, where all is masked."""
    frames = np.arange(box.size[0]) + box.first[0]
    is_inside = (frames >= 0) & (frames < len(flux))
    padded = np.where(is_inside, flux[np.clip(frames, 0, len(flux) - 1)], 1.0)
    return np.asarray(padded.reshape(-1, binning).mean(axis=1))


def _binned_index(index: tuple[int, int, int], box: CropBox, binning: tuple[int, int, int]) -> tuple[int, int, int]:
    """Convert an index of the file's array to one of the cropped and binned array."""
    frame, y, x = ((i - first) // n for i, first, n in zip(index, box.first, binning, strict=True))
    return frame, y, x


def _mask_artifacts(
    counts: Voxels,
    good: Good,
    flux: Float[np.ndarray, " frame"],
    peak: tuple[int, int, int],
    corner: tuple[int, int, int],
    section: CrystalAcquisition,
    log: ProcessingLog,
) -> Good:
    """Mask hot pixels and speckle of other particles, as the config asks, and log where they are."""
    hot = find_hot_pixels(counts, good, peak)
    if hot.any():
        treatment = "masked" if section.hot_pixels == "mask" else "kept, as acquisition.hot_pixels says"
        frame, y, x = (int(i) for i in np.argwhere(hot)[0])
        first = list(_shifted((frame, y, x), corner))
        log.warn(f"{int(hot.sum())} hot pixels (single ones far above their neighbours), {treatment}; one at {first}")
    if section.hot_pixels == "mask":
        good = good & ~hot
    alien, regions = find_aliens(counts, good & ~hot, peak, flux)
    if regions:
        treatment = "masked" if section.aliens == "mask" else "kept, as acquisition.aliens says"
        shown = [(r.voxels, list(_shifted(r.centre, corner)), r.counts) for r in regions[:3]]
        listed = "; ".join(f"{size} voxels around {centre} with {total:.0f} counts" for size, centre, total in shown)
        more = f"; and {len(regions) - 3} more" if len(regions) > 3 else ""
        summary = f"{len(regions)} regions bright on one side of the peak only (other particles?)"
        log.warn(f"{summary}, {treatment}: {listed}{more}")
    if section.aliens == "mask":
        good = good & ~alien
    return good


def _corner(acquisition: Acquisition) -> tuple[int, int, int]:
    """Return the index in the frames of the file of the first voxel that was read."""
    rows, columns = pixel_ranges(acquisition)
    return 0, rows.first, columns.first


def _shifted(index: tuple[int, int, int], by: tuple[int, int, int]) -> tuple[int, int, int]:
    return index[0] + by[0], index[1] + by[1], index[2] + by[2]


def _in_file(box: CropBox, acquisition: Acquisition) -> CropBox:
    """Count the voxels of a box from the corner of the file's frames."""
    rows, columns = pixel_ranges(acquisition)
    return CropBox(_shifted(box.first, _corner(acquisition)), box.size, (box.count[0], rows.total, columns.total))


def _crop_box(section: CrystalAcquisition, acquisition: Acquisition, peak: tuple[int, int, int]) -> CropBox:
    """Choose the crop box as the config asks, in the part of the frames that was read.

    Raises:
        ConfigError: If the centre is outside the array, or too few voxels are left.
    """
    frame, y, x = acquisition["images"].shape
    rows, columns = pixel_ranges(acquisition)
    centre = peak
    if section.centre == "none":
        parts = region_slices(section, rows.total, columns.total)
        down, right = ((part.start + part.stop) // 2 for part in parts)
        centre = (frame // 2, down - rows.first, right - columns.first)
    elif not isinstance(section.centre, str):
        centre = (section.centre[0], section.centre[1] - rows.first, section.centre[2] - columns.first)
        if any(not 0 <= c < n for c, n in zip(centre, (frame, y, x), strict=True)):
            where = f"frames 0 to {frame - 1}, rows {rows.first} to {rows.first + y - 1}, "
            where += f"columns {columns.first} to {columns.first + x - 1}"
            message = f"{list(section.centre)} (frame, y, x) lies outside of what is read: {where}"
            remedy = "count frames from 0 in those that are used, and pixels in the file's"
            raise ConfigError(Diagnostic("acquisition.centre", message, remedy))
    try:
        return choose_crop_box((frame, y, x), centre, section.crop, section.bin)
    except ValueError as error:
        raise ConfigError(Diagnostic("acquisition.crop", str(error), "crop or bin less")) from error


def _log_peak(good: Good, peak: tuple[int, int, int], log: ProcessingLog) -> None:
    fraction = float(1 - good.mean())
    masked = f"; {100 * fraction:.3g} % of the voxels are masked in the file" if fraction > 0 else ""
    log.info(f"peak at {list(peak)} of {' x '.join(map(str, good.shape))} voxels (frame, y, x){masked}")


def _log_box(box: CropBox, corner: tuple[int, int, int], total: float, inside: float, log: ProcessingLog) -> None:
    """Log the box, and the fraction of the total counts that is outside it."""
    if box.size == box.count and not any(box.first):
        return
    outside = 1 - inside / total if total > 0 else 0.0
    first, size = list(_shifted(box.first, corner)), " x ".join(map(str, box.size))
    log.info(f"box of {size} voxels from {first} on; {100 * max(outside, 0):.3g} % of the counts lie outside it")
    if any(box.padding):
        log.info(f"{list(box.padding)} planes of the box lie beyond the data and are masked")


def _log_oversampling(oversampling: Oversampling, masked: float, log: ProcessingLog) -> None:
    """Log the oversampling, and warn where it is low, or unknown since too much of the counts is masked."""
    ratios = ", ".join(f"{r:.2f}" for r in oversampling.ratio)
    log.info(f"oversampling along (frame, y, x) at most {ratios}, by the autocorrelation")
    if not all(oversampling.is_sufficient):
        names = zip(("frame", "y", "x"), oversampling.is_sufficient, strict=True)
        axes = " and ".join(name for name, is_sufficient in names if not is_sufficient)
        if masked > _MASKED:
            reason = "a part of the peak is masked, or lies beyond the data"
            log.warn(f"the oversampling along {axes} cannot be judged by the autocorrelation: {reason}")
            return
        log.warn(
            f"the oversampling is below 2 along {axes}: the autocorrelation fills the array, and projections alone "
            "may fail; take smaller steps, a longer distance, or less binning"
        )
