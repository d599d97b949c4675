"""Settings that the ``train`` sections of all configs share."""

from typing import Literal

from pydantic import Field

from ..config.base import Settings


class TrainSettings(Settings):
    """Training of a network."""

    network: str | None = Field(
        None,
        description="Initial network: its file, its training run, or shipped; null for random weights.",
    )
    steps: int = Field(12000, ge=1, description="Number of steps of the optimiser; it may be increased on resuming.")
    batch: int = Field(8, ge=1, description="Number of examples in a step.")
    learning_rate: float = Field(
        1.5e-3, gt=0, description="Largest learning rate of Adam, after a linear warm-up; it decays as a cosine."
    )
    warm_up: int = Field(200, ge=0, description="Number of steps over which the learning rate rises.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay.")
    memory: float = Field(
        0.999, ge=0, lt=1, description="Decay of the exponential moving average of the weights, which is the result."
    )
    precision: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="Precision of the factors of matrix products; everything else is float32."
    )
    judge_every: int = Field(500, ge=1, description="Steps between two validations on held-out specimens.")


class SimulatedTrainSettings(TrainSettings):
    """Training of a network on specimens that are simulated meanwhile."""

    specimens: int = Field(8000, ge=1, description="Number of simulated specimens.")
    looks: float = Field(
        4.0,
        gt=0,
        description="Mean number of uses of each specimen before the data set grows, until it has its full size.",
    )
    workers: int | Literal["auto"] = Field(
        "auto",
        description="Number of processes that simulate during the training. auto: all cores but two, at least one.",
    )
