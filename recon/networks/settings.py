"""Base classes of the sections ``network`` and ``predict`` of the experiments that have a network."""

from pydantic import Field, field_validator, model_validator

from ..config.base import Flag, Settings


class NetworkSettings(Settings):
    """Network of several levels; each experiment has its own defaults."""

    widths: tuple[int, ...] = Field((64,), description="Channels of each level, the finest first; multiples of 8.")
    blocks: tuple[int, ...] = Field((1,), description="Residual blocks of each level.")

    @field_validator("widths")
    @classmethod
    def _check_widths(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(widths) <= 4 or any(width < 8 or width % 8 for width in widths):
            raise ValueError(f"{list(widths)}: one to four levels, each a multiple of 8")
        return widths

    @field_validator("blocks")
    @classmethod
    def _check_blocks(cls, blocks: tuple[int, ...]) -> tuple[int, ...]:
        if any(number < 0 for number in blocks):
            raise ValueError(f"{list(blocks)}: a number of blocks cannot be negative")
        return blocks

    @model_validator(mode="after")
    def _check_same_length(self) -> "NetworkSettings":
        if len(self.widths) != len(self.blocks):
            raise ValueError(
                f"{len(self.widths)} widths and {len(self.blocks)} blocks: give one of each for every level"
            )
        return self


class PredictSettings(Settings):
    """Prediction by a network."""

    network: str = Field("shipped", description="Network: its file or the run folder of 'unflat train', or shipped.")
    draws: int = Field(4, ge=1, description="Number of samples to draw.")
    refine: Flag = Field(False, description="Refine the samples by the physics.")
