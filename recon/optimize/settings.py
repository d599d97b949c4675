"""Settings of a fit that all experiments share; their descriptions become comments of the YAML of ``unflat init``."""

from typing import Literal

from pydantic import Field

from ..config.base import Settings
from ..config.units import Time
from ..fields.config import FourierSettings, PyramidSettings


class FieldSettings(Settings):
    """Field and optimiser of any experiment."""

    field: Literal["pyramid", "voxels", "fourier"] = Field(
        "pyramid", description="The continuous field: pyramid, voxels (a plain grid) or fourier (DeCAF's)."
    )
    steps: int = Field(300, ge=1, description="Steps of the optimiser.")
    learning_rate: float = Field(0.05, gt=0, description="Largest step of the optimiser.")
    tv: float = Field(
        4.0,
        ge=0,
        description="Strength of total variation, against the noise that the fit itself finds: larger is smoother, "
        "with sharp edges.",
    )
    tv_axial: float = Field(1.0, ge=0, description="Weight of differences along z against lateral ones within it.")
    tikhonov: float = Field(
        0.0, ge=0, description="Strength of the pull towards the background, relative to the noise."
    )
    ensemble: int = Field(1, ge=1, description="Fits from different seeds; more than one gives an uncertainty map.")
    patience: int = Field(
        100, ge=1, description="Steps without a better result on withheld data after which the fit ends."
    )
    slack: float = Field(
        0.0,
        ge=0,
        description="Part by which a later state may explain the withheld data worse than the best and yet replace it.",
    )
    checkpoint_every: Time = Field(60.0, gt=0, description="Time between checkpoints.")
    pyramid: PyramidSettings = Field(default_factory=PyramidSettings, description="The pyramid field.")
    fourier: FourierSettings = Field(default_factory=FourierSettings, description="The fourier field.")


class FitSettings(FieldSettings):
    """Field and its fit to several views."""

    batch: int = Field(4, ge=1, description="Views in a step.")
    loss: Literal["amplitude", "poisson"] = Field(
        "amplitude", description="amplitude (square roots of the intensities) or poisson (counts)."
    )
    withheld: float = Field(0.08, ge=0, lt=1, description="Fraction of the views that is never fitted, for validation.")
    start: Literal["linear", "none"] = Field("linear", description="Start from the closed-form linear result, or flat.")
    sign: Literal["any", "nonnegative", "nonpositive"] = Field(
        "any", description="Sign of the specimen relative to its background, where it is known."
    )
    gate: float | None = Field(
        None, gt=0, description="Residual of the withheld views above which the command exits with 5, or null."
    )
