"""The config of the ``shape`` kind. Its descriptions are the comments of the YAML that ``init`` writes."""

from typing import Literal

from pydantic import Field

from ...settings.base import Settings
from ...settings.kind import KindSettings
from .acquisition_settings import ShapeAcquisition
from .network.settings import ShapeNetwork, ShapePredict, ShapeTrain
from .simulation_settings import ShapeSimulation


class ShapeVolume(Settings):
    """The sampled draws."""

    edge: int = Field(
        64, ge=8, le=512, description="Samples along each axis of the occupancies; models are continuous."
    )


class ShapeSettings(KindSettings):
    """From one picture of a cell and its mask to the shapes that could have made them."""

    kind: Literal["shape"] = Field("shape", description="Kind of experiment.")
    acquisition: ShapeAcquisition = Field(
        default_factory=ShapeAcquisition,
        description="Where pictures and masks stand in their file, and which of them to use.",
    )
    volume: ShapeVolume = Field(default_factory=ShapeVolume, description="The sampled draws.")
    predict: ShapePredict = Field(default_factory=ShapePredict, description="A network's answer.")
    network: ShapeNetwork = Field(default_factory=ShapeNetwork, description="The network that is trained.")
    train: ShapeTrain = Field(
        default_factory=ShapeTrain, description="Training of a network on cells whose shape is known."
    )
    simulate: ShapeSimulation = Field(
        default_factory=ShapeSimulation, description="What 'unflat simulate' and 'unflat demo' make."
    )
