"""The sections ``network``, ``train`` and ``predict`` of a shape's config."""

from typing import Literal

from pydantic import Field

from ....config.base import Flag
from ....networks.settings import NetworkSettings, PredictSettings
from ....optimize.train_settings import TrainSettings

BATCH = 16
"""Codes of one call of the network."""


class ShapeNetwork(NetworkSettings):
    """The network that is trained."""

    widths: tuple[int, ...] = Field(
        (64, 128, 128),
        description="Channels of each level, the finest first (16 x 16 points in the plane of the picture); "
        "multiples of 8.",
    )
    blocks: tuple[int, ...] = Field((1, 2, 2), description="Residual blocks of each level.")


class ShapeTrain(TrainSettings):
    """Training of the network."""

    steps: int = Field(
        3000,
        ge=1,
        description="Number of steps of the optimiser before the distillation. Without a distillation, it may be "
        "increased on resuming.",
    )
    distil: int = Field(
        400,
        ge=0,
        description="Number of steps of the distillation, in which the network learns to reproduce its own draws "
        "in one or two steps instead of eight; each takes as long as four of the others. The network "
        "before it is kept as teacher.h5. It may be increased on resuming. 0: none.",
    )
    batch: int = Field(16, ge=1, description="Number of examples in a step.")
    memory: float = Field(
        0.995, ge=0, lt=1, description="Decay of the exponential moving average of the weights, which is the result."
    )
    precision: Literal["bfloat16", "float32"] = Field(
        "float32", description="Precision of the factors of matrix products; everything else is float32."
    )
    data: str | None = Field(
        None,
        description="Cells of known shape: a folder of image/, mask/ and obj/, or an acquisition with its truth. null: "
        "simulated cells only.",
    )
    specimens: int = Field(1200, ge=0, description="Number of simulated cells in addition.")
    turned: int = Field(
        8,
        ge=0,
        description="Number of copies of each real cell, rotated in space, with simulated pictures: cells float, "
        "so that any orientation is realistic.",
    )
    real: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Fraction of real cells among the examples, if there are any, at the start of the training.",
    )
    real_at_end: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Fraction of real cells in the last three tenths of the training. Near 1, the network adapts "
        "to the orientations and pictures of the real cells, and forgets some of what it learned from "
        "simulated ones.",
    )
    folds: int = Field(
        0,
        ge=0,
        le=20,
        description="Number of folds of a cross-validation: for each, a network is trained without it and validated on "
        "it, as network-0.h5 and so on. 0: one network, trained on all cells.",
    )


class ShapePredict(PredictSettings):
    """Prediction by the network."""

    draws: int = Field(5, ge=1, description="Number of shapes drawn for each cell.")
    resample: Flag = Field(
        True,
        description="Whether pictures of another pixel size are resampled to that of the network's training, where the "
        "cells fit the grid then and acquisition.spacing is auto: a network knows sizes in pixels.",
    )
    steps: int | None = Field(
        None,
        ge=1,
        description="Number of steps from noise to a shape; each applies the network once. null: 2 for a distilled "
        "network, 8 otherwise.",
    )
    temperature: float = Field(
        1.0,
        ge=0,
        le=2,
        description="Standard deviation of the noise that shapes are drawn from, relative to that of the training: "
        "less gives shapes that differ less and are closer to the mean.",
    )
    refine_steps: int = Field(80, ge=1, description="Number of steps of the fit to the picture, with refine: true.")
    psf: str | None = Field(
        None,
        description="File of the microscope's point-spread function for the refinement, a stack (z, y, x) whose "
        "brightest sample is the focus. null: Gaussians and a halo, as of the microscope of the red "
        "blood cells.",
    )
    mean: Flag = Field(False, description="Whether to predict the mean of all shapes, in one step, instead of draws.")
