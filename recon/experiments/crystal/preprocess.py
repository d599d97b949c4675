"""From an acquisition to what is phased: scaled, cleaned, cropped and binned, with every step told.

Nothing is dropped silently: what is masked or cut off is counted, and the sentences go into the run's log.
"""

import logging
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...phase_retrieval.data import DiffractionData
from .artifacts import find_aliens, find_bragg_peak, find_hot_pixels
from .config import CrystalSettings
from .config_acquisition import CrystalAcquisition
from .crop import CropBox, bin_counts, choose_crop_box
from .geometry_checks import frequency_metric, require_spacing
from .oversampling import Good, Oversampling, Voxels, estimate_oversampling
from .validate import good_voxels

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreprocessedScan:
    """A rocking curve, ready to be phased; the peak is near index ``n // 2``, if the config does not say otherwise.

    Args:
        counts: Counts (frame, y, x), as they were counted; 0 where they are not good.
        good: Which voxels were measured.
        exposure: Flux of the beam in each frame, relative to the mean over the acquisition's frames.
        reciprocal_basis: [1/m] Rows: change of q for one step of the array's axes; None if unknown.
        bragg_vector: [1/m] G; None if unknown.
        peak: Index of the Bragg peak, of the arrays above; beyond them where the box leaves it out.
        sampling: How finely the crystal is sampled.
        crop_box: The box of the file's array.
        notes: What was done, in sentences.
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

    @property
    def normalized_counts(self) -> Float[np.ndarray, "frame y x"]:
        """What would have been counted under a steady beam, but for the noise."""
        return np.asarray(self.counts / self.exposure[:, None, None], np.float32)

    @property
    def data(self) -> DiffractionData:
        """What phasing takes; it says which pixels every way of reconstruction withholds."""
        frame, y, x = self.counts.shape
        metric = None if self.reciprocal_basis is None else frequency_metric(self.reciprocal_basis, (frame, y, x))
        return DiffractionData(self.counts, self.good.astype(np.float32), self.exposure, self.peak, metric)


@dataclass
class ProcessingLog:
    """What was done, told to the log as it happens.

    Args:
        sentences: All of it.
    """

    sentences: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """Tell of a step that loses nothing, or what was asked for."""
        self.sentences.append(sentence)
        _log.info("%s", sentence)

    def warn(self, sentence: str) -> None:
        """Tell of what a person should look at."""
        self.sentences.append(sentence)
        _log.warning("%s", sentence)


def preprocess(settings: CrystalSettings, acquisition: Acquisition) -> PreprocessedScan:
    """Make a rocking curve ready.

    Args:
        settings: The config.
        acquisition: As read.

    Raises:
        ConfigError: If the crop, the centre or the spacing of the result do not suit the data.
    """
    wanted = settings.acquisition
    notes = ProcessingLog()
    good = good_voxels(acquisition)
    counts = np.where(good, acquisition["images"], 0).astype(np.float64)
    flux = _flux(acquisition, len(counts), notes)
    steady = counts / flux[:, None, None]
    peak = find_bragg_peak(steady, good)
    _told_of_file(good, peak, notes)
    good = _cleaned(steady, good, peak, wanted, notes)
    box = _box(wanted, counts.shape, peak)
    kept, fine = box.take(np.where(good, counts, 0)), box.take(good)
    _told_of_box(box, counts, kept, good, notes)
    kept, fine = bin_counts(kept, wanted.bin), bin_counts((~fine).astype(np.float64), wanted.bin) == 0
    kept = np.where(fine, kept, 0)
    exposure = _exposure(flux, box, wanted.bin[0])
    found = estimate_oversampling(kept / exposure[:, None, None], fine)
    _told_of_sampling(found, notes)
    basis = binned_basis(settings, acquisition)
    frame, y, x = kept.shape
    require_spacing(settings.volume.spacing, basis, (frame, y, x))
    return PreprocessedScan(
        kept.astype(np.float32),
        fine,
        exposure,
        basis,
        acquisition.arrays.get("bragg_vector"),
        _within(peak, box, wanted.bin),
        found,
        box,
        tuple(notes.sentences),
    )


def binned_basis(settings: CrystalSettings, acquisition: Acquisition) -> Float[np.ndarray, "3 3"] | None:
    """[1/m] Rows: change of q for one step of the axes of what is phased; None if unknown."""
    basis = acquisition.arrays.get("reciprocal_basis")
    return None if basis is None else np.asarray(basis * np.array(settings.acquisition.bin)[:, None])


def crop_box_by_size(settings: CrystalSettings, acquisition: Acquisition) -> CropBox:
    """The box of the array that would be phased, by its size alone: for estimates.

    Raises:
        ConfigError: If the crop does not suit the data.
    """
    frame, y, x = acquisition["images"].shape
    return _box(settings.acquisition, (frame, y, x), (frame // 2, y // 2, x // 2))


def _flux(acquisition: Acquisition, frames: int, notes: ProcessingLog) -> Float[np.ndarray, " frame"]:
    """The beam's flux in each frame by the monitor, relative to its mean; 1 where there is none."""
    if "monitor" not in acquisition:
        return np.ones(frames)
    monitor = acquisition["monitor"].astype(np.float64)
    flux = monitor / monitor.mean()
    notes.say(f"the beam's flux by the monitor, relative to its mean: {flux.min():.3f} to {flux.max():.3f}")
    return np.asarray(flux)


