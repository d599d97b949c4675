"""Config section ``simulate`` of a crystal: a phantom and its rocking curve."""

import math
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from ...config.base import Flag, Settings
from ...config.photon_energy import Wavelength
from ...config.units import Angle, Length, parse_with_unit
from ...config.value_types import LengthOrAuto, Pitch, view_indices
from ..simulated_series import SimulatedSeries


def _parse_names(value: Any, *, known: tuple[str, ...]) -> Any:
    """Read ``auto``, or a list of some of the known names."""
    if value == "auto":
        return value
    names = tuple(value) if isinstance(value, list | tuple) else (value,)
    for name in names:
        if name not in known:
            raise ValueError(f"{name!r} is none of {', '.join(known)}")
    return names


def _list_of(*known: str) -> tuple[Any, ...]:
    """Build the pydantic annotations of ``auto`` or a list of known names."""
    listed = {"type": "array", "items": {"enum": list(known)}}
    return (
        PlainValidator(partial(_parse_names, known=known)),
        PlainSerializer(lambda value: list(value) if isinstance(value, tuple) else value, when_used="json"),
        WithJsonSchema({"anyOf": [{"const": "auto"}, listed]}),
    )


Flaws: TypeAlias = Annotated[Literal["auto"] | tuple[str, ...], *_list_of("substrate", "notch", "void", "twin")]
Strains: TypeAlias = Annotated[
    Literal["auto"] | tuple[str, ...],
    *_list_of("polynomial", "waves", "relaxation", "inclusion", "screw", "edge"),
]


class SimulatedDetector(Settings):
    """Detector of a simulated rocking curve."""

    counts: float | None = Field(
        1e7, gt=0, description="Total counts of the rocking curve; null for 1e7 without counting noise."
    )
    background: float = Field(0.0, ge=0, description="Counts per voxel of stray light.")
    psf: tuple[float, float, float] = Field(
        (0.0, 0.0, 0.0), description="Widths (frame, y, x) of the point-spread function, in voxels: partial coherence."
    )
    hot_pixels: int = Field(0, ge=0, description="Number of pixels that count without light, in every frame.")
    aliens: int = Field(0, ge=0, description="Number of other particles that scatter onto the detector.")
    gap: int = Field(0, ge=0, description="Width in pixels of a gap of the detector beside the middle row.")
    missing: float = Field(
        0.0, ge=0, lt=0.8, description="Fraction of the frames that is not measured, at the end of the rocking curve."
    )
    saturation: float | None = Field(None, gt=0, description="Largest count of a pixel, or null.")

    @model_validator(mode="after")
    def _is_a_detector(self) -> "SimulatedDetector":
        if not min(self.psf) >= 0:
            raise ValueError(f"psf {list(self.psf)}: a width is not negative")
        if self.counts is None:
            enabled = [name for name in ("hot_pixels", "aliens", "saturation") if getattr(self, name)]
            if enabled:
                raise ValueError(
                    f"{' and '.join(enabled)}: with counts: null nothing but the crystal's mean counts is simulated; "
                    "give the number of counts, as counts: 1e9"
                )
        return self


class SimulatedRocking(Settings):
    """Frames of a rocking curve that are not at even steps; all zero is an even curve."""

    jitter: float = Field(0.0, ge=0, description="Largest random deviation of a frame's angle, in rocking steps.")
    drift: float = Field(
        0.0, description="Bend of the course of the angles: deviation of the middle frame, in rocking steps."
    )
    reversals: int = Field(0, ge=0, description="Number of steps that go back, by 0.2 to 0.8 of a step forward.")
    lost: int = Field(0, ge=0, description="Number of frames that are lost, at random.")
    repeated: int = Field(0, ge=0, description="Number of frames that are there twice.")
    roll: float = Field(
        0.0,
        ge=0,
        description="Standard deviation of each frame's shift on the detector along y and x, in pixels: the crystal "
        "rolls, and no angle of the file tells it.",
    )
    read_back: Flag = Field(
        True, description="Whether the file gives the true angles. false: it gives even ones, as the motor was told."
    )

    @property
    def is_even(self) -> bool:
        """Whether all frames are at even steps."""
        return not any((self.jitter, self.drift, self.reversals, self.lost, self.repeated, self.roll))


class CrystalSeries(SimulatedSeries):
    """Crystal whose strain grows."""

    growth: float = Field(
        3.0, gt=0, description="Factor by which the displacements of the lattice have grown at the end of the duration."
    )

    @property
    def factor(self) -> float:
        """Factor on the displacements at the time of this acquisition."""
        return 1 + self.share * (self.growth - 1)


