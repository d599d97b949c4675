"""Initial guess of a fit: the density of another run, the best of a few phased starts, or a blind guess.

A field stagnates from a blind guess as single projections do, and more often, for it is smooth. By default a fit
therefore phases first, from fewer starts than `unflat phase` takes.

The guess is written to the run's folder as ``start.h5``: a resumed run begins with the same.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ....physics.diffraction.far_field import fftshift3, ifftshift3
from ...errors import ConfigError, Diagnostic
from ...io.hdf5_common import open_checked
from ...io.json_text import parse_json
from ...phase_retrieval.pipeline import InitialStarts, phase
from ...phase_retrieval.support import autocorrelation_support
from ...runs import Checkpoint, describe_input
from ...runs.companion import share_file
from ...runs.context import RunContext, never_stop
from .config import CrystalSettings
from .guess_density import InitialGuess, read_initial_guess, write_initial_guess
from .initial_guess_file import resolve_start_file
from .preprocess import PreprocessedScan
from .summary import likelihood_text
from .warm_start import add_start, former_density

FILE_NAME = "start.h5"
_STAGE = "start"
"""Stage of a checkpoint that belongs to the phasing of the initial guess."""

_log = logging.getLogger(__name__)


def find_initial_guess(
    settings: CrystalSettings,
    scan: PreprocessedScan,
    context: RunContext | None = None,
    should_stop: Callable[[], str | None] = never_stop,
    initial: InitialStarts | None = None,
) -> InitialGuess:
    """Find the initial guess that ``fit.start`` names.

    Args:
        settings: Settings of the run.
        scan: Preprocessed measurement.
        context: Run folder for the guess and for checkpoints of its phasing, progress callback and stop request; None
            to write nothing.
        should_stop: Reason to end early, without a context.
        initial: Densities of further starts of the phasing, where no context gives one.

    Raises:
        Stopped: If the run was asked to end early.
        ConfigError: If ``fit.start`` names no density.
        DataError: If it names a density of another measurement.
    """
    path = context.folder.path / FILE_NAME if context is not None else None
    if context is not None and (former := share_file(context.folder, FILE_NAME)) is not None:
        return read_initial_guess(former, scan)
    if settings.fit.start == "phase":
        guess = _from_phasing(settings, scan, context, should_stop, initial)
    elif settings.fit.start == "none":
        guess = _from_autocorrelation(settings, scan)
    else:
        guess = _from_file(settings, scan)
    if context is None or path is None:
        return guess
    write_initial_guess(path, guess, scan)
    context.folder.save_checkpoint(0, {}, {"stage": _STAGE})  # Replaces the checkpoints of the phasing.
    share_file(context.folder, FILE_NAME)
    return read_initial_guess(path, scan)  # Equal to the last digit to that of a resumed run.


def _from_phasing(
    settings: CrystalSettings,
    scan: PreprocessedScan,
    context: RunContext | None,
    should_stop: Callable[[], str | None],
    initial: InitialStarts | None,
) -> InitialGuess:
    """Phase from a few starts, and take the best."""
    refine = settings.phase.refine.model_copy(update={"margin": 0.0})  # The field has finer samples of its own.
    fitted = settings.fit.refine
    refine = refine.model_copy(update={name: getattr(fitted, name) for name in ("angles", "rolls", "flux")})
    update = {"starts": settings.fit.starts, "keep": 1, "gate": None, "refine": refine}
    few = settings.phase.model_copy(update=update)
    _log.info("phasing from %d starts first: a field that starts blind stagnates", settings.fit.starts)
    if context is None:
        few = few.model_copy(update={"starts": few.starts + (0 if initial is None else initial.count)})
        result = phase(scan.data, few, settings.seed, should_stop=should_stop, initial=initial)
    else:
        folder, former = context.folder, former_density(scan, context)
        initial = None if former is None else add_start(former, None, settings)
        few = few.model_copy(update={"starts": few.starts + (initial is not None)})

        def save_checkpoint(step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
            folder.save_checkpoint(step, arrays, metadata | {"stage": _STAGE})

        checkpoint = _phasing_checkpoint(folder.latest_checkpoint())
        result = phase(
            *(scan.data, few, settings.seed, context.progress, context.should_stop),
            *(checkpoint, save_checkpoint, initial),
        )
    _log.info("start: %s", likelihood_text(result.numbers))
    density, sigmas = result.density.astype(np.complex128), np.array(result.sigmas)
    return InitialGuess.from_density(density, sigmas, result.background, result.frames)


def _phasing_checkpoint(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Select a checkpoint of the phasing; None if it belongs to another stage."""
    if checkpoint is None or checkpoint.metadata.get("stage") != _STAGE or not checkpoint.arrays:
        return None
    return checkpoint


