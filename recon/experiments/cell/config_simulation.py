"""The ``simulate:`` section of a cell's config: a phantom, and the microscope that images it."""

import math
from typing import Literal

from pydantic import Field, model_validator

from ...config.base import Flag, Settings
from ...config.photon_energy import Wavelength
from ...config.units import Angle, Length
from ...config.value_types import LengthOrAuto, Pitch, view_indices
from ..simulated_series import SimulatedSeries

Sort = Literal["cell", "beads", "cluster", "filaments", "bacteria", "diatom", "tissue"]
"""Sorts of simulated specimens."""
ELLIPSOIDS = ("cell", "beads", "cluster")
"""Sorts whose bodies are ellipsoids, which may absorb and swell."""


class SimulatedLight(Settings):
    """Directions of the simulated light, one for each view."""

    pattern: Literal["ring", "spiral", "grid"] = Field(
        "spiral", description="Arrangement of the directions in the aperture: ring, spiral or grid."
    )
    count: int = Field(24, ge=1, description="Number of views.")
    na: float = Field(
        0.58,
        gt=0,
        description="Largest numerical aperture of the illumination. Directions beyond that of the objective give dark "
        "fields.",
    )
    sources: int = Field(
        1,
        ge=1,
        description="Number of simultaneous directions, chosen at random for each view; more than 1 is a pattern.",
    )


class SimulatedTurn(Settings):
    """Specimen that turns under fixed light: every view is taken at each of its angles."""

    axis: Literal["z", "y", "x"] = Field("y", description="Rotation axis of the specimen.")
    count: int = Field(24, ge=1, description="Number of angles.")
    range: Angle = Field(2 * math.pi, gt=0, description="Angle from the first view to one step beyond the last.")


class CellSeries(SimulatedSeries):
    """Specimen that moves and swells."""

    drift: Length = Field(1.2e-6, ge=0, description="Way that the specimen drifts in all, in a direction of the seed.")
    swelling: float = Field(
        0.12,
        gt=-0.5,
        description="Growth of its radius in all, at the same dry mass: 0.1 makes it a tenth larger. Cells, beads and "
        "clusters swell.",
    )
    turn: Angle = Field(math.radians(10), description="Angle that it turns about z in all.")


class CellSimulation(Settings):
    """Specimen, microscope, light and camera of a simulation."""

    specimen: Sort = Field(
        "cell",
        description="Phantom: cell (with nucleus and organelles), beads, cluster (of cells), filaments, bacteria "
        "(rods, chains or spirals), diatom (a ribbed shell of silica), or tissue (packed cells, fibres and a sheet).",
    )
    wavelength: Wavelength = Field(532e-9, gt=0, description="Vacuum wavelength.")
    numerical_aperture: float = Field(0.65, gt=0, description="Numerical aperture of the objective.")
    medium_index: float = Field(1.333, ge=1, description="Refractive index of the medium around the specimen.")
    pixel_size: Pitch = Field((0.2e-6, 0.2e-6), description="Pixel size in the specimen: one length, or (y, x).")
    shape: tuple[int, int] = Field((96, 96), description="Size (y, x) of an image in pixels.")
    illumination: SimulatedLight = Field(default_factory=SimulatedLight, description="Illumination.")
    defocus: tuple[Length, ...] = Field(
        (0.0,), min_length=1, description="Positions of the focal plane along +z: every view is taken at each of them."
    )
    turn: SimulatedTurn | None = Field(None, description="Rotating specimen, or null for one at rest.")
    series: CellSeries | None = Field(
        None, description="Acquisition of a series along which the specimen changes, or null for one that does not."
    )
    depth: Length = Field(9e-6, gt=0, description="Depth of the simulated volume along z.")
    radius: LengthOrAuto = Field(
        "auto",
        description="Radius of the cell or diatom, of each cell of the cluster or tissue, or of the largest bead, "
        "filament or bacterium; auto: as the volume permits.",
    )
    absorption: float = Field(
        0.0, ge=0, description="Imaginary refractive index of the cell's nucleus, or of the beads; 0.001 is strong."
    )
    contrast: float = Field(
        1.0, gt=0, description="Factor on the specimen's refractive index contrast: 0.1 scatters weakly, 2 strongly."
    )
    oversampling: int = Field(
        2,
        ge=1,
        description="Number of voxels of the simulation along the side of a pixel: 2 simulates at half the pixel size.",
    )
    model: Literal["ssnp", "multislice"] = Field(
        "ssnp", description="Forward model of the simulation, preferably another than that of the fit."
    )
    photons: float | None = Field(
        2000.0, gt=0, description="Photons per pixel without specimen; null for no counting noise."
    )
    dark_field_exposure: float = Field(
        1.0,
        gt=0,
        description="Exposure of dark fields, relative to that of bright fields: they are dim, and often exposed "
        "longer. It is written as the acquisition's exposure.",
    )
    read_noise: float = Field(2.0, ge=0, description="Standard deviation of the camera's noise, in counts.")
    background: float = Field(0.0, ge=0, description="Stray light per pixel, in counts.")
    empty_view: Flag = Field(False, description="Whether to record images without the specimen, as the background.")

    @model_validator(mode="after")
    def _microscope_can_exist(self) -> "CellSimulation":
        if self.numerical_aperture >= self.medium_index:
            raise ValueError(
                f"numerical_aperture {self.numerical_aperture:g} is not below the medium_index {self.medium_index:g}"
            )
        if self.illumination.na >= self.medium_index:
            raise ValueError(
                f"illumination.na {self.illumination.na:g} is not below the medium_index {self.medium_index:g}: such "
                "light does not travel in the medium"
            )
        if self.illumination.sources > self.illumination.count:
            raise ValueError(
                f"illumination.sources {self.illumination.sources} exceeds its count {self.illumination.count}"
            )
        if self.absorption and self.specimen not in ELLIPSOIDS:
            raise ValueError(
                f"absorption {self.absorption:g}: no simulated {self.specimen} absorb; take cell, beads or cluster"
            )
        if self.series and self.series.swelling and self.specimen not in ELLIPSOIDS:
            raise ValueError(
                f"series.swelling {self.series.swelling:g}: no simulated {self.specimen} swell; set it to 0, or take "
                "cell, beads or cluster"
            )
        if self.series and self.turn:
            raise ValueError("series and turn: a specimen that turns in its views has no series; leave one of them out")
        if self.series:
            view_indices(self.series.views, self.illumination.count * len(self.defocus))
        if min(self.shape) < 8:
            raise ValueError(f"shape {list(self.shape)} is smaller than 8 pixels")
        return self
