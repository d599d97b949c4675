"""Drops of the beam's flux in the brightest frames of a rocking curve, as from filters that protect the detector."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from ...errors import Diagnostic

_BLOCKS = 8
"""Number of blocks of pixels along each axis of a frame."""
_LEAST_COUNTS = 8.0
"""Least counts of a block in each of four frames for a comparison."""
_LEAST_BLOCKS = 4
_JUMP = 2.5
"""Least factor between two frames, beside the trend of their neighbours, in three of four blocks: fringes move, and
change some blocks only."""
_TREND = 0.62
"""Largest step beside a jump, relative to it."""
_SHARE = 0.95
"""Least share of the blocks that change in the same direction."""


def flux_warnings(
    counts: Float[np.ndarray, "frame y x"],
    good: Bool[np.ndarray, "frame y x"],
    monitor: Float[np.ndarray, " frame"] | None,
    where: str,
) -> list[Diagnostic]:
    """Warn of frames that hold far less or more than their neighbours let expect, all over the frame.

    Args:
        counts: Counts.
        good: Mask of the pixels to use.
        monitor: Flux in each frame, which explains jumps of its own; None if unknown.
        where: Place of the frames, for messages.
    """
    sums = _block_sums(np.where(good.all(axis=0), counts, 0))
    if monitor is not None:
        sums = sums / (monitor / monitor.mean())[:, None]
    candidates = {f: factor for f in range(1, len(sums) - 2) if (factor := _jump(sums[f - 1 : f + 3])) is not None}
    # A jump bends the trend beside it: of two in a row the larger one is the jump.
    jumps = [(f, v) for f, v in candidates.items() if all(abs(candidates.get(f + d, 0.0)) <= abs(v) for d in (-1, 1))]
    pairs = [(a, b) for a, b in pairwise(jumps) if a[1] < 0 < b[1] and abs(a[1] + b[1]) < np.log(2)]
    if not pairs:
        return []
    (first, fall), (last, rise) = max(pairs, key=lambda pair: abs(pair[0][1] - pair[1][1]))
    factor = float(np.exp((fall - rise) / 2))
    totals = sums.sum(axis=1)
    inside = slice(first + 1, last + 1)
    if totals[inside].max() / factor < totals.max():  # A dark fringe beside the peak; filters are for bright frames.
        return []
    message = (
        f"the flux jumps: frames {first + 1} to {last} hold {factor:.2g} of what their neighbours let expect; name the "
        "flux, or the transmission of the filters, in each frame: acquisition.monitor"
    )
    return [Diagnostic(where, message)]


def _block_sums(counts: Float[np.ndarray, "frame y x"]) -> Float[np.ndarray, "frame block"]:
    frames, rows, columns = counts.shape
    edges = [np.linspace(0, n, min(_BLOCKS, n) + 1).astype(int)[:-1] for n in (rows, columns)]
    summed = np.add.reduceat(np.add.reduceat(counts, edges[0], axis=1), edges[1], axis=2)
    return np.asarray(summed.reshape(frames, -1), float)


def _jump(four: Float[np.ndarray, "4 block"]) -> float | None:
    """Return the logarithm of the factor between the middle two of four frames beside the trend; None if it is none."""
    steps = np.diff(np.log(four[:, (four >= _LEAST_COUNTS).all(axis=0)]), axis=0)
    if steps.shape[1] < _LEAST_BLOCKS:
        return None
    change = steps[1] - (steps[0] + steps[2]) / 2
    low, middle, high = np.quantile(change, [0.25, 0.5, 0.75])
    before, after = np.median(steps[0]), np.median(steps[2])
    if max(abs(before), abs(after)) > _TREND * abs(middle):  # A dark fringe, from which the curve rises again at once.
        return None
    is_together = np.mean(np.sign(change) == np.sign(middle)) >= _SHARE
    return float(middle) if is_together and min(abs(low), abs(high)) >= np.log(_JUMP) and low * high > 0 else None
