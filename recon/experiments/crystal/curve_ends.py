"""Ends of a rocking curve: one that is as bright as its peak there is cut off, or was not scanned at all."""

import numpy as np
from jaxtyping import Bool, Float

from ...acquisition import Acquisition
from ...errors import Diagnostic
from .oversampling import Good, Voxels, local_mean

_CUT = 0.1
"""Brightness of an end, relative to the peak, from which the curve is cut off; whole curves end in fringes of 1 %."""
_FLAT = 0.6
"""Brightness of both ends from which the peak did not move: q did not turn through it."""

_FAINTEST = 0.7
"""Counts of a background below which more than half of the voxels hold none."""


def flat_curve_warnings(acquisition: Acquisition, good: Good, where: str) -> list[Diagnostic]:
    """Warn of frames that all hold the same peak.

    Args:
        acquisition: Rocking curve.
        good: Mask of its voxels, without hot pixels.
        where: Place of the frames, for messages.
    """
    first, last = _of_acquisition(acquisition, good)
    if not min(first, last) > _FLAT:
        return []
    message = (
        f"the frames form no rocking curve: the peak of the first is {100 * first:.0f} % as bright as the brightest, "
        f"and that of the last {100 * last:.0f} %"
    )
    remedy = "scan a circle that turns the crystal through the reflection, over more degrees"
    return [Diagnostic(where, message, remedy)]


def cut_curve_warnings(acquisition: Acquisition, good: Good, where: str) -> list[Diagnostic]:
    """Warn of a curve that begins or ends within the peak; arguments of `flat_curve_warnings`."""
    ends = zip(("first", "last"), _of_acquisition(acquisition, good), strict=True)
    bright = [
        f"the {name} frame is {100 * share:.0f} % as bright as the brightest" for name, share in ends if share > _CUT
    ]
    if not bright:
        return []
    message = f"the rocking curve is cut off: {' and '.join(bright)}; the crystal is resolved worse along it"
    return [Diagnostic(where, message)]


def _of_acquisition(acquisition: Acquisition, good: Good) -> tuple[float, float]:
    counts = acquisition["images"]
    if "monitor" in acquisition:
        monitor = acquisition["monitor"].astype(np.float64)
        counts = (counts / (monitor / monitor.mean())[:, None, None]).astype(np.float32)
    return end_brightness(counts, good)


def end_brightness(counts: Voxels, good: Good) -> tuple[float, float]:
    """Compute the height of the brightest place of the first and of the last frame, relative to that of all frames.

    Args:
        counts: Counts under a steady beam.
        good: Mask of the voxels to use; frames without any are passed over.
    """
    smooth = local_mean(counts, good)
    frames = np.flatnonzero(good.any(axis=(1, 2)))
    height = float(smooth.max()) - float(np.median(smooth[good])) if frames.size else 0.0
    if not height > 0:
        return 0.0, 0.0
    first, last = (max(0.0, float(smooth[i].max()) - _noise_ceiling(counts[i], good[i])) for i in frames[[0, -1]])
    return first / height, last / height


def _noise_ceiling(frame: Float[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> float:
    """Compute the highest local mean of a frame's background by counting noise: at an end it is that of 18 voxels."""
    background = 18 * float(np.median(frame[good]) or min(frame[good].mean(), _FAINTEST))
    return float(background + 5 * np.sqrt(background) + 3) / 18
