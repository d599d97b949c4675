"""Combination of several solutions of one pattern: first mode, agreement and resolution.

Densities are centred host arrays (z, y, x), aligned with one of them. The first mode is the part that most of them
share: the first left singular vector of the solutions as columns. Resolutions are periods, in voxels of the density's
grid, or of mean size where the grid is skewed.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from .align import correlation

PRTF_THRESHOLD = float(np.exp(-1))
"""Chapman et al. 2006."""


def prtf_threshold(solutions: int) -> float:
    """Compute the PRTF of K solutions whose phases agree by 1/e.

    The sum of K random phases is about √K long, so that even they give a PRTF of 1/√K: the threshold for few solutions
    is higher.

    Args:
        solutions: Number K of solutions.
    """
    return float(np.sqrt(1 / solutions + PRTF_THRESHOLD**2 * (1 - 1 / solutions)))


FSC_THRESHOLD = 0.5
"""Threshold for halves of the starts, which share their data: 0.143 holds for independent halves only."""


@dataclass(frozen=True)
class CombinedSolution:
    """Combination of several solutions.

    Args:
        density: First mode, with the mean norm of the solutions.
        weight: Weight of the first mode, 1 where the solutions are equal.
        agreement: Correlation of every two solutions; 1 on the diagonal.
        frequency: [cycles/voxel] Centres of the shells.
        prtf: Phase retrieval transfer function in the shells, |Σ F| / Σ |F| over the solutions.
        fsc: Fourier shell correlation of the means of every other solution; NaN for a single one.
    """

    density: Complex[np.ndarray, "z y x"]
    weight: float
    agreement: Float[np.ndarray, "k k"]
    frequency: Float[np.ndarray, " shell"]
    prtf: Float[np.ndarray, " shell"]
    fsc: Float[np.ndarray, " shell"]

    @property
    def pairs(self) -> Float[np.ndarray, " pair"]:
        """Agreement of every two different solutions, once each."""
        return np.asarray(self.agreement[np.triu_indices(len(self.agreement), 1)])

    def numbers(self) -> dict[str, float]:
        """Return agreement and resolution by their names in ``metrics.json``; a single solution has neither."""
        numbers = {"kept": float(len(self.agreement)), "mode_weight": self.weight}
        if self.pairs.size:
            numbers["prtf_resolution_voxels"] = self.resolution(self.prtf, prtf_threshold(len(self.agreement)))
            numbers["agreement"] = float(self.pairs.mean())
            numbers["agreement_least"] = float(self.pairs.min())
            numbers["fsc_resolution_voxels"] = self.resolution(self.fsc, FSC_THRESHOLD)
        return numbers

    def resolution(self, curve: Float[np.ndarray, " shell"], threshold: float) -> float:
        """Compute the period [voxel] at which a curve first falls below a threshold; 2 if it never does."""
        below = np.flatnonzero(~(curve >= threshold))
        if not below.size:
            return 2.0
        first = int(below[0])
        if first == 0:
            return float("inf")
        share = (curve[first - 1] - threshold) / (curve[first - 1] - curve[first])
        return float(1 / (self.frequency[first - 1] + share * (self.frequency[first] - self.frequency[first - 1])))


def combine(
    solutions: Complex[np.ndarray, "k z y x"], metric: Float[np.ndarray, "3 3"] | None = None
) -> CombinedSolution:
    """Combine aligned solutions.

    Args:
        solutions: One or more, aligned with the first.
        metric: Rows: spatial frequency of one cycle per voxel along each axis, in cycles per voxel of mean size; None
            for cubic voxels. It makes shells of constant |q| on skewed grids.
    """
    mode, weight = first_mode(solutions)
    agreement = np.array([[correlation(a, b) for b in solutions] for a in solutions])
    shape = solutions.shape[1:]
    shell, count = _shells(shape, np.eye(3) if metric is None else metric)
    halves, moduli = np.zeros((2, *shape), np.complex64), np.zeros(shape, np.float32)
    for i, solution in enumerate(solutions):
        wave = fft.fftn(solution, workers=-1)
        halves[i % 2] += wave
        moduli += np.abs(wave)
    fsc = _shell_correlation(halves[0], halves[1], shell, count) if len(solutions) > 1 else np.full(count, np.nan)
    halves[0] += halves[1]
    prtf = _per_shell(np.abs(halves[0]), shell, count) / np.maximum(_per_shell(moduli, shell, count), 1e-30)
    return CombinedSolution(
        mode,
        weight,
        agreement,
        (np.arange(count) + 0.5) * 0.5 / count,
        prtf,
        fsc,
    )


def first_mode(solutions: Complex[np.ndarray, "k z y x"]) -> tuple[Complex[np.ndarray, "z y x"], float]:
    """Compute the first mode, with the solutions' mean norm and the first solution's phase, and its weight."""
    # [i, j] = Σ a_i* a_j: small, unlike a decomposition of the volumes
    gram = np.array([[np.vdot(a, b) for b in solutions] for a in solutions])
    values, vectors = np.linalg.eigh(gram.astype(np.complex128))
    mode = np.zeros(solutions.shape[1:], np.complex128)
    for share, solution in zip(vectors[:, -1], solutions, strict=True):
        mode += share * solution
    norm = np.sqrt(np.mean(np.diagonal(gram).real)) / max(float(np.linalg.norm(mode)), 1e-30)
    turn = np.vdot(mode, solutions[0])
    mode = mode * (norm * turn / max(abs(turn), 1e-30))
    return mode.astype(np.complex64), float(values[-1] / max(float(values.sum()), 1e-30))


def _shells(shape: tuple[int, ...], metric: Float[np.ndarray, "3 3"]) -> tuple[np.ndarray, int]:
    """Compute the index of each frequency's shell, and the number of shells up to half a cycle per voxel."""
    count = max(min(shape) // 2, 1)
    z, y, x = (fft.fftfreq(n) for n in shape)
    square = np.zeros(shape)
    for along_z, along_y, along_x in metric.T:
        square += (along_z * z[:, None, None] + along_y * y[:, None] + along_x * x) ** 2
    radius = np.sqrt(square)
    return np.minimum((radius * 2 * count).astype(np.int64), count), count


def _per_shell(values: np.ndarray, shell: np.ndarray, count: int) -> Float[np.ndarray, " shell"]:
    sums = np.bincount(shell.ravel(), values.ravel().astype(np.float64), minlength=count + 1)
    return np.asarray(sums[:count], np.float64)


def _shell_correlation(
    a: Complex[np.ndarray, "z y x"], b: Complex[np.ndarray, "z y x"], shell: np.ndarray, count: int
) -> Float[np.ndarray, " shell"]:
    cross = _per_shell((a * np.conj(b)).real, shell, count)
    power = np.sqrt(_per_shell(np.abs(a) ** 2, shell, count) * _per_shell(np.abs(b) ** 2, shell, count))
    return np.asarray(cross / np.maximum(power, 1e-30))
