"""Any measured array brought to what the network takes, and its answer brought back.

The network seeks a crystal in a box of `BOX` voxels. A voxel is as fine as the array reaches in q: where the crystal
fills more voxels than the box has, the array's rim is left out, and the answer is coarser; where the array is smaller
than the box, planes that were not measured are put around it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex

from .....physics.diffraction import to_centre, to_corner
from ..signal import Good, Sampling, Voxels, local_mean
from .denoiser import BOX
from .sight import Sight, sight_of

_WIDEST = 30.0
"""[voxel] Width of a crystal that the box holds with a margin."""
_SHOWN = 0.92
"""Share of a crystal's width that its autocorrelation shows above the noise: the mean over 48 simulated crystals, from
0.85 at 1e5 counts to 0.94 at 1e8."""
_UNDERSAMPLED = 1.5
"""Oversampling that is taken where the autocorrelation fills the array, and does not tell."""


@dataclass(frozen=True)
class Brought:
    """A measured array as the network sees it, and the way back.

    Args:
        sight: What the network sees.
        shape: Of the measured array.
        steps: Voxels by which it was rolled, to have its brightest place in the middle.
    """

    sight: Sight
    shape: tuple[int, int, int]
    steps: tuple[int, int, int]

    def back(self, densities: Complex[np.ndarray, "draw z y x"]) -> Complex[np.ndarray, "draw Z Y X"]:
        """Bring densities of the network to the grid conjugate to the measured array, in √counts, centred.

        Args:
            densities: In the network's box and units.
        """
        return np.stack([self._one_back(density) for density in densities]).astype(np.complex64)

    def _one_back(self, density: Complex[np.ndarray, "z y x"]) -> Complex[np.ndarray, "Z Y X"]:
        boxed = fitted(density * self.sight.scale, self.sight.amplitude.shape)
        field = fitted(to_centre(np.fft.fftn(to_corner(boxed))), self.shape)
        field = np.roll(field, [-step for step in self.steps], axis=(0, 1, 2))
        return np.asarray(to_centre(np.fft.ifftn(to_corner(field))))


def bring(counts: Voxels, good: Good, sampling: Sampling) -> Brought:
    """Bring a measured array to the network.

    Args:
        counts: Counts, 0 where they are not good, with the peak about the middle.
        good: Which voxels were measured.
        sampling: How finely the crystal is sampled (`signal.sampling`).
    """
    frame, y, x = counts.shape
    brightest = np.unravel_index(int(np.argmax(local_mean(counts, good))), counts.shape)
    steps = tuple(n // 2 - int(i) for n, i in zip(counts.shape, brightest, strict=True))
    rolled, seen = (_rolled(array, steps) for array in (np.where(good, counts, 0), good))
    ratios = [_SHOWN * r if ok else _UNDERSAMPLED for r, ok in zip(sampling.ratio, sampling.enough, strict=True)]
    shape = tuple(_edge_of(n, ratio) for n, ratio in zip(counts.shape, ratios, strict=True))
    widths = np.array(shape) / np.array(ratios)
    return Brought(sight_of(fitted(rolled, shape), fitted(seen, shape), widths), (frame, y, x), steps)


def fitted(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cut a centred array, or put zeros around it, so that it has a shape and its centre stays at ``n // 2``."""
    made = np.zeros(shape, array.dtype)
    taken, given = [], []
    for n, m in zip(array.shape, shape, strict=True):
        before = min(n // 2, m // 2)
        after = min(n - n // 2, m - m // 2)
        taken.append(slice(n // 2 - before, n // 2 + after))
        given.append(slice(m // 2 - before, m // 2 + after))
    made[tuple(given)] = array[tuple(taken)]
    return made


def _edge_of(n: int, ratio: float) -> int:
    """Edge of the array along one axis: even, at least the box, and so that the crystal fits into the box."""
    most = 2 * int(_WIDEST * ratio / 2)
    return max(BOX, min(n + n % 2, most))


def _rolled(array: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Move an array by whole voxels; what comes in from beyond its edges is 0."""
    moved = np.roll(array, steps, axis=tuple(range(array.ndim)))
    for axis, step in enumerate(steps):
        planes = np.moveaxis(moved, axis, 0)
        if step > 0:
            planes[:step] = 0
        elif step < 0:
            planes[step:] = 0
    return moved