class CrystalSimulation(Settings):
    """Phantom and geometry of a simulated rocking curve."""

    shape: tuple[int, int, int] = Field((64, 64, 64), description="Size (frame, y, x) of the rocking curve in voxels.")
    wavelength: Wavelength = Field(0.1378e-9, gt=0, description="Wavelength of the X-rays.")
    detector_distance: Length = Field(1.0, gt=0, description="Distance of the detector from the crystal.")
    pixel_size: Pitch = Field((55e-6, 55e-6), description="Pixel size of the detector: one length, or (y, x).")
    delta: Angle = Field(parse_with_unit("32 deg")[0], description="Rotation of the detector about the vertical axis.")
    gamma: Angle = Field(parse_with_unit("12 deg")[0], description="Elevation of the detector.")
    rocking_step: Angle = Field(
        parse_with_unit("0.006 deg")[0], gt=0, description="Rotation of the crystal between two frames."
    )
    frame: Literal["skewed", "orthogonal"] = Field(
        "skewed", description="Grid of the rocking curve: skewed, as given by these angles, or orthogonal, idealised."
    )
    radius: LengthOrAuto = Field(
        "auto",
        description="Radius of the ball of equal volume. auto: from the oversampling below.",
    )
    oversampling: float = Field(
        2.8,
        gt=1,
        description="Oversampling for radius: auto: size of the array over the width of the crystal, along the "
        "axis where it is smallest.",
    )
    flaws: Flaws = Field(
        "auto",
        description="Flaws of the faceted crystal, any of substrate, notch, void, twin; auto draws them at random.",
    )
    strains: Strains = Field(
        "auto",
        description="Displacements of the lattice, any of polynomial, waves, relaxation, inclusion, screw, edge; auto "
        "draws them at random, [] is a perfect lattice.",
    )
    phase: tuple[float, float] = Field(
        (0.2, 3.0),
        description="Range (rad) of the largest phase of each displacement; that of dislocations is fixed.",
    )
    rocking: SimulatedRocking = Field(
        default_factory=SimulatedRocking, description="Frames that are not at even steps, from motors that are not."
    )
    series: CrystalSeries | None = Field(
        None, description="Acquisition of a series along which the strain grows, or null for a crystal that stays."
    )
    detector: SimulatedDetector = Field(
        default_factory=SimulatedDetector, description="Noise and artifacts of the detector."
    )

    @model_validator(mode="after")
    def _is_a_reflection(self) -> "CrystalSimulation":
        if min(self.shape) < 16 or any(n % 2 for n in self.shape):
            raise ValueError(f"shape {list(self.shape)}: three even numbers of at least 16 are needed")
        if not 0 < self.phase[0] <= self.phase[1]:
            raise ValueError(f"phase {list(self.phase)}: a positive number and one that is no less are needed")
        if abs(self.delta) + abs(self.gamma) < math.radians(1):
            raise ValueError("delta and gamma leave the detector in the direct beam: no reflection is there")
        return self

    @model_validator(mode="after")
    def _is_a_curve(self) -> "CrystalSimulation":
        rocking, frames = self.rocking, self.shape[0]
        if rocking.is_even:
            return self
        if self.frame == "orthogonal":
            raise ValueError("rocking: an orthogonal frame has no angles; only skewed frames may be uneven")
        if 2 * rocking.reversals > frames - 6:
            raise ValueError(f"rocking.reversals {rocking.reversals}: at most {(frames - 6) // 2} of {frames} frames")
        if rocking.lost > frames // 4 or rocking.repeated > frames // 2:
            message = f"rocking.lost {rocking.lost} and rocking.repeated {rocking.repeated}"
            raise ValueError(f"{message}: at most {frames // 4} and {frames // 2} of {frames} frames")
        if rocking.jitter + abs(rocking.drift) > frames / 4 or rocking.roll > min(self.shape[1:]) / 8:
            message = f"rocking.jitter {rocking.jitter:g}, drift {rocking.drift:g} and roll {rocking.roll:g}"
            limits = f"jitter and drift at most {frames / 4:g} steps together, roll {min(self.shape[1:]) / 8:g} pixels"
            raise ValueError(f"{message}: the frames leave the modelled q; {limits}")
        detector = self.detector
        if detector.psf[0] or detector.aliens or detector.missing:
            raise ValueError("rocking: a psf along the frames, aliens and missing frames need an even curve")
        return self

    @model_validator(mode="after")
    def _has_frames(self) -> "CrystalSimulation":
        if self.series:
            view_indices(self.series.views, self.shape[0] - self.rocking.lost + self.rocking.repeated)
        return self
