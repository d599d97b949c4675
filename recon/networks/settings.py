"""The ``predict`` section of a config."""

from pydantic import Field

from ..settings.base import Flag, Settings


class PredictSettings(Settings):
    """How a network answers."""

    network: str = Field("shipped", description="File of the network: of a run of 'unflat train', or shipped.")
    draws: int = Field(
        4, ge=1, description="Answers that are drawn; the one that explains the measurement best is kept."
    )
    steps: int = Field(8, ge=1, description="Steps from noise to an answer; each asks the network once.")
    refine: Flag = Field(False, description="Go on from the answer through the physics.")
    adapt: int = Field(
        0,
        ge=0,
        description="Steps that tune the network to this measurement itself, without any truth, before it answers; the "
        "new network is written beside the result. A step is kept only if simulated measurements fare no worse by it.",
    )
    gate: float | None = Field(
        None, gt=0, description="Largest chi_rms of an answer above which the command exits with 5, or null."
    )
