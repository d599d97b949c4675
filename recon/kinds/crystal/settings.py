"""The config of the ``crystal`` kind. Its descriptions are the comments of the YAML that ``init`` writes."""

from typing import Literal

from pydantic import Field

from ...phasing.settings import PhaseSettings
from ...settings.base import Settings
from ...settings.fields import LengthOrAuto
from ...settings.kind import KindSettings
from ...training.settings import TrainSettings
from .acquisition_settings import CrystalAcquisition
from .network.settings import CrystalPredict, NetworkSettings
from .simulation_settings import CrystalSimulation


class CrystalVolume(Settings):
    """The lattice of the result."""

    spacing: LengthOrAuto = Field(
        "auto",
        description="Distance between the samples of the orthogonal volume. auto: that of the cube with the volume of "
        "the measured grid's skewed voxel.",
    )


class CrystalSettings(KindSettings):
    """Everything that a crystal's reconstruction or simulation needs to know."""

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
    network: NetworkSettings = Field(default_factory=NetworkSettings, description="The network that is trained.")
    train: TrainSettings = Field(
        default_factory=TrainSettings, description="Training of a network on simulated crystals."
    )
    simulate: CrystalSimulation = Field(
        default_factory=CrystalSimulation, description="What 'unflat simulate' and 'unflat demo' make."
    )
