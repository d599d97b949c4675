"""Fourier shell correlation: agreement of two volumes in shells of spatial frequency."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..errors import DataError


@dataclass(frozen=True)
class ShellCorrelation:
    """Correlation of two spectra in shells of equal frequency.

    Args:
        frequency: [cycles/m] Centre of each shell.
        value: Correlation in each shell, −1 to 1.
        nyquist: [cycles/m] Nyquist frequency of the coarsest axis.
    """

    frequency: Float[np.ndarray, " shell"]
    value: Float[np.ndarray, " shell"]
    nyquist: float

    def resolution(self, threshold: float = 0.5) -> float:
        """[m] Find the period at which the correlation first falls below a threshold.

        The crossing is interpolated between shells. Twice the coarsest spacing if it never does; infinite if the
        first shell is below it already.

        Args:
            threshold: 0.5 against a known truth; 0.143 between halves of the data (Rosenthal & Henderson 2003).
        """
        below = np.flatnonzero(self.value < threshold)
        if not below.size:
            return 1 / self.nyquist
        first = int(below[0])
        if first == 0:
            return float("inf")
        above, under = self.value[first - 1], self.value[first]
        fraction = (above - threshold) / (above - under)
        return float(1 / (self.frequency[first - 1] + fraction * (self.frequency[first] - self.frequency[first - 1])))


def shell_correlation(
    truth: Float[np.ndarray, "z y x"], result: Float[np.ndarray, "z y x"], spacing: tuple[float, float, float]
) -> ShellCorrelation:
    """Compute the Fourier shell correlation Re Σ T X* / √(Σ|T|² Σ|X|²) over shells (Harauz & van Heel 1986).

    Shells are one frequency step of the longest axis wide, leave the mean out, and end at the coarsest axis' Nyquist
    frequency. The volumes should fall to their background at the edges: 0 there.

    Args:
        truth: Contrast, 0 in the medium.
        result: Contrast of the result, on the same samples.
        spacing: [m] Distance between samples (z, y, x); ignored along an axis of one sample.

    Raises:
        DataError: If the shapes differ, or no axis has enough samples for a shell.
    """
    from scipy import fft

    if truth.shape != result.shape:
        raise DataError(f"the result has the shape {result.shape}, the truth {truth.shape}: resample one of them")
    axes = [axis for axis, count in enumerate(truth.shape) if count > 1]
    if not axes or min(spacing[axis] for axis in axes) <= 0:
        raise DataError(f"no shells in a volume of shape {truth.shape} with the spacing {spacing}")
    nyquist = min(1 / (2 * spacing[axis]) for axis in axes)
    step = max(nyquist / 512, min(1 / (spacing[axis] * truth.shape[axis]) for axis in axes))
    first, second = (fft.rfftn(v.astype(np.float64)) for v in (truth, result))
    shell, weight = _shells(truth.shape, spacing, step)
    count = max(int(nyquist / step + 0.5), 1) + 1

    def total(values: Float[np.ndarray, "z y u"]) -> Float[np.ndarray, " shell"]:
        sums = np.bincount(shell.ravel(), (weight * values).ravel(), minlength=count)
        return np.asarray(sums[1:count], np.float64)

    cross = total((first * second.conj()).real)
    power = np.sqrt(total(np.abs(first) ** 2) * total(np.abs(second) ** 2))
    filled = power > 1e-12 * max(float(power.max(initial=0.0)), np.finfo(float).tiny)
    value = np.divide(cross, power, out=np.zeros_like(cross), where=filled)
    return ShellCorrelation(np.arange(1, count) * step, value, nyquist)


def _shells(
    shape: tuple[int, ...], spacing: tuple[float, float, float], step: float
) -> tuple[np.ndarray, Float[np.ndarray, "z y u"]]:
    """Index of the shell of each frequency of a half spectrum, and the weight of that frequency."""
    frequencies = [np.fft.fftfreq(n, d) if n > 1 else np.zeros(1) for n, d in zip(shape, spacing, strict=True)]
    half = shape[-1] // 2 + 1
    squares = [f**2 for f in (*frequencies[:2], frequencies[2][:half])]
    radius = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
    twice = np.full(half, 2.0)
    twice[0] = 1
    if shape[-1] % 2 == 0:
        twice[-1] = 1
    return np.rint(radius / step).astype(np.int64), np.broadcast_to(twice, radius.shape)
