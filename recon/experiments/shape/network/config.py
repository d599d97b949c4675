"""The sections ``network``, ``train`` and ``predict`` of a shape's config."""

from typing import Literal

from pydantic import Field

from ....config.base import Flag
from ....networks.settings import NetworkSettings, PredictSettings
from ....optimize.train_settings import TrainSettings


class ShapeNetwork(NetworkSettings):
    """The network that is trained."""

    widths: tuple[int, ...] = Field(
        (64, 128, 128),
        description="Channels of each level, the finest first (16 x 16 points of the picture's plane); multiples of 8.",
    )
    blocks: tuple[int, ...] = Field((1, 2, 2), description="Residual blocks of each level.")


class ShapeTrain(TrainSettings):
    """Training of the network."""

    steps: int = Field(
        3000,
        ge=1,
        description="Steps of the optimiser, before a distillation. Without one, a run that goes on may have more of "
        "them.",
    )
    distil: int = Field(
        400,
        ge=0,
        description="Further steps, in which the network learns to come to its own draws in one or two steps instead "
        "of eight; each takes as long as four of the others. What it was before stays beside it as teacher.h5. A run "
        "that goes on may have more of them. 0: none.",
    )
    batch: int = Field(16, ge=1, description="Examples in a step.")
    memory: float = Field(
        0.995, ge=0, lt=1, description="Weight of the past in the running mean of the weights, which is what is kept."
    )
    precision: Literal["bfloat16", "float32"] = Field(
        "float32", description="Of the factors in products; everything else is float32."
    )
    data: str | None = Field(
        None,
        description="Cells whose shape is known: a folder of image/, mask/ and obj/, or an acquisition with its truth. "
        "null: simulated ones only.",
    )
    specimens: int = Field(1200, ge=0, description="Simulated cells beside them.")
    turned: int = Field(
        8,
        ge=0,
        description="Copies of each real cell, turned in space, of which a picture is simulated: cells float, and in "
        "another pose they would have been as real.",
    )
    real: float = Field(
        0.5, ge=0, le=1, description="Share of the examples that are real cells, where there are any, at first."
    )
    real_at_end: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The same in the last three tenths of the training. Near 1, the network ends with the poses and "
        "the pictures of the real cells, and forgets some of what it has from simulated ones.",
    )
    folds: int = Field(
        0,
        ge=0,
        le=20,
        description="Parts of a cross-validation: for each a network is trained without it and judged by it, as "
        "network-0.h5 and so on. 0: one network, trained with all cells.",
    )


class ShapePredict(PredictSettings):
    """Prediction by the network."""

    draws: int = Field(5, ge=1, description="Shapes that are drawn of each cell.")
    steps: int | None = Field(
        None,
        ge=1,
        description="Steps from noise to a shape; each asks the network once. null: as many as it is made for, 2 if it "
        "was distilled and 8 if not.",
    )
    temperature: float = Field(
        1.0,
        ge=0,
        le=2,
        description="Strength of the noise that shapes are drawn from: 1 as the network learned; less for shapes that "
        "differ less, and are nearer to the middle of them all.",
    )
    refine_steps: int = Field(80, ge=1, description="Steps of the fit to the picture, where it is refined.")
    psf: str | None = Field(
        None,
        description="File of the microscope's point-spread function, a stack (z, y, x) whose brightest sample is the "
        "focus, for the fit to the picture. null: Gaussians and a halo like those of the red blood cells' microscope.",
    )
    mean: Flag = Field(False, description="Ask for the mean of all shapes, in one step, rather than for draws.")
