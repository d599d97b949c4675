"""Sections of a cell's config that describe its light, and its turn: LEDs, a ring, a condenser."""

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from ...config.base import Flag, Settings
from ...config.entries import array_field
from ...config.source import AngleSource, AnySource, LengthSource, Source
from ...config.units import Angle

Axis: TypeAlias = Literal["y", "-y", "x", "-x"]


class LedGrid(Settings):
    """Light from one LED of a flat array in each view: directions follow from the LED's row and column."""

    row_col: AnySource = array_field(
        "/led_row_col",
        "view 2",
        unit="1",
        meaning="LED of each view",
        required=True,
        description="Row and column of each view's LED: an array (view, 2).",
    )
    positions: LengthSource | None = Field(
        None,
        description="Instead of row_col, pitch and centre, the position of each view's LED along row_axis and "
        "column_axis, from the optical axis: an array (view, 2).",
        examples=["/led_positions in mm"],
    )
    size: tuple[int, int] | None = Field(
        None,
        description="Number of rows and columns of the array, to refuse LEDs that are not on it.",
        examples=[[32, 32]],
    )
    pitch: LengthSource = Field(
        Source.parse("4 mm", "length"),
        description="Distance between neighbouring LEDs, or its place in a file.",
        examples=["4 mm"],
    )
    height: LengthSource = Field(
        Source.parse("79 mm", "length"),
        description="Distance of the array from the specimen, or its place in a file.",
        examples=["79 mm"],
    )
    centre: tuple[float, float] = Field(
        (0.0, 0.0), description="Row and column above the optical axis.", examples=[[17, 17]]
    )
    row_axis: Axis = Field(
        "y",
        description="Direction in the image in which the illumination's numerical aperture changes with "
        "increasing row: y, -y, x or -x.",
    )
    column_axis: Axis = Field(
        "x",
        description="Direction in the image in which the illumination's numerical aperture changes with increasing "
        "column: x, -x, y or -y.",
    )

    @model_validator(mode="after")
    def _two_directions(self) -> "LedGrid":
        for name in ("pitch", "height"):
            source: Source = getattr(self, name)
            if source.is_literal and not (source.value.ndim == 0 and source.value > 0):
                raise ValueError(f"{name} {source} is no distance; expected a length above 0, as '4 mm', or a path")
        if self.row_axis[-1] == self.column_axis[-1]:
            raise ValueError(f"row_axis {self.row_axis} and column_axis {self.column_axis} lie along one direction")
        return self


class LightCorrection(Settings):
    """Correction of the described directions, however they are described: axes, then scale and turn, then shift."""

    axes: tuple[Axis, Axis] = Field(
        ("y", "x"),
        description="Directions in the image along which the described n·sin θ along y, and along x, lie: [y, x] as "
        "described, [-y, x] mirrored, [x, y] transposed, [-y, -x] turned by 180 deg.",
        examples=[["-y", "x"]],
    )
    turn: Angle = Field(0.0, description="Turn of all directions about the optical axis, from +x towards +y.")
    scale: float = Field(1.0, gt=0, description="Factor on n·sin θ of all directions.")
    shift: tuple[float, float] = Field((0.0, 0.0), description="n·sin θ along (y, x) that is added to all directions.")

    @model_validator(mode="after")
    def _two_directions(self) -> "LightCorrection":
        if self.axes[0][-1] == self.axes[1][-1]:
            raise ValueError(f"axes {self.axes[0]} and {self.axes[1]} lie along one direction")
        return self


class Ring(Settings):
    """Light from evenly spaced directions on a cone."""

    na: float = Field(gt=0, description="Numerical aperture of the ring, sin θ in air.", examples=[0.65])
    count: int = Field(gt=0, description="Number of directions on the whole ring.", examples=[8])
    start: Angle = Field(0.0, description="Angle of the first view, from +x towards +y.")
    clockwise: Flag = Field(False, description="Whether the views go in the opposite direction: from +x towards -y.")


class Condenser(Settings):
    """Light of a condenser's whole aperture, or of half of it, in every view."""

    na: float = Field(gt=0, description="Numerical aperture of the condenser, n sin θ.", examples=[0.3])
    shape: Literal["disc", "half", "annulus"] = Field(
        "disc",
        description="Part of the aperture that shines: the disc (bright field), half of it (differential phase "
        "contrast), or a ring from inner_na on.",
    )
    inner_na: float = Field(
        0.0, ge=0, description="Numerical aperture of the dark middle of an annulus, or of the halves of one."
    )
    angles: AngleSource | None = Field(
        None,
        description="Direction of the half that shines, for each view: at 0 deg n sin θ of the light is along +y (down "
        "in the image), at 90 deg along -x, at 180 deg along -y, at 270 deg along +x. By default that of four views: "
        "0, 180, 90 and 270 deg, top, bottom, left and right in the programs of Tian and Waller.",
        examples=[["0 deg", "180 deg", "90 deg", "270 deg"]],
    )
    reverse: Flag = Field(
        False, description="Whether the opposite halves shine: where cells come out below the index of the medium."
    )
    count: int | Literal["auto"] = Field(
        "auto",
        description="Number of points of light that stand for the whole aperture, of which a fit computes all of each "
        "view; auto takes 32 to 144 by apertures and defocus.",
        examples=[64],
    )

    @model_validator(mode="after")
    def _aperture_shines(self) -> "Condenser":
        if self.inner_na >= self.na:
            raise ValueError(f"inner_na {self.inner_na:g} is not below na {self.na:g}: no light is left")
        if self.shape == "annulus" and not self.inner_na:
            raise ValueError("an annulus has a dark middle; give inner_na, or take shape: disc")
        if self.shape == "disc" and self.inner_na:
            raise ValueError(f"a disc has no dark middle, and inner_na is {self.inner_na:g}; take shape: annulus")
        if self.angles is not None and self.shape != "half":
            raise ValueError(f"angles are those of halves; take shape: half instead of {self.shape}")
        if self.count != "auto" and self.count < 4:
            raise ValueError(f"count {self.count} is too small: 4 points at least, 36 or more for good images")
        return self


class Turn(Settings):
    """Specimen that turns under fixed light."""

    axis: Literal["z", "y", "x"] = Field("y", description="Rotation axis of the specimen.")
    angles: AngleSource = array_field(
        "/angle",
        "view",
        unit="rad",
        meaning="angle of each view",
        required=True,
        description="Angle of each view: an array (view,).",
    )
    reverse: Flag = Field(
        False,
        description="Whether to negate the angles. An increasing angle rotates +z to +x (axis y), +y to +z (axis "
        "x), +x to +y (axis z).",
    )
