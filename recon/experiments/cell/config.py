"""The config of the ``cell`` kind. Its descriptions are the comments of the YAML that ``unflat init cell`` writes."""

from typing import Literal

from pydantic import Field, field_validator

from ...config.base import Flag, KindSettings, Settings
from ...config.units import Length
from ...config.value_types import Extent, MarginOrAuto, Spacing
from ...optimize.settings import FitSettings
from .config_acquisition import CellAcquisition
from .config_simulation import CellSimulation

DEEPEST = 0.01
"""[m] No objective looks deeper."""


class CellVolume(Settings):
    """The box in which the specimen is sought."""

    depth: Length | None = Field(
        None,
        gt=0,
        description="Depth of the box along z: what the specimen takes. To be given, unless the acquisition carries "
        "its truth.",
        examples=["9 um"],
    )
    spacing: Spacing = Field(
        "auto",
        description="Distance between samples: a length, or (z, y, x). auto: the pixel laterally, and axially a rule "
        "of wavelength and aperture.",
    )
    size: Extent = Field("auto", description="Extent of the box along (y, x). auto: the images' own.")
    centre_z: Length = Field(0.0, description="Middle of the box along z; 0 is the focal plane.")

    @field_validator("depth")
    @classmethod
    def _is_small(cls, depth: float | None) -> float | None:
        if depth is not None and depth > DEEPEST:
            raise ValueError(f"{depth:g} m is too deep for a cell; a plain number is in metres: write '{depth:g} um'")
        return depth


class CellPhysics(Settings):
    """How light goes through the specimen."""

    model: Literal["multislice", "ssnp", "linear"] = Field(
        "multislice",
        description="multislice (forward scattering), ssnp (the same, more exact at high aperture, slower) or linear "
        "(weak scattering only).",
    )
    absorption: Flag = Field(False, description="Whether the specimen may absorb: fits the imaginary index too.")
    sharp_rim: Flag = Field(
        False,
        description="Cut the pupil along the samples of the spectrum, as data have it that were simulated on the same "
        "lattice; a microscope's are not.",
    )
    padding: MarginOrAuto = Field(
        "auto",
        description="Gap between one edge of the wave's lattice and the other, which light must not cross. auto: the "
        "depth times tan θ; 0 lets light come back on the other side.",
    )


class Refine(Settings):
    """What else is fitted, where the instrument is not known exactly."""

    gain: Flag = Field(True, description="Brightness of each view.")
    sources: Flag = Field(False, description="Direction of the light of each view.")
    defocus: Flag = Field(False, description="Plane of focus, common to all views.")
    zernike: int = Field(
        0, ge=0, description="Number of aberration coefficients of the pupil, from defocus on (Noll's order)."
    )


class CellFit(FitSettings):
    """The field and its fit."""

    refine: Refine = Field(default_factory=Refine, description="What else is fitted.")


class CellSettings(KindSettings):
    """Everything that a cell's reconstruction or simulation needs to know."""

    kind: Literal["cell"] = Field("cell", description="Kind of experiment.")
    acquisition: CellAcquisition = Field(
        default_factory=CellAcquisition,
        description="Where the measurement stands in its file. The names below are those of unflat's own files, which "
        "need no changes.",
    )
    volume: CellVolume = Field(default_factory=CellVolume, description="The box in which the specimen is sought.")
    physics: CellPhysics = Field(default_factory=CellPhysics, description="How light goes through the specimen.")
    fit: CellFit = Field(default_factory=CellFit, description="The field and its fit.")
    simulate: CellSimulation = Field(
        default_factory=CellSimulation, description="What 'unflat simulate' and 'unflat demo' make."
    )
