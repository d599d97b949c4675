"""Config of the ``crystal`` kind. Its descriptions are the comments of the YAML that ``init`` writes."""

from typing import Literal

from pydantic import Field

from ...config.base import Flag, KindSettings, Settings
from ...config.value_types import LengthOrAuto
from ...optimize.settings import FieldSettings
from ...phase_retrieval.settings import PhaseSettings
from .config_acquisition import CrystalAcquisition
from .config_simulation import CrystalSimulation
from .network.config import CrystalNetwork, CrystalPredict, CrystalTrain


class CrystalVolume(Settings):
    """Grid of the result."""

    spacing: LengthOrAuto = Field(
        "auto",
        description="Distance between the samples of the orthogonal volume. auto: that of the cube with the volume of "
        "the measured grid's skewed voxel.",
    )


class CrystalRefine(Settings):
    """Parameters of the instrument that are fitted with the crystal."""

    psf: Flag = Field(True, description="Widths of a Gaussian point-spread function (coherence).")
    background: Flag = Field(True, description="A constant background.")


class CrystalFit(FieldSettings):
    """Field and its fit to the counts; the pixels that phase.free withholds validate it."""

    start: str = Field(
        "phase",
        min_length=1,
        description="Where to begin: phase (phase from a few starts first), none (a blind guess, which seldom gets "
        "anywhere), or a run or volume file with a density in the detector's frame, as phase and predict leave it.",
    )
    starts: int = Field(3, ge=1, description="Starts of phasing, where the fit begins with that.")
    fineness: int = Field(
        2,
        ge=1,
        le=4,
        description="Samples of the field to a voxel along each axis: with 1, what an edge sharper than a voxel "
        "scatters beside the detector would be looked for on it.",
    )
    steps: int = Field(600, ge=1, description="Steps of the optimiser.")
    learning_rate: float = Field(0.02, gt=0, description="Largest step of the optimiser.")
    tv: float = Field(0.0, ge=0, description="Strength of total variation of the field's outputs, with sharp edges.")
    refine: CrystalRefine = Field(default_factory=CrystalRefine, description="What else is fitted.")
    gate: float | None = Field(
        None, gt=0, description="Likelihood (LLK) of the withheld pixels above which the command exits with 5, or null."
    )


class CrystalSettings(KindSettings):
    """Settings of a crystal's reconstruction and simulation."""

    kind: Literal["crystal"] = Field("crystal", description="Kind of experiment.")
    acquisition: CrystalAcquisition = Field(
        default_factory=CrystalAcquisition,
        description="Where the measurement stands in its file, and which part of it to use. The names below are those "
        "of unflat's own files, which need no changes.",
    )
    volume: CrystalVolume = Field(default_factory=CrystalVolume, description="The lattice of the result.")
    phase: PhaseSettings = Field(
        default_factory=PhaseSettings, description="Phase retrieval: the recipe, the starts, the refinement."
    )
    predict: CrystalPredict = Field(default_factory=CrystalPredict, description="A network's answer.")
    network: CrystalNetwork = Field(default_factory=CrystalNetwork, description="The network that is trained.")
    train: CrystalTrain = Field(
        default_factory=CrystalTrain, description="Training of a network on simulated crystals."
    )
    fit: CrystalFit = Field(default_factory=CrystalFit, description="The continuous field and its fit.")
    simulate: CrystalSimulation = Field(
        default_factory=CrystalSimulation, description="What 'unflat simulate' and 'unflat demo' make."
    )
