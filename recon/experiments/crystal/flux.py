"""Jumps of the beam's flux within a rocking curve, as from filters that protect the detector.

Between two frames the counts of a block of pixels are extrapolated from the two frames before and from the two behind.
The logarithm of their ratio, its median over the blocks, is the step there. Fringes make steps everywhere, as large as
the curve is coarse; one or more frames under another flux have two of opposite sign that exceed all others.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float

from ...errors import Diagnostic

_BLOCKS, _BLOCK_PIXELS = 12, 6
"""Number of blocks along each axis of a frame, and their size in a large one."""
_LEAST_COUNTS = 8.0
"""Least counts of a block in each of four frames for a step."""
_LEAST_BLOCKS = 4
_LEAST_STEPS = 4
"""Least number of other steps to compare with."""
_JUMP = 1.5
"""Least factor of a jump."""
_STEP_SIGMAS = 5.0
"""Least significance of a jump beside counting noise."""
_SCATTERS = 2.0
"""Least ratio of a jump to half the interquartile range over the blocks: fringes change each differently."""
_OUTLIER = 4.0
"""Least ratio of a jump to the rms of the other steps: of 400 scans of simulated crystals none reaches it."""
_BOTH_SIDES = 1.5
"""Step before and behind a single frame, in units of its jump: the extrapolation from both sides counts it twice."""
_ASYMMETRY = 0.5
"""Largest difference between the two steps of a run, relative to their mean."""
_CANDIDATES = 6
"""Number of the largest steps among which a pair is sought."""
_SHOWN = 5
"""Most frames that a message names one by one."""

Counts = Float[np.ndarray, "frame y x"]


def flux_warnings(
    counts: Counts,
    good: Bool[np.ndarray, "frame y x"],
    monitor: Float[np.ndarray, " frame"] | None,
    where: str,
    numbers: Sequence[int] = (),
) -> list[Diagnostic]:
    """Warn of one or more frames that hold far less or more than their neighbours let expect.

    Args:
        counts: Counts.
        good: Mask of the pixels to use.
        monitor: Flux in each frame, which explains jumps of its own; None if unknown.
        where: Place of the frames, for messages.
        numbers: Numbers of the frames in the file, which may be sorted or selected; those from 0 on if empty.
    """
    sums = _block_sums(counts * good.all(axis=0))
    steps, errors = _steps(sums, np.ones(len(sums)) if monitor is None else monitor / monitor.mean())
    pair = _find_pair(steps, errors)
    if pair is None:
        return []
    first, last = pair
    factor = float(np.exp((steps[first] - steps[last]) / (2 if last > first + 1 else 2 * _BOTH_SIDES)))
    share = f"{factor:.2g} of" if factor < 1 else f"{factor:.2g} times"
    named = (numbers or range(len(counts)))[first + 1 : last + 1]
    is_single = len(named) == 1
    held = f"holds {share} what its" if is_single else f"hold {share} what their"
    message = (
        f"the flux jumps: {_name_frames(named)} {held} neighbours let expect; name the flux, or the transmission of "
        f"the filters, in each frame: acquisition.monitor{', or mask it (acquisition.mask)' if is_single else ''}"
    )
    return [Diagnostic(where, message)]


def _name_frames(numbers: Sequence[int]) -> str:
    """Name frames by their numbers: ``frame 4``, ``frames 4 to 9``, or ``frames 4, 6, 8`` where others lie between."""
    if len(numbers) == 1:
        return f"frame {numbers[0]}"
    ordered = sorted(numbers)
    if ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"frames {ordered[0]} to {ordered[-1]}"
    return f"frames {', '.join(map(str, ordered[:_SHOWN]))}{', …' if len(ordered) > _SHOWN else ''}"


def _block_sums(counts: Counts) -> Float[np.ndarray, "frame block"]:
    frames, rows, columns = counts.shape
    numbers = [min(max(_BLOCKS, n // _BLOCK_PIXELS), n) for n in (rows, columns)]
    edges = [np.linspace(0, n, k + 1).astype(int)[:-1] for n, k in zip((rows, columns), numbers, strict=True)]
    summed = np.add.reduceat(np.add.reduceat(counts, edges[0], axis=1), edges[1], axis=2)
    return np.asarray(summed.reshape(frames, -1), float)


def _steps(
    sums: Float[np.ndarray, "frame block"], flux: Float[np.ndarray, " frame"]
) -> tuple[Float[np.ndarray, " boundary"], Float[np.ndarray, " boundary"]]:
    """Compute the step of the flux after each frame and its error; NaN where there are too few counts."""
    steps, errors = np.full((2, len(sums)), np.nan)
    weights = np.array([0.5, -1.5, 1.5, -0.5])
    for frame in range(1, len(sums) - 2):
        four = slice(frame - 1, frame + 3)
        counts = sums[four, (sums[four] >= _LEAST_COUNTS).all(axis=0)]
        if counts.shape[1] < _LEAST_BLOCKS:
            continue
        change = weights @ (np.log(counts) - np.log(flux[four])[:, None])
        steps[frame] = _weighted_median(change, np.sqrt(counts[1:3].min(axis=0)))
        scatter = np.subtract(*np.quantile(change, [0.75, 0.25])) / 2
        counting = np.sqrt(weights**2 @ (1 / counts.sum(axis=1)))
        errors[frame] = max(counting, scatter * _SCATTERS / _STEP_SIGMAS)
    return steps, errors


def _weighted_median(values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def _find_pair(steps: Float[np.ndarray, " boundary"], errors: Float[np.ndarray, " boundary"]) -> tuple[int, int] | None:
    """Find the two steps around a run of frames under another flux: the last frame before it, and its last one."""
    measured = np.flatnonzero(np.isfinite(steps))
    significant = [i for i in measured if abs(steps[i]) > _STEP_SIGMAS * errors[i]]
    largest = sorted(significant, key=lambda i: -abs(steps[i]))[:_CANDIDATES]
    best, size = None, np.log(_JUMP)
    for first, last in combinations(sorted(largest), 2):
        mean = (abs(steps[first]) + abs(steps[last])) / 2
        # A step also bends the two beside it.
        others = steps[[i for i in measured if min(abs(i - first), abs(i - last)) > 1]]
        jump = mean / (_BOTH_SIDES if last == first + 1 else 1.0)
        if jump < size or abs(steps[first] + steps[last]) > _ASYMMETRY * mean:
            continue
        if others.size >= _LEAST_STEPS and mean > _OUTLIER * np.sqrt(np.mean(others**2)):
            best, size = (int(first), int(last)), jump
    return best
