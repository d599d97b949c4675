"""Config of the ``crystal`` kind. Its descriptions are the comments of the YAML that ``init`` writes."""

from typing import Annotated, Literal

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
        description="Distance between the samples of the orthogonal volume. auto: edge of the cube with the volume "
        "of the skewed voxel of the measured grid.",
    )


_STARTS_OF_EACH_DRAW = 4
"""Starts for each of which one is the network's, where their number is auto."""


class CrystalPhase(PhaseSettings):
    """Phase retrieval, some starts of which a network draws."""

    network_starts: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="Number of the starts that begin with a draw of the network and go through predict.recipe; the "
        "others begin at random. auto: one in four, if the crystal is sampled finely enough.",
    )

    @property
    def network_count(self) -> int:
        """Number of starts that the network draws, if the crystal is sampled finely enough for auto."""
        number = self.starts // _STARTS_OF_EACH_DRAW if self.network_starts == "auto" else self.network_starts
        return min(number, self.starts)


class CrystalRefine(Settings):
    """Parameters of the instrument that are fitted with the crystal."""

    psf: Flag = Field(True, description="Widths of a Gaussian point-spread function (coherence).")
    background: Flag = Field(True, description="A constant background.")
    angles: Flag = Field(False, description="The angle of each frame, where it was not what the goniometer says.")
    rolls: Flag = Field(False, description="The shift (y, x) of each frame on the detector: the crystal rolled.")
    flux: Flag = Field(False, description="The flux of each frame, beside the monitor.")


class CrystalFit(FieldSettings):
    """Field and its fit to the counts; the pixels that phase.free withholds validate it."""

    start: str = Field(
        "phase",
        min_length=1,
        description="Initial guess: phase (phase retrieval from a few starts), none (an uninformed guess, which seldom "
        "converges), or a run or volume file with a density in the detector frame, as phase and predict write"
        " it.",
    )
    starts: int = Field(3, ge=1, description="Number of starts of the phase retrieval, with start: phase.")
    fineness: int = Field(
        2,
        ge=1,
        le=4,
        description="Number of samples of the field per voxel along each axis: with 1, intensity that an edge sharper "
        "than a voxel scatters beyond the detector is aliased onto it.",
    )
    steps: int = Field(600, ge=1, description="Largest number of steps of the optimiser; see patience.")
    learning_rate: float = Field(0.02, gt=0, description="Learning rate of the optimiser.")
    tv: float = Field(
        0.0, ge=0, description="Strength of total variation of the field's outputs, which preserves edges."
    )
    refine: CrystalRefine = Field(default_factory=CrystalRefine, description="Parameters that are fitted as well.")
    gate: float | None = Field(
        None, gt=0, description="Likelihood (LLK) of the withheld pixels above which the command exits with 5, or null."
    )


class CrystalSettings(KindSettings):
    """Settings of a crystal's reconstruction and simulation."""

    kind: Literal["crystal"] = Field("crystal", description="Kind of experiment.")
    acquisition: CrystalAcquisition = Field(
        default_factory=CrystalAcquisition,
        description="Location of the measurement in its file, and the part of it to use. The defaults are the names in "
        "unflat's own files.",
    )
    volume: CrystalVolume = Field(default_factory=CrystalVolume, description="Grid of the result.")
    phase: CrystalPhase = Field(
        default_factory=CrystalPhase, description="Phase retrieval: the recipe, the starts, the refinement."
    )
    predict: CrystalPredict = Field(default_factory=CrystalPredict, description="Prediction by a network.")
    network: CrystalNetwork = Field(default_factory=CrystalNetwork, description="Architecture of the network to train.")
    train: CrystalTrain = Field(
        default_factory=CrystalTrain, description="Training of a network on simulated crystals."
    )
    fit: CrystalFit = Field(default_factory=CrystalFit, description="Continuous field and its fit.")
    simulate: CrystalSimulation = Field(
        default_factory=CrystalSimulation, description="Specimen and instrument of 'unflat simulate' and 'unflat demo'."
    )
