"""How high a cell is, as its picture tells: light from above and below the section falls beside the mask.

The mean height of a cell is its volume over its section's area. A Gaussian process (Rasmussen and Williams, 2006)
tells its logarithm, and how far that is to be believed, from a few traits of the picture: with a hundred cells to learn
from it errs less than a network that sees every pixel, and its spread is that of its errors. Real and simulated cells
are kept apart, and what a picture resembles more has more of a say. Of a picture unlike all that it knows, a process
tells the mean of all cells and their spread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from .inputs import PictureInput

_SHELLS = (-np.inf, -4.0, -2.0, 0.0, 2.0, 5.0, 10.0)
"""[pixel] Distances to the outline between which brightness is averaged, from the inside out."""
_DARK = 1e-3
"""Brightness below which a shell is told as dark."""
_LEAST_SPREAD = 1e-3
"""Of a trait: so that nothing is divided by 0."""
_WIDE = 3.0
"""By which logarithm habits are searched around the first ones."""
_LIKE_ALL = 0.1
"""By which traits of a group are taken as independent, when it is asked whether a cell is one of it."""
_LEAST = 4
"""Cells without which a group says nothing."""


def features(sight: PictureInput) -> Float[np.ndarray, " trait"]:
    """Logarithms of the section's area, of its inscribed circle, and of brightness from the middle to beyond."""
    image, distance = sight.image, sight.section
    size = np.sqrt(max(sight.area(), 1.0))
    shells = [(distance >= low) & (distance < high) for low, high in pairwise(_SHELLS)]
    bright = [float(image[shell].mean()) if shell.any() else np.nan for shell in shells]
    for i in reversed(range(len(bright) - 1)):
        bright[i] = bright[i + 1] if np.isnan(bright[i]) else bright[i]  # A small cell has no innermost shell.
    logs = np.log(np.maximum(np.nan_to_num(bright), _DARK))
    return np.array([2 * np.log(size), np.log(max(-float(distance.min()), 0.5) / size), *logs])


class GPHyperparameters(NamedTuple):
    """What a process takes for granted, in units of the heights' own spread.

    Args:
        strength: Variance that traits explain.
        length: Distance of traits, each in units of its spread, at which two cells have little to do with another.
        left: Variance that traits do not explain.
    """

    strength: float = 1.0
    length: float = 4.0
    left: float = 0.5


@dataclass(frozen=True)
class HeightGroup:
    """Cells whose height is known, and what follows for others of their like.

    Args:
        known: Traits of each cell.
        logs: Logarithm of the mean height in voxels.
        habits: As `fit_thickness_prior` finds them.
    """

    known: Float[np.ndarray, "cell trait"]
    logs: Float[np.ndarray, " cell"]
    habits: GPHyperparameters

    def guess(self, own: Float[np.ndarray, " trait"]) -> tuple[float, float]:
        """Mean and spread of the logarithm of the height of a cell with such traits."""
        standard, (middle, scale) = self.standard, _spread(self.logs)
        near = self._kin(self._standard(own[None]), standard, self.habits)[0]
        factor = np.linalg.cholesky(self._kin(standard, standard, self.habits) + self.habits.left * np.eye(len(near)))
        explained, wanted = solve_triangular(factor, np.stack([near, (self.logs - middle) / scale], 1), lower=True).T
        variance = max(self.habits.strength - float(explained @ explained), 0.0) + self.habits.left
        return float(middle + scale * (explained @ wanted)), float(scale * np.sqrt(variance))

    def likeness(self, own: Float[np.ndarray, " trait"]) -> float:
        """Logarithm of the density of such traits among the group's, as if they were of one bell."""
        common = np.cov(self.standard.T)
        factor = np.linalg.cholesky((1 - _LIKE_ALL) * common + _LIKE_ALL * np.eye(len(common)))
        apart = solve_triangular(factor, self._standard(own[None])[0], lower=True)
        scales = np.log(_spread(self.known)[1]).sum() + np.log(np.diag(factor)).sum()
        return float(-0.5 * apart @ apart - scales)

    def unlikely(self, habits: GPHyperparameters) -> float:
        """Minus the logarithm of the likelihood of the group's heights, but for a constant."""
        middle, scale = _spread(self.logs)
        own = self._kin(self.standard, self.standard, habits) + habits.left * np.eye(len(self.logs))
        factor = np.linalg.cholesky(own)
        explained = solve_triangular(factor, (self.logs - middle) / scale, lower=True)
        return float(explained @ explained / 2 + np.log(np.diag(factor)).sum())

    @cached_property
    def standard(self) -> Float[np.ndarray, "cell trait"]:
        """Traits in units of their spread in the group."""
        return self._standard(self.known)

    def _standard(self, values: Float[np.ndarray, "n trait"]) -> Float[np.ndarray, "n trait"]:
        middle, scale = _spread(self.known)
        found: np.ndarray = (values - middle) / scale
        return found

    @staticmethod
    def _kin(a: np.ndarray, b: np.ndarray, habits: GPHyperparameters) -> np.ndarray:
        found: np.ndarray = habits.strength * np.exp(-0.5 * cdist(a, b, "sqeuclidean") / habits.length**2)
        return found


