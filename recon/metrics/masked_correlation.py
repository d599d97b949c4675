"""Normalised cross-correlation of two arrays with masks, at every shift in whole samples.

At each shift the correlation coefficient is that of the samples that are good in both arrays (Padfield, IEEE Trans.
Image Process. 21, 2706, 2012): gaps of a detector and arrays of different extent pull it nowhere.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, Real

Shift = tuple[int, int, int]
_LEAST_OVERLAP = 0.3
"""Least number of samples that are compared, relative to the largest number at any shift."""


@dataclass(frozen=True)
class MaskedSpectra:
    """Fourier transforms of an array, of its square and of its mask, padded so that no shift wraps around.

    Args:
        values: Transform of the values; 0 where they are not good.
        squares: Transform of their squares.
        good: Transform of the mask.
        size: Size of the arrays.
        padded: Size of the padded arrays.
    """

    values: Complex[np.ndarray, "_z _y _x"]
    squares: Complex[np.ndarray, "_z _y _x"]
    good: Complex[np.ndarray, "_z _y _x"]
    size: Shift
    padded: Shift

    @classmethod
    def of(cls, values: Real[np.ndarray, "z y x"], good: Bool[np.ndarray, "z y x"]) -> "MaskedSpectra":
        """Transform an array.

        Args:
            values: Values.
            good: Mask of the values to use.
        """
        from scipy.fft import next_fast_len, rfftn

        z, y, x = (next_fast_len(2 * n - 1, real=True) for n in values.shape)
        scale = float(np.abs(values[good]).max(initial=0)) or 1.0
        plain = np.where(good, values / scale, 0).astype(np.float32)
        parts = [rfftn(part, (z, y, x)) for part in (plain, plain**2, good.astype(np.float32))]
        depth, height, width = values.shape
        return cls(parts[0], parts[1], parts[2], (depth, height, width), (z, y, x))


@dataclass(frozen=True)
class Correlation:
    """Correlation coefficients of two arrays of one size by the shift of the second against the first.

    Args:
        values: Coefficients by the shift, modulo the array's size; -1 where too little overlaps.
        size: Size of the arrays that were correlated.
    """

    values: Float[np.ndarray, "_z _y _x"]
    size: Shift

    def at(self, shift: Shift) -> float:
        """Return the coefficient at a shift."""
        return float(self.values[shift])

    def best_shift(self, largest: int | None = None) -> Shift:
        """Return the shift of the largest coefficient.

        Args:
            largest: Largest shift along each axis to consider; None for all.
        """
        values = self.values
        if largest is not None:
            near = [np.arange(-largest, largest + 1) % n for n in values.shape]
            values = np.full_like(values, -1.0)
            values[np.ix_(*near)] = self.values[np.ix_(*near)]
        index = np.unravel_index(int(np.argmax(values)), values.shape)
        z, y, x = (int(i) if i < n else int(i) - m for i, n, m in zip(index, self.size, values.shape, strict=True))
        return z, y, x

    def peak(self, shift: Shift) -> float:
        """Estimate the coefficient at the best shift in fractions of a sample, by a parabola along each axis.

        Args:
            shift: Best shift in whole samples.
        """
        top = self.at(shift)
        gain = 0.0
        for axis in range(3):
            before, after = (self.at(_step(shift, axis, by)) for by in (-1, 1))
            curvature = 2 * top - before - after
            if min(before, after) > -1 and curvature > 0:
                gain += (after - before) ** 2 / (8 * curvature)
        return min(top + gain, 1.0)


def correlate(first: MaskedSpectra, second: MaskedSpectra) -> Correlation:
    """Correlate two arrays of one size.

    Args:
        first: Array that stays.
        second: Array that is shifted: sample ``p`` of the first is compared with ``p + shift`` of the second.
    """
    from scipy.fft import irfftn

    def sums(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "_z _y _x"]:
        return np.asarray(irfftn(np.conj(a) * b, first.padded), np.float64)

    count = np.round(sums(first.good, second.good))
    enough = count > _LEAST_OVERLAP * count.max()
    count = np.maximum(count, 1)
    one, other = sums(first.values, second.good), sums(first.good, second.values)
    covariance = sums(first.values, second.values) - one * other / count
    variances = [sums(first.squares, second.good) - one**2 / count, sums(first.good, second.squares) - other**2 / count]
    least = [1e-6 * float(variance[enough].max(initial=0)) for variance in variances]
    usable = enough & (variances[0] > least[0]) & (variances[1] > least[1])
    product = np.where(usable, variances[0] * variances[1], 1.0)
    return Correlation(np.where(usable, covariance / np.sqrt(product), -1.0), first.size)


def _step(shift: Shift, axis: int, by: int) -> Shift:
    z, y, x = (value + by * (axis == i) for i, value in enumerate(shift))
    return z, y, x
