"""The ``simulate`` section of a shape's config."""

from pydantic import Field, field_validator

from ....physics.shapes.cell import CLASSES
from ...settings.base import Settings


class ShapeSimulation(Settings):
    """Red blood cells that are drawn at random."""

    cells: int = Field(12, ge=1, le=10_000, description="Number of cells.")
    classes: tuple[str, ...] = Field(
        CLASSES, min_length=1, description="Their classes, one after the other: " + ", ".join(CLASSES) + "."
    )
    pixels: int = Field(64, ge=16, le=256, description="Pixels along each edge of a picture.")

    @field_validator("classes")
    @classmethod
    def _known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in classes if name not in CLASSES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no class of red blood cells; there are {', '.join(CLASSES)}")
        return classes
