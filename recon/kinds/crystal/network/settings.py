"""The ``network`` section of a crystal's config."""

from pydantic import Field, field_validator, model_validator

from ....networks.settings import PredictSettings
from ....phasing.settings import RecipeStep, ShrinkWrap, StepSettings
from ....settings.base import Settings


class NetworkSettings(Settings):
    """The network that 'unflat train' trains."""

    widths: tuple[int, ...] = Field(
        (64, 128),
        description="Channels of each level, the finest first (half of the density's grid); multiples of 8.",
    )
    blocks: tuple[int, ...] = Field((1, 4), description="Residual blocks of each level.")

    @field_validator("widths")
    @classmethod
    def _in_groups(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(widths) <= 4 or any(width < 8 or width % 8 for width in widths):
            raise ValueError(f"{list(widths)}: one to four levels, each a multiple of 8")
        return widths

    @field_validator("blocks")
    @classmethod
    def _not_negative(cls, blocks: tuple[int, ...]) -> tuple[int, ...]:
        if any(number < 0 for number in blocks):
            raise ValueError(f"{list(blocks)}: a number of blocks cannot be negative")
        return blocks

    @model_validator(mode="after")
    def _one_each(self) -> "NetworkSettings":
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"{len(self.widths)} widths and {len(self.blocks)} blocks: give one of each for a level")
        return self


def _default_recipe() -> tuple[RecipeStep, ...]:
    return (
        RecipeStep(hio=StepSettings(iterations=60, support=ShrinkWrap(every=20, sigma=(1.4, 1.0)))),
        RecipeStep(er=StepSettings(iterations=20, support=ShrinkWrap(every=20, sigma=(1.0, 1.0)), psf=True)),
    )


class CrystalPredict(PredictSettings):
    """How a network answers to a pattern, and how its answer is refined."""

    recipe: tuple[RecipeStep, ...] = Field(
        default_factory=_default_recipe,
        min_length=1,
        description="Steps of projections from the answer on, as in phase.recipe, where it is refined; the refinement "
        "by the likelihood (phase.refine) follows.",
    )
    tried: int = Field(
        2,
        ge=1,
        description="How many of the draws go through the recipe, those first that explain the measurement best.",
    )
    keep: int = Field(
        1, ge=1, description="How many of those are refined and combined, the best by the withheld pixels first."
    )
    starts: int = Field(
        4,
        ge=0,
        description="Random starts of phase that are added where the refined answer explains withheld pixels far worse "
        "than fitted ones; the better result is kept. 0 for none.",
    )
