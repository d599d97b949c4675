"""Config of a cell. Its descriptions become the comments of the YAML that ``unflat init cell`` writes."""

from typing import Literal

from pydantic import Field, field_validator

from ...config.base import Flag, KindSettings, Settings
from ...config.units import Length
from ...config.value_types import Extent, MarginOrAuto, Spacing
from ...optimize.settings import FitSettings
from .config_acquisition import CellAcquisition
from .config_simulation import CellSimulation

DEEPEST = 0.01
"""[m] Largest depth of the box; no objective images deeper."""


class CellVolume(Settings):
    """Box in which the specimen is reconstructed."""

    depth: Length | None = Field(
        None,
        gt=0,
        description="Depth of the box along z, which must hold the specimen. Required, unless the acquisition carries "
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
    """Propagation of light through the specimen."""

    model: Literal["multislice", "ssnp", "linear"] = Field(
        "multislice",
        description="multislice (forward scattering), ssnp (the same, more exact at high aperture, slower) or linear "
        "(weak scattering only).",
    )
    absorption: Flag = Field(False, description="Whether the specimen may absorb: fits the imaginary index as well.")
    sharp_rim: Flag = Field(
        False,
        description="Cut the pupil along the samples of the spectrum, for data simulated on the same lattice, not "
        "for those of a microscope.",
    )
    padding: MarginOrAuto = Field(
        "auto",
        description="Gap between one edge of the wave's lattice and the other, which light must not cross. auto: the "
        "depth times tan θ; 0 lets light re-enter on the other side.",
    )


class Refine(Settings):
    """Parameters of the instrument that are fitted besides the specimen."""

    gain: Flag = Field(True, description="Brightness of each view.")
    sources: Flag = Field(False, description="Direction of the light of each view.")
    defocus: Flag = Field(False, description="Plane of focus, common to all views.")
    zernike: int = Field(
        0, ge=0, description="Number of aberration coefficients of the pupil, from defocus on (Noll's order)."
    )


class CellFit(FitSettings):
    """Field and fit of a cell."""

    refine: Refine = Field(default_factory=Refine, description="Parameters of the instrument that are fitted as well.")


class CellSettings(KindSettings):
    """Config of the reconstruction or simulation of a cell."""

    kind: Literal["cell"] = Field("cell", description="Kind of experiment.")
    acquisition: CellAcquisition = Field(
        default_factory=CellAcquisition,
        description="Where the measurement stands in its file. The names below are those of unflat's own files, which "
        "need no changes.",
    )
    volume: CellVolume = Field(default_factory=CellVolume, description="Box in which the specimen is reconstructed.")
    physics: CellPhysics = Field(default_factory=CellPhysics, description="Propagation of light through the specimen.")
    fit: CellFit = Field(default_factory=CellFit, description="The field and its fit.")
    simulate: CellSimulation = Field(
        default_factory=CellSimulation, description="Specimen and instrument of 'unflat simulate' and 'unflat demo'."
    )
