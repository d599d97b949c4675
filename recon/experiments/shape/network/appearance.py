"""Appearance of the cells of a training, and the distance of other cells from them.

The features of `thickness_prior` describe size and brightness by the distance from the outline. Further ones describe
the form of the section and the variation of the brightness within it and around it: rods, rings and cells of other
stains differ in them. A cell is as far from a group of cells as from its three nearest ones, in standard deviations of
the whitened features: simulated cells of many classes have no common mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import solve_triangular
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, QhullError

from .inputs import PictureInput
from .thickness_prior import features

WORDS = (
    ("compact section", "long section"),
    ("filled section", "ring-like section"),
    ("indented outline", "convex outline"),
    ("even inside", "uneven inside"),
    ("narrow range inside", "wide range inside"),
    ("even rim", "uneven rim"),
    ("even surroundings", "uneven surroundings"),
    ("even background", "uneven background"),
)
"""Words for a low and a high value of each feature beyond those of `features`."""
_PREFIX = "appearance_"
_NEAREST = 3
"""Number of nearest cells whose distances are averaged."""
_SHRINKAGE = 0.1
"""Shrinkage of the correlation of features towards the identity."""
_SMOOTHING = 1.0
"""[pixel] Standard deviation of the Gaussian that removes the noise of a picture."""
_DEPTH = 3.0
"""[pixel] Distance from the outline of the inside without its rim."""
_SECTORS = 12
_SHELLS = ((-3.0, 0.0), (0.0, 3.0), (3.0, 8.0))
"""[pixel] Distances to the outline between which the brightness of sectors is compared."""
_LEAST = 1e-3
"""Lower bound of a relative variation, a logarithm's argument."""
_FEWEST_INNER = 10


def appearance(picture: PictureInput) -> Float[np.ndarray, " feature"]:
    """Compute the features of a picture: size and brightness, form of the section, variation of the brightness."""
    inside = picture.section < 0
    return np.concatenate([features(picture), _form(inside), _variation(picture, inside)])


def _form(inside: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, " feature"]:
    """Logarithms of elongation, of the spread over that of an ellipse, and of the share of the convex hull."""
    points = np.argwhere(inside).astype(np.float64)
    if len(points) < _FEWEST_INNER:
        return np.zeros(3)
    moments = np.sort(np.linalg.eigvalsh(np.cov(points.T) + np.eye(2) / 12))
    corners = np.concatenate([points + shift for shift in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))])
    try:
        hull = float(ConvexHull(corners).volume)
    except QhullError:
        hull = float(len(points))
    spread = 4 * np.pi * np.sqrt(moments.prod()) / len(points)
    return np.array([np.log(moments[1] / moments[0]) / 2, np.log(spread), np.log(len(points) / hull)])


def _variation(picture: PictureInput, inside: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, " feature"]:
    """Logarithms of the relative variation of the brightness: inside, and between sectors of shells."""
    image, distance = picture.image, picture.section
    if not inside.any():
        return np.zeros(2 + len(_SHELLS))
    smooth, inner = gaussian_filter(image, _SMOOTHING), distance < -_DEPTH
    if inner.sum() < _FEWEST_INNER:
        inner = inside & (distance <= np.median(distance[inside]))
    mean = max(float(image[inner].mean()), _LEAST)
    low, high = np.percentile(smooth[inner], [5, 95])
    own = [float(smooth[inner].std()) / mean, float(high - low) / mean]
    y, x = np.indices(image.shape)
    centre = np.argwhere(inside).mean(axis=0)
    angle = np.arctan2(y - centre[0], x - centre[1])
    sector = ((angle + np.pi) * _SECTORS / (2 * np.pi)).astype(int) % _SECTORS
    own += [_between_sectors(image, (distance >= a) & (distance < b), sector) for a, b in _SHELLS]
    return np.log(np.maximum(own, _LEAST))


def _between_sectors(image: np.ndarray, shell: Bool[np.ndarray, "y x"], sector: np.ndarray) -> float:
    """Relative standard deviation of the mean brightness of the sectors of a shell."""
    means = [float(part.mean()) for k in range(_SECTORS) if (part := image[shell & (sector == k)]).size]
    return float(np.std(means) / max(float(np.mean(means)), _LEAST)) if means else 0.0


@dataclass(frozen=True)
class AppearanceGroup:
    """Appearance of the cells of a group.

    Args:
        features: Features of each cell.
    """

    features: Float[np.ndarray, "cell feature"]

    def distance(self, own: Float[np.ndarray, " feature"]) -> float:
        """[standard deviation] Mean distance of features from those of the nearest cells."""
        distances = np.sort(np.linalg.norm(self._whitened - self._whiten(own[None]), axis=1))
        return float(distances[:_NEAREST].mean())

    def deviations(self, own: Float[np.ndarray, " feature"]) -> Float[np.ndarray, " feature"]:
        """[standard deviation] Deviation of each feature from the mean of the group's."""
        middle, scale = self._scale
        return np.asarray((own - middle) / scale)

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.features.mean(axis=0)), np.asarray(np.maximum(self.features.std(axis=0), _LEAST))

    @cached_property
    def _factor(self) -> Float[np.ndarray, "feature feature"]:
        middle, scale = self._scale
        correlation = np.cov(((self.features - middle) / scale).T)
        return np.asarray(np.linalg.cholesky((1 - _SHRINKAGE) * correlation + _SHRINKAGE * np.eye(len(correlation))))

    @cached_property
    def _whitened(self) -> Float[np.ndarray, "cell feature"]:
        return self._whiten(self.features)

    def _whiten(self, values: Float[np.ndarray, "n feature"]) -> Float[np.ndarray, "n feature"]:
        middle, scale = self._scale
        return np.asarray(solve_triangular(self._factor, ((values - middle) / scale).T, lower=True).T)


@dataclass(frozen=True)
class TrainingAppearance:
    """Appearance of the cells of a training, by group.

    Args:
        groups: Groups by name; none for a network whose file lacks them.
    """

    groups: Mapping[str, AppearanceGroup]

    def nearest(self, own: Float[np.ndarray, " feature"]) -> tuple[float, AppearanceGroup]:
        """Distance of features from the nearest group, and that group."""
        return min(((group.distance(own), group) for group in self.groups.values()), key=lambda pair: pair[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """Named arrays of all groups, for a file."""
        return {f"{_PREFIX}{name}": group.features for name, group in self.groups.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "TrainingAppearance":
        """Restore from `arrays`."""
        names = sorted(name for name in arrays if name.startswith(_PREFIX))
        return cls({name.removeprefix(_PREFIX): AppearanceGroup(arrays[name]) for name in names})

    @classmethod
    def of(cls, pictures: Mapping[str, Sequence[PictureInput]]) -> "TrainingAppearance":
        """Compute the appearance of groups of cells; small ones, whose features have no covariance, are left out."""
        groups = {name: [appearance(one) for one in own] for name, own in pictures.items()}
        fewest = 2 * (len(WORDS) + 8)
        return cls({name: AppearanceGroup(np.array(own)) for name, own in groups.items() if len(own) >= fewest})
