"""Consistency of a rocking curve with the positions of its frames, by the counts alone.

Along the curve the counts of a pixel are a Fourier transform of the density's autocorrelation, which vanishes beyond
the width of the crystal. With an oversampling above ``1 / BAND`` they are band-limited, whatever the crystal is,
and what they hold beyond the band is counting noise. Frames that are not where they are said to be break this, all
pixels of a frame alike, and other positions mend it. Positions are fitted to one half of the pixels and judged by the
other, as other causes (other particles, charge that is no photons) are not mended, and an undersampled crystal is in
part alone, by positions on which the halves do not agree. What is smooth along the curve, as a drift, is not seen.

Notation
--------
p           positions of the frames [step]
B(p)        waves within the band, and powers of p that take up a step between the ends of the curve
P           I - B B⁺, projection on what is beyond the band
y           counts of a pixel in all frames, over the root of its mean count
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from .preprocess import PreprocessedScan

BAND = 0.4
"""[cycles a step] Frequency along the curve above which nothing is expected but noise."""
_POWERS = 2
"""Powers of the position that stand for a step, and a kink, between the curve's ends."""
_RANK = 1e-3
"""Least singular value of the basis, relative to the largest."""
_LEAST_FREE = 2
"""Least number of dimensions beyond the band that a statement needs."""
_MEASURED = 0.5
"""Part of its pixels from which on a frame is taken to be measured."""
_MOST_PIXELS = 2048
"""Number of pixels, the brightest, that are looked at."""
_BLOCKS = 4
"""Blocks along each axis of the detector, which belong to the halves like the fields of a chessboard."""
_PRIOR = 1.0
"""[step] Standard deviation of a frame's position about the given one."""
_SMOOTH = 5
"""Degree of the polynomial of the position that is removed from the moves of the frames."""
_LARGEST_STEP = 0.5
"""[step] Largest change of a position in an iteration."""
_ITERATIONS, _TRIALS, _SMALL_GAIN = 15, 6, 1e-3

Positions = Float[np.ndarray, " frame"]


class _Pixels(NamedTuple):
    """Curves of some pixels, over the roots of their mean counts.

    Args:
        values: Counts.
        noise: Sum over the pixels of their variance, in each frame.
        period: Steps after which the curve is taken to repeat itself.
    """

    values: Float[np.ndarray, "frame pixel"]
    noise: Float[np.ndarray, " frame"]
    period: int


class _Rest(NamedTuple):
    """Part of curves beyond the band, at some positions.

    Args:
        values: Rest of each curve.
        slopes: Slope with the position of each curve within the band.
        projection: P.
        energy: Sum of squares of the rest.
        expected: Expectation of the energy by counting noise.
    """

    values: Float[np.ndarray, "frame pixel"]
    slopes: Float[np.ndarray, "frame pixel"]
    projection: Float[np.ndarray, "frame frame"]
    energy: float
    expected: float

    @property
    def information(self) -> Positions:
        """Information on each position by itself."""
        return np.asarray(np.diag(self.projection) * np.sum(self.slopes**2, axis=1))


def consistency_numbers(scan: PreprocessedScan) -> dict[str, float]:
    """Compare the counts beyond the band of a curve with counting noise, at its positions and at fitted ones.

    Args:
        scan: Preprocessed measurement, with the positions that the result assumes.

    Returns:
        ``curve_misfit``: energy beyond the band over its expectation; ``curve_misfit_moved``: the same with positions
        that were fitted to the other pixels; ``curve_error``: relative error of the amplitudes that these mend;
        ``curve_moves_agreement``: correlation of the moves by the two halves, from frame to frame. Nothing where the
        frames are too few to tell.
    """
    frames = scan.good.mean(axis=(1, 2)) > _MEASURED
    if frames.sum() < 2 * int(BAND * len(frames)) + 1 + _POWERS + _LEAST_FREE:
        return {}
    halves = [_pixels(scan, frames, half) for half in (0, 1)]
    if not all(half.values.size for half in halves):
        return {}
    positions = scan.frame_positions[frames, 0]
    fitted = [_fit_positions(half, positions) for half in halves]
    stated = [_rest(half, positions) for half in halves]
    moved = [_rest(half, other) for half, other in zip(halves, fitted[::-1], strict=True)]
    misfit, misfit_moved = _misfit(stated), _misfit(moved)
    total = sum(float(np.sum(half.values**2)) for half in halves) * np.trace(stated[0].projection) / len(positions)
    mended = max(misfit - max(misfit_moved, 1.0), 0.0) * sum(rest.expected for rest in stated)
    return {
        "curve_misfit": misfit,
        "curve_misfit_moved": misfit_moved,
        "curve_error": float(np.sqrt(mended / max(total, 1e-30)) / 2),
        "curve_moves_agreement": _agreement(fitted[0] - positions, fitted[1] - positions, stated),
    }


def _misfit(rests: Sequence[_Rest]) -> float:
    """Sum up the parts of several sets of curves beyond the band, over their expectation."""
    return sum(rest.energy for rest in rests) / max(sum(rest.expected for rest in rests), 1e-30)