def _exposure(flux: Float[np.ndarray, " n"], box: CropBox, joined: int) -> Float[np.ndarray, " frame"]:
    """The flux in the frames of a box: means over those that are joined; 1 beyond the data, where all is masked."""
    frames = np.arange(box.size[0]) + box.first[0]
    there = (frames >= 0) & (frames < len(flux))
    each = np.where(there, flux[np.clip(frames, 0, len(flux) - 1)], 1.0)
    return np.asarray(each.reshape(-1, joined).mean(axis=1))


def _within(peak: tuple[int, int, int], box: CropBox, joined: tuple[int, int, int]) -> tuple[int, int, int]:
    """The peak's index in a box that was binned."""
    frame, y, x = ((p - first) // n for p, first, n in zip(peak, box.first, joined, strict=True))
    return frame, y, x


def _cleaned(
    counts: Voxels, good: Good, peak: tuple[int, int, int], wanted: CrystalAcquisition, notes: ProcessingLog
) -> Good:
    """Mask hot pixels and other particles' speckle, and say where."""
    hot = find_hot_pixels(counts, good, peak)
    if hot.any():
        done = "masked" if wanted.hot_pixels == "mask" else "kept, as acquisition.hot_pixels says"
        first = [int(i) for i in np.argwhere(hot)[0]]
        notes.warn(f"{int(hot.sum())} hot pixels (single ones far above their neighbours), {done}; one at {first}")
    if wanted.hot_pixels == "mask":
        good = good & ~hot
    alien, regions = find_aliens(counts, good & ~hot, peak)
    if regions:
        done = "masked" if wanted.aliens == "mask" else "kept, as acquisition.aliens says"
        shown = "; ".join(f"{r.voxels} voxels around {list(r.centre)} with {r.counts:.0f} counts" for r in regions[:3])
        more = f"; and {len(regions) - 3} more" if len(regions) > 3 else ""
        notes.warn(
            f"{len(regions)} regions bright on one side of the peak only (other particles?), {done}: {shown}{more}"
        )
    if wanted.aliens == "mask":
        good = good & ~alien
    return good


def _box(wanted: CrystalAcquisition, shape: tuple[int, ...], peak: tuple[int, int, int]) -> CropBox:
    frame, y, x = shape
    centre = peak
    if wanted.centre == "none":
        centre = (frame // 2, y // 2, x // 2)
    elif not isinstance(wanted.centre, str):
        centre = wanted.centre
        if any(c >= n for c, n in zip(centre, shape, strict=True)):
            message = f"{list(centre)} lies outside the {frame} x {y} x {x} voxels (frame, y, x)"
            raise ConfigError(Diagnostic("acquisition.centre", message, "count from 0 in the frames that are used"))
    try:
        return choose_crop_box((frame, y, x), centre, wanted.crop, wanted.bin)
    except ValueError as error:
        raise ConfigError(Diagnostic("acquisition.crop", str(error), "crop or bin less")) from error


def _told_of_file(good: Good, peak: tuple[int, int, int], notes: ProcessingLog) -> None:
    share = float(1 - good.mean())
    masked = f"; {100 * share:.2g} % of the voxels are masked in the file" if share > 0 else ""
    notes.say(f"peak at {list(peak)} of {' x '.join(map(str, good.shape))} voxels (frame, y, x){masked}")


def _told_of_box(box: CropBox, counts: Voxels, kept: np.ndarray, good: Good, notes: ProcessingLog) -> None:
    if box.size == box.count and not any(box.first):
        return
    total = float(counts[good].sum())
    outside = 1 - float(kept.sum()) / total if total > 0 else 0.0
    first, size = list(box.first), " x ".join(map(str, box.size))
    notes.say(f"box of {size} voxels from {first} on; {100 * max(outside, 0):.2g} % of the counts lie outside it")
    if any(box.lacking):
        notes.say(f"{list(box.lacking)} planes of the box lie beyond the data and are masked")


def _told_of_sampling(found: Oversampling, notes: ProcessingLog) -> None:
    ratios = ", ".join(f"{r:.2f}" for r in found.ratio)
    notes.say(f"oversampling along (frame, y, x) at most {ratios}, by the autocorrelation")
    if not all(found.enough):
        short = " and ".join(n for n, ok in zip(("frame", "y", "x"), found.enough, strict=True) if not ok)
        sentence = (
            f"the oversampling is below 2 along {short}: the autocorrelation fills the array, and projections alone "
            "may fail; take smaller steps, a longer distance, or less binning"
        )
        notes.warn(sentence)
