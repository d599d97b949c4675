"""Settings of a fit that all experiments share; their descriptions become comments of the YAML of ``unflat init``."""

from typing import Annotated, Literal

from pydantic import Field

from ..config.base import Flag, Settings
from ..config.units import Time
from ..fields.config import FourierSettings, PyramidSettings
from .steps import LEAST_TRIAL, SERIES_FACTORS, SERIES_STRENGTHS, trial_steps


class SeriesSettings(Settings):
    """Settings of the fit of a series (``unflat fit --series``)."""

    smoothness: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="Strength with which neighbouring acquisitions are held alike, relative to the noise. auto: fits "
        "with several strengths are begun, and the one that predicts the withheld data best goes on.",
    )
    spatial: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="Factor of fit.tv and fit.tikhonov in a series, whose acquisitions support each other. auto: 1 and "
        "0.25 are tried, and the one that predicts the withheld data best goes on.",
    )
    motion: Flag = Field(
        True,
        description="Whether the specimen as a whole may move, stretch along z, y and x, and change its contrast: "
        "these are then fitted.",
    )


class FieldSettings(Settings):
    """Settings that every fit has: the field, the optimiser, and the priors. `FitSettings` adds those of views."""

    field: Literal["pyramid", "voxels", "fourier"] = Field(
        "pyramid",
        description="The continuous field: pyramid, voxels (a plain grid) or fourier (as in DeCAF: Liu et al., Nature "
        "Machine Intelligence 2022).",
    )
    steps: int = Field(400, ge=1, description="Largest number of steps of the optimiser; see patience.")
    learning_rate: float = Field(0.05, gt=0, description="Learning rate of the optimiser.")
    tv: float = Field(
        4.0,
        ge=0,
        description="Strength of total variation, relative to the noise, which the fit estimates by its loss: larger "
        "is smoother, with sharp edges.",
    )
    tv_axial: float = Field(
        1.0, ge=0, description="Weight of differences along z in total variation, relative to lateral ones."
    )
    tikhonov: float = Field(
        0.0, ge=0, description="Strength of Tikhonov regularisation towards the background, relative to the noise."
    )
    ensemble: int = Field(
        1, ge=1, description="Number of fits from different seeds; more than one gives an uncertainty map."
    )
    patience: int = Field(
        100,
        ge=1,
        description="Number of steps without improvement on withheld data after which the fit ends, with the best "
        "state before as its result. As many as steps: all steps are taken.",
    )
    slack: float = Field(
        0.0,
        ge=0,
        description="Excess of the withheld residual over the smallest one, as a fraction, up to which a later state "
        "is preferred.",
    )
    checkpoint_every: Time = Field(60.0, gt=0, description="Time between checkpoints.")
    pyramid: PyramidSettings = Field(
        default_factory=PyramidSettings,
        description="Size of the pyramid field (grids from coarse to fine, a small decoder).",
    )
    fourier: FourierSettings = Field(
        default_factory=FourierSettings,
        description="Size of the fourier field (radial and Fourier encodings, a perceptron).",
    )
    series: SeriesSettings = Field(
        default_factory=SeriesSettings, description="Series of acquisitions of one specimen (unflat fit --series)."
    )

    @property
    def series_smoothnesses(self) -> tuple[float, ...]:
        """Strengths of the prior on a series that are tried."""
        return SERIES_STRENGTHS if self.series.smoothness == "auto" else (self.series.smoothness,)

    @property
    def series_factors(self) -> tuple[float, ...]:
        """Factors of the priors in space that are tried in a series; 1 alone where there are no such priors."""
        if self.series.spatial != "auto":
            return (self.series.spatial,)
        return SERIES_FACTORS if self.tv or self.tikhonov else SERIES_FACTORS[:1]

    @property
    def series_trial_steps(self) -> int:
        """Steps of the trials of a series that its fit does not go on from; 0 where none are made."""
        trials = len(self.series_smoothnesses) + len(self.series_factors) - 2
        return trials * trial_steps(self.steps) if self.steps >= 2 * LEAST_TRIAL else 0

    gate: float | None = Field(
        None, gt=0, description="Residual of the withheld data above which the command exits with 5, or null."
    )


class FitSettings(FieldSettings):
    """Settings of a fit to several images or patterns: `FieldSettings`, and how views are batched and compared."""

    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="Number of views in a step. auto: a third of the views, from 4 to 8; 4 of a turning specimen, or "
        "where each view has several sources.",
    )
    loss: Literal["amplitude", "poisson"] = Field(
        "amplitude", description="Loss: amplitude (of square roots of the intensities) or poisson (of counts)."
    )
    withheld: float = Field(
        0.08, ge=0, lt=1, description="Fraction of the views that is withheld from the fit, for validation."
    )
    start: Literal["linear", "none"] = Field(
        "linear", description="Initial guess: linear (closed-form linear inverse) or none (the background)."
    )
    sign: Literal["auto", "any", "nonnegative", "nonpositive"] = Field(
        "auto",
        description="Sign of the specimen relative to its background. auto: the first quarter of the steps, at least "
        "50, is taken with and without the constraint to one sign, which stays unless the withheld views contradict "
        "it; any in fits of fewer than 100 steps.",
    )