@dataclass(frozen=True)
class ThicknessPrior:
    """What is known of heights.

    Args:
        groups: By name: real cells, simulated ones, or both.
    """

    groups: Mapping[str, HeightGroup]

    def guess(self, sight: PictureInput) -> tuple[float, float]:
        """Mean and spread of the logarithm of a cell's mean height in voxels."""
        own, groups = features(sight), list(self.groups.values())
        likeness = np.array([group.likeness(own) for group in groups])
        share = np.exp(likeness - likeness.max())
        share /= share.sum()
        mean, spread = np.array([group.guess(own) for group in groups]).T
        middle = float(share @ mean)
        return middle, float(np.sqrt(share @ (spread**2 + (mean - middle) ** 2)))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, to be kept in a file."""
        found: dict[str, np.ndarray] = {}
        for name, group in self.groups.items():
            found |= {f"{name}_traits": group.known, f"{name}_log_height": group.logs}
            found |= {f"{name}_habits": np.array(group.habits)}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "ThicknessPrior":
        """Build it again from `arrays`."""
        names = [name.removesuffix("_traits") for name in arrays if name.endswith("_traits")]
        return cls(
            {
                name: HeightGroup(
                    arrays[f"{name}_traits"],
                    arrays[f"{name}_log_height"],
                    GPHyperparameters(*(float(value) for value in arrays[f"{name}_habits"])),
                )
                for name in sorted(names)
            }
        )


def fit_thickness_prior(
    sights: Mapping[str, Sequence[PictureInput]], logs: Mapping[str, Sequence[float]]
) -> ThicknessPrior:
    """Learn from cells whose height is known: what is taken for granted makes their heights most likely.

    Args:
        sights: Of each cell of each group.
        logs: Logarithm of their mean heights in voxels.
    """
    enough = [name for name, seen in sights.items() if len(seen) >= _LEAST]
    return ThicknessPrior({name: _learned(sights[name], logs[name]) for name in enough})


def _learned(sights: Sequence[PictureInput], logs: Sequence[float]) -> HeightGroup:
    group = HeightGroup(np.stack([features(sight) for sight in sights]), np.array(logs, float), GPHyperparameters())
    begin = np.log(GPHyperparameters())
    bounds = [(value - _WIDE, value + _WIDE) for value in begin]
    best = minimize(lambda at: group.unlikely(GPHyperparameters(*np.exp(at))), begin, method="L-BFGS-B", bounds=bounds)
    return HeightGroup(group.known, group.logs, GPHyperparameters(*(float(value) for value in np.exp(best.x))))


def _spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(values.mean(axis=0)), np.asarray(np.maximum(values.std(axis=0), _LEAST_SPREAD))
