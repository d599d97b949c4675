"""Gaussian-process prediction of the height of a cell from its picture.

The mean height of a cell is its volume over the area of its section. Light from above and below the section falls
beside the mask, so that the picture contains information about it. A Gaussian process (Rasmussen and Williams, 2006)
predicts the logarithm of the mean height, and its standard deviation, from a few features of the picture: trained with
a hundred cells its errors are smaller than those of a network that sees every pixel, and its standard deviation agrees
with them. Real and simulated cells have a process each; their predictions are weighted by the likelihood of the
features under each group. For a picture unlike all others, a process returns mean and standard deviation of its group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
_LEAST_BRIGHTNESS = 1e-3
"""Lower bound of the brightness of a shell."""
_LEAST_SPREAD = 1e-3
"""Lower bound of the standard deviation of a feature, a divisor."""
_SEARCH_RANGE = 3.0
"""Half width of the search range of the logarithms of the hyperparameters."""
_SHRINKAGE = 0.1
"""Shrinkage of the correlation of features towards the identity, in the likelihood of a group."""
_FEWEST_CELLS = 4
"""Smallest number of cells of a group that is used."""


def features(inputs: PictureInput) -> Float[np.ndarray, " feature"]:
    """Logarithms of the section's area, of its inscribed circle, and of the brightness in shells around the outline."""
    image, distance = inputs.image, inputs.section
    size = np.sqrt(max(inputs.area(), 1.0))
    shells = [(distance >= low) & (distance < high) for low, high in pairwise(_SHELLS)]
    bright = [float(image[shell].mean()) if shell.any() else np.nan for shell in shells]
    for i in reversed(range(len(bright) - 1)):
        bright[i] = bright[i + 1] if np.isnan(bright[i]) else bright[i]  # A small cell has no innermost shell.
    logs = np.log(np.maximum(np.nan_to_num(bright), _LEAST_BRIGHTNESS))
    return np.array([2 * np.log(size), np.log(max(-float(distance.min()), 0.5) / size), *logs])


class GPHyperparameters(NamedTuple):
    """Hyperparameters of a Gaussian process, in units of the standard deviation of the heights.

    Args:
        variance: Variance that the features explain.
        length: Correlation length, in standard deviations of the features.
        noise: Variance that the features do not explain.
    """

    variance: float = 1.0
    length: float = 4.0
    noise: float = 0.5


@dataclass(frozen=True)
class HeightGroup:
    """Gaussian process of the heights of a group of cells.

    Args:
        features: Features of each cell.
        log_heights: Logarithm of the mean height in voxels.
        hyperparameters: Hyperparameters of the process, which `fit_thickness_prior` optimises.
    """

    features: Float[np.ndarray, "cell feature"]
    log_heights: Float[np.ndarray, " cell"]
    hyperparameters: GPHyperparameters

    def predict(self, own: Float[np.ndarray, " feature"]) -> tuple[float, float]:
        """Predict mean and standard deviation of the logarithm of the height of a cell with such features."""
        middle, scale = _mean_and_deviation(self.log_heights)
        covariance = self._kernel(self._standard(own[None]), self.standard, self.hyperparameters)[0]
        explained = solve_triangular(self._covariance_factor, covariance, lower=True)
        targets = self._whitened_heights
        variance = max(self.hyperparameters.variance - float(explained @ explained), 0.0) + self.hyperparameters.noise
        return float(middle + scale * (explained @ targets)), float(scale * np.sqrt(variance))

    def log_density(self, own: Float[np.ndarray, " feature"]) -> float:
        """Logarithm of the density of such features under the normal distribution of the group's."""
        scales = np.log(_mean_and_deviation(self.features)[1]).sum() + np.log(np.diag(self._factor)).sum()
        return -0.5 * self.squared_distance(own) - float(scales)

    def squared_distance(self, own: Float[np.ndarray, " feature"]) -> float:
        """Squared Mahalanobis distance of features from the mean of the group's."""
        whitened = self._whiten(own[None])[0]
        return float(whitened @ whitened)

    def distance_to_nearest(self, own: Float[np.ndarray, " feature"]) -> float:
        """Mahalanobis distance of features from those of the nearest cell of the group."""
        return float(np.linalg.norm(self._whiten(self.features) - self._whiten(own[None]), axis=1).min())

    def deviations(self, own: Float[np.ndarray, " feature"]) -> Float[np.ndarray, " feature"]:
        """[standard deviation] Deviation of each feature from the mean of the group's."""
        return np.asarray(self._standard(own[None])[0])

    @cached_property
    def _factor(self) -> Float[np.ndarray, "feature feature"]:
        """Cholesky factor of the shrunk correlation of the features."""
        correlation = np.cov(self.standard.T)
        return np.asarray(np.linalg.cholesky((1 - _SHRINKAGE) * correlation + _SHRINKAGE * np.eye(len(correlation))))

    def _whiten(self, values: Float[np.ndarray, "n feature"]) -> Float[np.ndarray, "n feature"]:
        return np.asarray(solve_triangular(self._factor, self._standard(values).T, lower=True).T)

    def negative_log_likelihood(self, hyperparameters: GPHyperparameters) -> float:
        """Negative logarithm of the likelihood of the group's heights, up to a constant."""
        middle, scale = _mean_and_deviation(self.log_heights)
        factor = np.linalg.cholesky(self._covariance(hyperparameters))
        explained = solve_triangular(factor, (self.log_heights - middle) / scale, lower=True)
        return float(explained @ explained / 2 + np.log(np.diag(factor)).sum())

    @cached_property
    def _covariance_factor(self) -> Float[np.ndarray, "cell cell"]:
        """Cholesky factor of the covariance of the heights."""
        return np.asarray(np.linalg.cholesky(self._covariance(self.hyperparameters)))

    @cached_property
    def _whitened_heights(self) -> Float[np.ndarray, " cell"]:
        """Standardised heights, decorrelated."""
        middle, scale = _mean_and_deviation(self.log_heights)
        return np.asarray(solve_triangular(self._covariance_factor, (self.log_heights - middle) / scale, lower=True))

    @cached_property
    def standard(self) -> Float[np.ndarray, "cell feature"]:
        """Features of the group, standardised."""
        return self._standard(self.features)

    def _standard(self, values: Float[np.ndarray, "n feature"]) -> Float[np.ndarray, "n feature"]:
        middle, scale = _mean_and_deviation(self.features)
        return np.asarray((values - middle) / scale)

    def _covariance(self, hyperparameters: GPHyperparameters) -> np.ndarray:
        """Covariance of the group's heights, noise included."""
        kernel = self._kernel(self.standard, self.standard, hyperparameters)
        return kernel + hyperparameters.noise * np.eye(len(kernel))

    @staticmethod
    def _kernel(a: np.ndarray, b: np.ndarray, hyperparameters: GPHyperparameters) -> np.ndarray:
        squares = cdist(a, b, "sqeuclidean")
        return np.asarray(hyperparameters.variance * np.exp(-0.5 * squares / hyperparameters.length**2))


