"""Detection of cells unlike those that a network was trained on, from the features that predict their height.

A cell is novel if its features are far from every group of training cells: networks extrapolate there, and nothing in
their draws shows it. Files of networks hold the appearance of the cells of the training (`appearance`); for older ones,
the features of their heights are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ....io.network_file import Network
from ..labels import list_some
from .appearance import WORDS, TrainingAppearance, appearance
from .inputs import PictureInput
from .thickness_prior import ThicknessPrior, features

_LARGEST_DISTANCE = 28.0
"""Squared Mahalanobis distance that 0.05 % of eight normal features exceed."""
_LARGEST_DISTANCE_TOGETHER = 15.0
"""Squared distance of the median of several cells, which cells of one class, left out of the training, do not reach."""
_LARGEST_APPEARANCE_DISTANCE = 4.8
"""[standard deviation] Distance from the nearest cells of the training that a twentieth of cells like them exceed."""
_FEWEST_TOGETHER = 8
"""Number of cells from which their median is compared."""
_NEAR = 2.0
"""Distance, in standard deviations, from a single training cell within which a cell is like it."""
_UNUSUAL = 2.0
"""[standard deviation] Deviation from which a feature is named."""
_FEATURES = (
    ("small section", "large section"),
    ("narrow section", "round section"),
    ("dark centre", "bright centre"),
    ("dark ring inside the outline", "bright ring inside the outline"),
    ("dark rim", "bright rim"),
    ("sharp outline", "light just outside the outline"),
    ("dark surroundings", "bright surroundings"),
    ("dark background", "bright background"),
)
"""Words for a low and a high value of each feature."""


@dataclass(frozen=True)
class Novelty:
    """Novelty of a cell, or of the median of several.

    Args:
        name: Name of the cell; empty for several.
        distance: Distance from the nearest group of training cells, relative to the largest that counts as like them.
        traits: Features that deviate most, in words.
    """

    name: str
    distance: float
    traits: tuple[str, ...] = ()

    @property
    def is_novel(self) -> bool:
        """Whether the cell is unlike those of the training."""
        return self.distance > 1


@dataclass(frozen=True)
class NoveltyOfCells:
    """Novelty of the cells of a measurement.

    Args:
        cells: Novelty of each cell.
        together: Novelty of the median of their features, which varies less; None for a few cells.
    """

    cells: Sequence[Novelty]
    together: Novelty | None = None

    @property
    def count(self) -> int:
        """Number of novel cells: all, if they are so together."""
        if self.together is not None and self.together.is_novel:
            return len(self.cells)
        return sum(cell.is_novel for cell in self.cells)

    def distances(self) -> list[float]:
        """Distance of each cell, or that of the median where it is larger."""
        least = 0.0 if self.together is None or not self.together.is_novel else self.together.distance
        return [max(cell.distance, least) for cell in self.cells]

    def warning(self) -> str:
        """Warn of cells unlike those of the training; empty if there are none."""
        if not self.count:
            return ""
        novel = [cell for cell in self.cells if cell.is_novel]
        texts = [f"{cell.name} ({_listed(cell.traits)})" for cell in novel]
        if self.together is not None and self.together.is_novel:
            texts = [_listed(self.together.traits), *([f"farthest {max(novel, key=_distance).name}"] if novel else [])]
        many = f"{self.count} of {len(self.cells)} cells are" if len(self.cells) > 1 else "the cell is"
        their = "their" if len(self.cells) > 1 else "its"
        return (
            f"{many} unlike those that the network was trained on, and {their} shapes may be wrong by factors: "
            f"{list_some(texts)}; train a network with such cells: unflat train"
        )


def _distance(novelty: Novelty) -> float:
    return novelty.distance


def _listed(traits: Sequence[str]) -> str:
    return ", ".join(traits) or "in several features together"


def compare_with_training(network: Network, names: Sequence[str], pictures: Sequence[PictureInput]) -> NoveltyOfCells:
    """Compare cells with those of the training of a network.

    Args:
        network: The network.
        names: Names of the cells.
        pictures: Input of the network for each cell.
    """
    training = TrainingAppearance.from_arrays(network.statistics)
    by_height = detect_novelty(ThicknessPrior.from_arrays(network.statistics), names, pictures)
    if not training.groups:
        return by_height
    pairs = zip(names, pictures, strict=True)
    return NoveltyOfCells([_compare_appearance(training, str(name), one) for name, one in pairs], by_height.together)


def _compare_appearance(training: TrainingAppearance, name: str, picture: PictureInput) -> Novelty:
    own = appearance(picture)
    distance, group = training.nearest(own)
    return Novelty(name, distance / _LARGEST_APPEARANCE_DISTANCE, _traits(group.deviations(own)))


def detect_novelty(prior: ThicknessPrior, names: Sequence[str], pictures: Sequence[PictureInput]) -> NoveltyOfCells:
    """Compare cells with those of the training, by the features of their heights.

    Args:
        prior: Prior of heights, which keeps the features of the training cells.
        names: Names of the cells.
        pictures: Input of the network for each cell.
    """
    own = [features(picture) for picture in pictures]
    cells = [_compare(prior, str(name), each, _LARGEST_DISTANCE) for name, each in zip(names, own, strict=True)]
    if len(cells) < _FEWEST_TOGETHER:
        return NoveltyOfCells(cells)
    return NoveltyOfCells(cells, _compare(prior, "", np.median(own, axis=0), _LARGEST_DISTANCE_TOGETHER))


def _compare(prior: ThicknessPrior, name: str, own: Float[np.ndarray, " feature"], largest: float) -> Novelty:
    groups = list(prior.groups.values())
    if not groups:
        return Novelty(name, 0.0)
    distances = [group.squared_distance(own) for group in groups]
    nearest = groups[int(np.argmin(distances))]
    distance = min(distances) / largest
    if min(group.distance_to_nearest(own) for group in groups) < _NEAR:
        return Novelty(name, min(distance, 1.0))
    return Novelty(name, distance, _traits(nearest.deviations(own)))


def _traits(deviations: Float[np.ndarray, " feature"]) -> tuple[str, ...]:
    """Name the features that deviate most."""
    order = np.argsort(-np.abs(deviations))
    traits = [(*_FEATURES, *WORDS)[i][int(deviations[i] > 0)] for i in order if abs(deviations[i]) > _UNUSUAL]
    return tuple(traits[:3])
