"""The sections ``network`` and ``train`` of a cell's config."""

from typing import get_args

from pydantic import Field, field_validator

from ....networks.settings import NetworkSettings
from ....optimize.train_settings import SimulatedTrainSettings
from ..config_simulation import Sort


class CellNetwork(NetworkSettings):
    """The network that 'unflat train' trains."""

    widths: tuple[int, ...] = Field(
        (32, 64, 96),
        description="Channels of each level, the finest first (half the grid of the contrast); multiples of 8.",
    )
    blocks: tuple[int, ...] = Field((1, 1, 2), description="Residual blocks of each level.")


class CellTrain(SimulatedTrainSettings):
    """Training of the network."""

    specimens: int = Field(
        8000,
        ge=32,
        description="Number of simulated specimens, rounded up to a multiple of 32; each use of one is mirrored anew.",
    )
    left_out: tuple[Sort, ...] = Field(
        (), description="Sorts of specimens that the training does not see; a validation measures them by themselves."
    )
    trials: int = Field(32, ge=1, description="Number of held-out specimens of a validation.")

    @field_validator("left_out")
    @classmethod
    def _some_sort_is_learned(cls, sorts: tuple[Sort, ...]) -> tuple[Sort, ...]:
        if set(sorts) == set(get_args(Sort)):
            raise ValueError("leaves no sort of specimens to train on")
        return sorts