@dataclass(frozen=True)
class ThicknessPrior:
    """Prior of the heights of cells, given their pictures.

    Args:
        groups: Processes by name of the group: ``real`` cells, ``simulated`` ones, or both.
    """

    groups: Mapping[str, HeightGroup]

    def predict(self, inputs: PictureInput) -> tuple[float, float]:
        """Predict mean and standard deviation of the logarithm of a cell's mean height in voxels."""
        own, groups = features(inputs), list(self.groups.values())
        log_density = np.array([group.log_density(own) for group in groups])
        weights = np.exp(log_density - log_density.max())
        weights /= weights.sum()
        means, deviations = np.array([group.predict(own) for group in groups]).T
        mean = float(weights @ means)
        return mean, float(np.sqrt(weights @ (deviations**2 + (means - mean) ** 2)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Named arrays of all groups, for a file."""
        arrays: dict[str, np.ndarray] = {}
        for name, group in self.groups.items():
            arrays |= {f"{name}_traits": group.features, f"{name}_log_height": group.log_heights}
            arrays |= {f"{name}_habits": np.array(group.hyperparameters)}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "ThicknessPrior":
        """Restore a prior from its `arrays`."""
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
    inputs: Mapping[str, Sequence[PictureInput]], log_heights: Mapping[str, Sequence[float]]
) -> ThicknessPrior:
    """Fit a process to each group of cells of known height, by maximum likelihood of the hyperparameters.

    Args:
        inputs: Pictures of the cells of each group.
        log_heights: Logarithms of their mean heights in voxels.
    """
    groups = [name for name, pictures in inputs.items() if len(pictures) >= _FEWEST_CELLS]
    return ThicknessPrior({name: _fit_group(inputs[name], log_heights[name]) for name in groups})


def _fit_group(inputs: Sequence[PictureInput], log_heights: Sequence[float]) -> HeightGroup:
    known = np.stack([features(picture) for picture in inputs])
    group = HeightGroup(known, np.array(log_heights, float), GPHyperparameters())
    start = np.log(GPHyperparameters())
    bounds = [(value - _SEARCH_RANGE, value + _SEARCH_RANGE) for value in start]

    def objective(logarithms: np.ndarray) -> float:
        return group.negative_log_likelihood(GPHyperparameters(*np.exp(logarithms)))

    best = minimize(objective, start, method="L-BFGS-B", bounds=bounds)
    return replace(group, hyperparameters=GPHyperparameters(*(float(value) for value in np.exp(best.x))))


def _mean_and_deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(values.mean(axis=0)), np.asarray(np.maximum(values.std(axis=0), _LEAST_SPREAD))
