"""The sections ``network``, ``train`` and ``predict`` of a crystal's config."""

from pydantic import Field

from ....networks.settings import NetworkSettings, PredictSettings
from ....optimize.train_settings import SimulatedTrainSettings
from ....phase_retrieval.settings import RecipeStep, ShrinkWrap, StepSettings


class CrystalNetwork(NetworkSettings):
    """The network that 'unflat train' trains."""

    widths: tuple[int, ...] = Field(
        (64, 128),
        description="Channels of each level, the finest first (half the grid of the density); multiples of 8.",
    )
    blocks: tuple[int, ...] = Field((1, 4), description="Residual blocks of each level.")


class CrystalTrain(SimulatedTrainSettings):
    """Training of the network."""

    specimens: int = Field(8000, ge=1, description="Number of simulated specimens; each use of one is augmented anew.")
    trials: int = Field(24, ge=1, description="Number of held-out specimens of a validation.")


def _default_recipe() -> tuple[RecipeStep, ...]:
    return (
        RecipeStep(hio=StepSettings(iterations=60, support=ShrinkWrap(every=20, sigma=(1.4, 1.0)), ceiling=1.2)),
        RecipeStep(er=StepSettings(iterations=20, support=ShrinkWrap(every=20, sigma=(1.0, 1.0)), psf=True)),
    )


class CrystalPredict(PredictSettings):
    """Prediction by the network, and refinement of its draws."""

    draws: int = Field(
        4,
        ge=1,
        description="Number of samples to draw; the one that explains the measurement best is the result, and the "
        "others give its uncertainty. With refine, the best of them are refined.",
    )
    steps: int = Field(8, ge=1, description="Steps from noise to a density; each applies the network once.")
    recipe: tuple[RecipeStep, ...] = Field(
        default_factory=_default_recipe,
        min_length=1,
        description="Steps of projections that refine a draw, as in phase.recipe; the refinement "
        "by the likelihood (phase.refine) follows.",
    )
    adapt: int = Field(
        0,
        ge=0,
        description="Steps that tune the network to this measurement itself, without any truth, before it draws; the "
        "new network is written beside the result. A step is kept only if simulated measurements fare no worse by it.",
    )
    gate: float | None = Field(
        None, gt=0, description="Largest chi_rms of the result above which the command exits with 5, or null."
    )
    tried: int = Field(
        2,
        ge=1,
        description="Number of samples that go through the recipe: those that explain the measurement best.",
    )
    keep: int = Field(
        1, ge=1, description="Number of those that are refined and combined: the best by withheld pixels."
    )
    starts: int = Field(
        4,
        ge=0,
        description="Random starts of phase that are added where the refined draw explains withheld pixels far worse "
        "than fitted ones; the better result is kept. 0 for none.",
    )