def _agreement(first: Positions, second: Positions, rests: Sequence[_Rest]) -> float:
    """Correlate the second differences of two sets of moves: what is smooth along the curve is hardly determined."""
    information = np.prod([rest.information for rest in rests], axis=0) ** (1 / len(rests))
    weights = np.min([information[:-2], information[1:-1], information[2:]], axis=0)
    one, other = np.diff(first, 2), np.diff(second, 2)
    norms = np.sum(weights * one**2) * np.sum(weights * other**2)
    return float(np.sum(weights * one * other) / np.sqrt(max(norms, 1e-30)))


def _pixels(scan: PreprocessedScan, frames: Bool[np.ndarray, " frame"], half: int) -> _Pixels:
    """Take the brightest of the pixels of one half that are good in all frames."""
    rows, columns = scan.good.shape[1:]
    blocks = np.add.outer(np.arange(rows) * _BLOCKS // rows, np.arange(columns) * _BLOCKS // columns)
    y, x = np.nonzero(scan.good[frames].all(axis=0) & (blocks % 2 == half))
    sums = np.tensordot(frames.astype(scan.counts.dtype), scan.counts, axes=1)[y, x]
    brightest = np.argsort(-sums, kind="stable")[: _MOST_PIXELS // 2]
    exposure = scan.exposure[frames]
    counts = scan.counts[:, y[brightest], x[brightest]][frames].astype(np.float64) / exposure[:, None]
    weights = 1 / np.sqrt(counts.mean(axis=0) + 1)
    return _Pixels(counts * weights, (counts * weights**2).sum(axis=1) / exposure, len(scan.counts))


def _rest(pixels: _Pixels, positions: Positions) -> _Rest:
    """Compute the part of curves beyond the band, and their slopes within."""
    basis, slopes = _basis(positions, pixels.period)
    left, singular, right = np.linalg.svd(basis, full_matrices=False)
    used = singular > _RANK * singular[0]
    left, inverse = left[:, used], right[used].T / singular[used]
    within = left.T @ pixels.values
    projection = np.eye(len(positions)) - left @ left.T
    values = pixels.values - left @ within
    expected = float(np.diag(projection) @ pixels.noise)
    return _Rest(values, slopes @ (inverse @ within), projection, float(np.sum(values**2)), expected)


def _basis(
    positions: Positions, period: int
) -> tuple[Float[np.ndarray, "frame wave"], Float[np.ndarray, "frame wave"]]:
    """Compute the waves within the band and the powers of the position, and their slopes with it."""
    frequencies = 2 * np.pi * np.arange(int(BAND * period) + 1) / period
    phases = np.outer(positions, frequencies)
    cosine, sine = np.cos(phases), np.sin(phases)
    x = 2 * positions[:, None] / period
    powers = np.arange(1, _POWERS + 1)
    basis = np.concatenate([cosine, sine[:, 1:], x**powers], axis=1)
    slopes = [-sine * frequencies, (cosine * frequencies)[:, 1:], powers * x ** (powers - 1) * (2 / period)]
    return basis, np.concatenate(slopes, axis=1)


def _fit_positions(pixels: _Pixels, stated: Positions) -> Positions:
    """Fit the positions, beside their mean and slope, by damped Gauss–Newton steps (variable projection)."""
    positions, rest, damping = stated, _rest(pixels, stated), 1.0
    for _ in range(_ITERATIONS):
        information = rest.projection * (rest.slopes @ rest.slopes.T)
        prior = max(rest.energy / max(rest.expected, 1e-30), 1.0) / _PRIOR**2
        gradient = np.sum(rest.slopes * rest.values, axis=1) - prior * (positions - stated)
        before = rest.energy
        cost = before + prior * np.sum((positions - stated) ** 2)
        for _ in range(_TRIALS):
            curvature = information + np.diag(prior + damping * np.diag(information))
            step = np.clip(np.linalg.solve(curvature, gradient), -_LARGEST_STEP, _LARGEST_STEP)
            trial = _without_smooth(positions + step, stated, rest.information)
            trial_rest = _rest(pixels, trial)
            if trial_rest.energy + prior * np.sum((trial - stated) ** 2) < cost:
                positions, rest, damping = trial, trial_rest, max(damping / 5, 1e-4)
                break
            damping *= 5
        if before - rest.energy <= _SMALL_GAIN * before:
            break
    return positions


def _without_smooth(positions: Positions, stated: Positions, weights: Float[np.ndarray, " frame"]) -> Positions:
    """Remove what changes smoothly with the position.

    A stretch of the curve's middle against its ends, where it is faint, makes room for the band of an undersampled
    crystal. What motors do at random it does not hold.
    """
    x = stated / np.abs(stated).max()
    w = np.sqrt(weights + 1e-9 * weights.max() + 1e-30)
    smooth = np.polynomial.legendre.legfit(x, positions - stated, _SMOOTH, w=w)
    return np.asarray(positions - np.polynomial.legendre.legval(x, smooth))
