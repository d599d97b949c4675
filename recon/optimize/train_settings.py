"""What the section ``train`` of configs has in common."""

from typing import Literal

from pydantic import Field

from ..config.base import Settings


class TrainSettings(Settings):
    """How a network is trained."""

    network: str | None = Field(
        None, description="Network to go on from: its file, the run that trained it, or shipped. null: from nothing."
    )
    steps: int = Field(12000, ge=1, description="Steps of the optimiser. A run that goes on may have more of them.")
    batch: int = Field(8, ge=1, description="Examples in a step.")
    learning_rate: float = Field(
        1.5e-3, gt=0, description="Largest step of Adam; it rises at first and falls as a cosine."
    )
    warm_up: int = Field(200, ge=0, description="Steps over which the learning rate rises.")
    weight_decay: float = Field(0.01, ge=0, description="Pull of the weights towards zero.")
    memory: float = Field(
        0.999, ge=0, lt=1, description="Weight of the past in the running mean of the weights, which is what is kept."
    )
    precision: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="Of the factors in products; everything else is float32."
    )
    judge_every: int = Field(500, ge=1, description="Steps between two trials on held-out specimens.")