def _from_autocorrelation(settings: CrystalSettings, scan: PreprocessedScan) -> InitialGuess:
    """Fill an ellipsoid of half the autocorrelation's extent evenly; withheld pixels are not used."""
    fitted = scan.good & ~scan.data.free_pixels(settings.phase.free, settings.seed)
    counts, weights = np.where(fitted, scan.normalized_counts, 0).astype(np.float32), fitted.astype(np.float32)
    support = autocorrelation_support(
        jnp.asarray(ifftshift3(counts)), jnp.asarray(ifftshift3(weights)), settings.phase.start
    )
    extent = fftshift3(np.asarray(support)) > 0
    distance = np.zeros(extent.shape)
    for axis, n in enumerate(extent.shape):
        others = tuple(i for i in range(3) if i != axis)
        radius = np.ptp(np.flatnonzero(extent.any(axis=others))) / 4 + 1
        squares = ((np.arange(n) - n // 2) / radius) ** 2
        distance = distance + squares.reshape([-1 if i == axis else 1 for i in range(3)])
    inside = distance <= 1
    level = np.sqrt(counts.sum() / counts.size / inside.sum())
    return InitialGuess.from_density((level * inside).astype(np.complex128), np.zeros(3), 0.0)


def _from_file(settings: CrystalSettings, scan: PreprocessedScan) -> InitialGuess:
    """Read the density of a run or a volume file."""
    file = resolve_start_file(settings)
    if file is None:
        raise ConfigError(
            Diagnostic("fit.start", f"{settings.fit.start!r} names no file", "name a run or a volume file")
        )
    if settings.phase.free > 0 and not _has_same_withheld(file, scan, settings):
        _log.warning(
            "%s does not say that it withheld the same pixels (seed, phase.free, mask, box and frames): the free "
            "likelihood may flatter",
            file.name,
        )
    _log.info("start: %s, SHA-256 %s", file.name, describe_input(file).get("sha256", "unknown"))
    return read_initial_guess(file, scan)


def _has_same_withheld(file: Path, scan: PreprocessedScan, settings: CrystalSettings) -> bool:
    """Whether a file states that its density was fitted to none of the pixels that are withheld here."""
    with open_checked(file) as h5:
        group = h5.get("detector_frame", {})
        arrays = {name: np.asarray(group[name][()]) for name in ("withheld", "mask", "first") if name in group}
        frames = _provenance_frames(str(h5.attrs.get("provenance", "")))
    if len(arrays) < 3 or frames != settings.acquisition.model_dump(mode="json")["frames"]:
        return False
    if tuple(arrays["first"]) != scan.crop_box.first or arrays["mask"].shape != scan.counts.shape:
        return False
    unused = (arrays["withheld"] != 0) | (arrays["mask"] != 0)
    free = scan.data.free_pixels(settings.phase.free, settings.seed)
    return bool(unused[free].all())


def _provenance_frames(provenance: str) -> Any:
    """Read the frames of the acquisition that a run used; None if its provenance does not hold them."""
    try:
        return parse_json(provenance)["config"]["acquisition"]["frames"]
    except (ValueError, KeyError, TypeError):
        return None
