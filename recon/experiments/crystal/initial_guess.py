"""Where the fit of a field begins: a density of another run, a few phased starts, or a blind guess.

A field started blind stagnates as single projections do, and more often: its smoothness keeps it from crossing what
lies between. Unless told otherwise a fit therefore phases first, from fewer starts than `unflat phase` takes.

Whatever it comes from, a start is brought to the middle of its array, and its phase ramp (a peak beside the array's
middle pixel) is kept apart, as an offset of the pattern. It stands in the run's folder as ``start.h5``, so that a run
that goes on begins where it began.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import ndimage

from ....physics.diffraction.far_field import fftshift3, ifftshift3
from ....physics.psf import gaussian_kernel
from ...errors import ConfigError, DataError, Diagnostic
from ...io.hdf5_common import open_checked, write_root_attributes
from ...phase_retrieval.pipeline import phase
from ...phase_retrieval.support import autocorrelation_support
from ...runs import Checkpoint, describe_input, new_hdf5, write_atomically
from ...runs.context import RunContext
from .config import CrystalSettings
from .initial_guess_file import require_density, resolve_start_file
from .laboratory import Solution, phase_ramp, phase_slopes, shift_to_middle
from .preprocess import PreprocessedScan
from .summary import likelihood_text

FILE_NAME = "start.h5"
_STAGE = "start"
_BLUR = 1.0
_THRESHOLD = 0.2
"""Part of the largest blurred amplitude that belongs to the crystal."""
_BASIS_TOLERANCE = 1e-3
_OPTIONAL = ("point_spread_function", "background", "reciprocal_basis")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitialGuess:
    """What a fit begins with.

    Args:
        density: On the grid conjugate to the measured array, in its middle, without ramp; |FFT|² is in counts.
        support: Where the crystal is.
        offset: [pixel] Where the peak stands beside the array's middle pixel.
        sigmas: [pixel] Widths of the point-spread function.
        background: Counts in every pixel.
    """

    density: Complex[np.ndarray, "z y x"]
    support: Bool[np.ndarray, "z y x"]
    offset: Float[np.ndarray, " 3"]
    sigmas: Float[np.ndarray, " 3"]
    background: float

    @classmethod
    def of(
        cls, density: Complex[np.ndarray, "z y x"], sigmas: Float[np.ndarray, " 3"], background: float
    ) -> "InitialGuess":
        """Bring a density into this form; what stands far from the crystal is left out."""
        support = find_support(density)
        shift = shift_to_middle(Solution(density, support))
        density, support = (np.roll(array, shift, axis=(0, 1, 2)) for array in (density, support))
        slopes = phase_slopes(density, support)
        flat = np.where(support, density * np.conj(phase_ramp(slopes, density.shape)), 0)
        return cls(flat, support, slopes * np.array(density.shape) / (2 * np.pi), sigmas, background)


def find_support(density: Complex[np.ndarray, "z y x"]) -> Bool[np.ndarray, "z y x"]:
    """Find the crystal: the largest piece of what is bright once blurred a little; it may lie across the edges."""
    blurred = ndimage.gaussian_filter(np.abs(density).astype(np.float64), _BLUR, mode="wrap")
    bright = blurred > _THRESHOLD * blurred.max()
    turn = shift_to_middle(Solution(density, bright))
    labels, _ = ndimage.label(np.roll(bright, turn, axis=(0, 1, 2)))
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    return np.asarray(np.roll(labels == 1 + int(np.argmax(sizes)), [-t for t in turn], axis=(0, 1, 2)))


def find_initial_guess(
    settings: CrystalSettings, prepared: PreprocessedScan, work: RunContext | None = None
) -> InitialGuess:
    """Find where to begin, as ``fit.start`` says.

    Args:
        settings: The config.
        prepared: The measurement.
        work: Where the start is kept, and checkpoints of the way to it.

    Raises:
        Stopped: If it was asked to end early.
        ConfigError: If ``fit.start`` names no density.
        DataError: If it names one that is not of this measurement.
    """
    kept = work.folder.path / FILE_NAME if work is not None else None
    if kept is not None and kept.is_file():
        return read_initial_guess(kept, prepared)
    wanted = settings.fit.start
    if wanted == "phase":
        found = _phased(settings, prepared, work)
    elif wanted == "none":
        found = _blind(settings, prepared)
    else:
        found = _named(settings, prepared)
    if work is None or kept is None:
        return found
    _write(kept, found, prepared)
    work.folder.save_checkpoint(0, {}, {"stage": _STAGE})  # It takes the place of those on the way here.
    return read_initial_guess(kept, prepared)  # As a run that goes on will read it, to the last digit.


def _phased(settings: CrystalSettings, prepared: PreprocessedScan, work: RunContext | None) -> InitialGuess:
    """Phase from a few starts, and take the best."""
    measured = prepared.data
    few = settings.phase.model_copy(update={"starts": settings.fit.starts, "keep": 1, "gate": None})
    _log.info("phasing from %d starts first: a field that starts blind stagnates", settings.fit.starts)
    if work is None:
        found = phase(measured, few, settings.seed)
    else:
        folder = work.folder

        def save(step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
            folder.save_checkpoint(step, arrays, facts | {"stage": _STAGE})

        before = folder.latest_checkpoint()
        found = phase(measured, few, settings.seed, work.progress, work.should_stop, _of_start(before), save)
    _log.info("start: %s", likelihood_text(found.numbers))
    return InitialGuess.of(found.density.astype(np.complex128), np.array(found.sigmas), found.background)


def _of_start(found: Checkpoint | None) -> Checkpoint | None:
    return found if found is not None and found.metadata.get("stage") == _STAGE and found.arrays else None


def _blind(settings: CrystalSettings, prepared: PreprocessedScan) -> InitialGuess:
    """Half the autocorrelation's extent, evenly filled; by the pixels that are fitted alone."""
    fitted = prepared.good & ~prepared.data.withheld(settings.phase.free, settings.seed)
    counts, weights = np.where(fitted, prepared.normalized_counts, 0).astype(np.float32), fitted.astype(np.float32)
    found = autocorrelation_support(
        jnp.asarray(ifftshift3(counts)), jnp.asarray(ifftshift3(weights)), settings.phase.start
    )
    wide = fftshift3(np.asarray(found)) > 0
    distance = np.zeros(wide.shape)
    for axis, n in enumerate(wide.shape):
        reach = np.ptp(np.flatnonzero(wide.any(axis=tuple(i for i in range(3) if i != axis)))) / 4 + 1
        distance = distance + (((np.arange(n) - n // 2) / reach) ** 2).reshape(
            [-1 if i == axis else 1 for i in range(3)]
        )
    inside = distance <= 1
    level = np.sqrt(counts.sum() / counts.size / inside.sum())
    return InitialGuess.of((level * inside).astype(np.complex128), np.zeros(3), 0.0)


def _named(settings: CrystalSettings, prepared: PreprocessedScan) -> InitialGuess:
    """The density of a run or a volume file."""
    file = resolve_start_file(settings)
    if file is None:
        raise ConfigError(
            Diagnostic("fit.start", f"{settings.fit.start!r} names no file", "name a run or a volume file")
        )
    if settings.phase.free > 0 and not _withheld_the_same(file, prepared, settings):
        _log.warning(
            "%s does not say that it withheld the same pixels (seed, phase.free, mask, box and frames): the free "
            "likelihood may flatter",
            file.name,
        )
    _log.info("start: %s, SHA-256 %s", file.name, describe_input(file).get("sha256", "unknown"))
    return read_initial_guess(file, prepared)


def _withheld_the_same(file: Path, prepared: PreprocessedScan, settings: CrystalSettings) -> bool:
    """Whether a file says that its density was fitted to none of the pixels that are withheld here."""
    with open_checked(file) as h5:
        group = h5.get("detector_frame", {})
        found = {name: np.asarray(group[name][()]) for name in ("withheld", "mask", "first") if name in group}
        frames = _frames_of(str(h5.attrs.get("provenance", "")))
    if len(found) < 3 or frames != settings.acquisition.model_dump(mode="json")["frames"]:
        return False
    if tuple(found["first"]) != prepared.crop_box.first or found["mask"].shape != prepared.counts.shape:
        return False
    unseen = (found["withheld"] != 0) | (found["mask"] != 0)
    free = prepared.data.withheld(settings.phase.free, settings.seed)
    return bool(unseen[free].all())


def _frames_of(provenance: str) -> Any:
    """Which of its file's frames a run had; None where it does not say."""
    import json

    try:
        return json.loads(provenance)["config"]["acquisition"]["frames"]
    except (ValueError, KeyError, TypeError):
        return None


def read_initial_guess(file: Path, prepared: PreprocessedScan) -> InitialGuess:
    """Read ``/detector_frame`` of a volume file, or a kept start.

    Raises:
        DataError: If there is none, or it is not on the grid of this measurement.
    """
    with open_checked(file) as h5:
        require_density(h5, file)
        group = h5["detector_frame"]
        density = np.asarray(group["density"][()], np.complex128)
        found = {name: np.asarray(group[name][()]) for name in _OPTIONAL if name in group}
    _require_same_grid(file, density, found.get("reciprocal_basis"), prepared)
    kernel = found.get("point_spread_function", np.ones((1, 1, 1)))
    return InitialGuess.of(density, _widths_of(kernel), float(found.get("background", 0.0)))


def _require_same_grid(
    file: Path, density: Complex[np.ndarray, "z y x"], basis: np.ndarray | None, prepared: PreprocessedScan
) -> None:
    wanted, own = prepared.counts.shape, prepared.reciprocal_basis
    where, remedy = f"{file}:/detector_frame", "start from a run with the same acquisition.crop and acquisition.bin"
    if density.shape != wanted:
        message = f"the density has the shape {density.shape}, the measurement {wanted} (frame, y, x)"
        raise DataError(Diagnostic(where, message, remedy))
    if not np.isfinite(density).all() or not np.abs(density).max() > 0:
        raise DataError(Diagnostic(where, "the density is 0 everywhere, or not finite"))
    if basis is not None and own is not None:
        apart = np.linalg.norm(basis - own) / np.linalg.norm(own)
        if apart > _BASIS_TOLERANCE:
            raise DataError(
                Diagnostic(where, f"its reciprocal basis differs from the measurement's by {apart:.2g}", remedy)
            )


def _widths_of(kernel: Float[np.ndarray, "dz dy dx"]) -> Float[np.ndarray, " 3"]:
    """[pixel] Standard deviations of a point-spread function along its axes."""
    widths = []
    for axis, n in enumerate(kernel.shape):
        line = kernel.sum(axis=tuple(i for i in range(3) if i != axis)) / kernel.sum()
        widths.append(float(np.sqrt(max(float((line * (np.arange(n) - n // 2) ** 2).sum()), 0.0))))
    return np.array(widths)


def _write(path: Path, start: InitialGuess, prepared: PreprocessedScan) -> None:
    """Keep a start, in the layout of a volume file's ``/detector_frame``."""
    ramp = phase_ramp(2 * np.pi * start.offset / np.array(start.density.shape), start.density.shape)
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, "unflat-start", "crystal", "detector_frame")
        group = file.create_group("detector_frame")
        group.attrs["NX_class"] = "NXcollection"
        arrays: dict[str, tuple[Any, str]] = {
            "density": (start.density * ramp, "1"),
            "point_spread_function": (gaussian_kernel(start.sigmas), "1"),
            "background": (np.float64(start.background), "counts"),
        }
        if prepared.reciprocal_basis is not None:
            arrays["reciprocal_basis"] = (prepared.reciprocal_basis, "1/m")
        for name, (array, unit) in arrays.items():
            group.create_dataset(name, data=array).attrs["units"] = unit
