"""Rocking curve of which frames are still to come: what is known of it, and what its frames leave open.

The missing frames keep their places on the grid of q of the full curve, and are masked.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic
from .config import CrystalSettings
from .oversampling import Oversampling
from .preprocess import PreprocessedScan, preprocess
from .read import read_selected
from .validate import good_voxels, validate

MASK = "/measurement/mask"
_MOST_BESIDE = 0.7
"""Largest mean counts of the outermost frames on each side, relative to the maximum, of a peak that has been passed."""
_AROUND = 2
"""Frames that must be there on each side of the maximum."""
_WIDTHS = 2
"""Frames that must be there beyond the maximum where more are to come, in widths of it at half its height.

A fringe of a crystal with parallel faces is half as wide as the distance to the next, which is higher towards the peak.
"""
_LEAST_RATIO = 2.0
"""Least oversampling along the frames that is assumed while some are missing, which blurs the autocorrelation."""


@dataclass(frozen=True)
class PartialCurve:
    """Rocking curve with some frames.

    Args:
        scan: Preprocessed measurement, with the missing frames masked.
        totals: Mean counts of the good pixels of each frame; NaN where it is missing.
        has_maximum: Whether the maximum of the peak has been seen, with frames on both sides of it.
        fraction: Fraction of the frames that are there.
    """

    scan: PreprocessedScan
    totals: Float[np.ndarray, " frame"]
    has_maximum: bool
    fraction: float

    @property
    def is_whole(self) -> bool:
        """Whether no frame is missing."""
        return bool(np.isfinite(self.totals).all())


def read_partial_curve(settings: CrystalSettings, path: Path, received: Bool[np.ndarray, " frame"]) -> PartialCurve:
    """Read a snapshot of a rocking curve.

    Args:
        settings: Settings of the run.
        path: Acquisition of the full number of frames.
        received: Whether each frame of the file is there.

    Raises:
        DataError: If nothing can be seen in the frames that are there.
    """
    section = settings.acquisition.model_copy(update={"doubtful": "warn"})
    settings = settings.model_copy(update={"acquisition": section})
    with without_log():
        acquisition, selection = read_selected(settings, path)
        there = received[list(selection.indices)]
        acquisition = _mask_frames(acquisition, there)
        if faults := validate(acquisition):
            raise DataError(*(Diagnostic("", fault.message) for fault in faults))
        scan = preprocess(settings, acquisition)
    totals = _mean_counts(acquisition, there)
    return PartialCurve(scan, totals, _has_maximum(totals), float(there.mean()))


def preview_sampling(curve: PartialCurve, estimate: Oversampling, known: float) -> Oversampling:
    """Correct the oversampling along the frames while some are missing, which make the crystal look wider.

    Args:
        curve: The curve.
        estimate: Oversampling by the autocorrelation.
        known: Largest oversampling along the frames that fuller curves of the same measurement had; 0 for none.
    """
    if curve.is_whole:
        return estimate
    ratio = max(estimate.ratio[0], known, _LEAST_RATIO)
    return Oversampling((ratio, *estimate.ratio[1:]), (True, *estimate.is_sufficient[1:]))


def _mask_frames(acquisition: Acquisition, there: Bool[np.ndarray, " frame"]) -> Acquisition:
    """Mask the missing frames whatever mask the config names, so that their contents have no influence."""
    if there.all():
        return acquisition
    images = acquisition["images"].copy()
    images[~there] = 0
    bad = np.broadcast_to(acquisition.arrays.get("mask", np.uint8(0)), images.shape).astype(np.uint8)
    bad[~there] = 1
    return replace(acquisition, arrays={**acquisition.arrays, "images": images, "mask": bad})


def _mean_counts(acquisition: Acquisition, there: Bool[np.ndarray, " frame"]) -> Float[np.ndarray, " frame"]:
    good = good_voxels(acquisition)
    pixels = good.sum(axis=(1, 2))
    sums = acquisition["images"].sum(axis=(1, 2), dtype=np.float64, where=good)
    return np.where(there & (pixels > 0), sums / np.maximum(pixels, 1), np.nan)


def _has_maximum(totals: Float[np.ndarray, " frame"]) -> bool:
    """Whether the largest of the frames that are there is the peak and no fringe, with darker ones on both sides."""
    brightest = int(np.nanargmax(totals))
    sides = totals[:brightest][::-1], totals[brightest + 1 :]
    # A missing frame ends the width: comparisons with NaN are false.
    width = 1 + sum(int(np.argmin(np.append(side > totals[brightest] / 2, False))) for side in sides)
    for side in sides:
        known = side[np.isfinite(side)]
        needed = _AROUND if len(known) == len(side) else max(_AROUND, _WIDTHS * width)
        if len(known) < needed or np.isnan(side[:needed]).any():
            return False
        if known.min() > _MOST_BESIDE * totals[brightest]:
            return False
    return True


@contextmanager
def without_log() -> Iterator[None]:
    """Drop notes and warnings of this thread: those of the finished curve count."""
    thread = threading.get_ident()

    def is_shown(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING or record.thread != thread

    handlers = [*logging.getLogger(__name__.partition(".")[0]).handlers, *logging.root.handlers]
    for handler in handlers:
        handler.addFilter(is_shown)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_shown)
