"""Config of a cell. Its descriptions become the comments of the YAML that ``unflat init cell`` writes."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ...config.base import Flag, KindSettings, Settings
from ...config.units import Length
from ...config.value_types import Extent, LengthOrAuto, MarginOrAuto, Spacing
from ...networks.settings import PredictSettings
from ...optimize.settings import FitSettings
from .config_acquisition import CellAcquisition
from .config_simulation import CellSimulation
from .network.config import CellNetwork, CellTrain

LARGEST_DEPTH = 0.01
"""[m] Largest depth of the box; no objective images deeper."""


class CellVolume(Settings):
    """Box in which the specimen is reconstructed."""

    depth: Length | None = Field(
        None,
        gt=0,
        description="Depth of the box along z, which must contain the specimen. Required unless the acquisition "
        "contains its truth.",
        examples=["9 um"],
    )
    spacing: Spacing = Field(
        "auto",
        description="Distance between samples: a length, or (z, y, x). auto: the pixel size laterally; axially from "
        "wavelength and aperture.",
    )
    size: Extent = Field("auto", description="Extent of the box along (y, x). auto: that of the images.")
    centre_z: Length = Field(0.0, description="Middle of the box along z; 0 is the focal plane.")

    @field_validator("depth")
    @classmethod
    def _is_small(cls, depth: float | None) -> float | None:
        if depth is not None and depth > LARGEST_DEPTH:
            raise ValueError(f"{depth:g} m is too deep for a cell; a plain number is in metres: write '{depth:g} um'")
        return depth


class CellPhysics(Settings):
    """Propagation of light through the specimen."""

    model: Literal["multislice", "ssnp", "linear"] = Field(
        "multislice",
        description="Forward model: multislice (forward scattering), ssnp (forward scattering, more accurate at high "
        "aperture, slower) or linear (weak scattering only).",
    )
    absorption: Flag | Literal["auto"] = Field(
        "auto",
        description="Whether the specimen absorbs: the imaginary index is fitted as well. auto: if linear theory "
        "suggests so, and the beginning of a fit with absorption predicts the withheld views better than that of one "
        "without; never for complex fields and turning specimens, nor in fits of fewer than 50 steps.",
    )
    sharp_rim: Flag = Field(
        False,
        description="Whether the edge of the pupil is sharp rather than antialiased: for data simulated on the "
        "same grid, not for those of a microscope.",
    )
    padding: MarginOrAuto = Field(
        "auto",
        description="Lateral padding of the wave's grid, against light that leaves on one side and re-enters on the "
        "other. auto: the depth times tan θ, in small fields more, so that the rim of the pupil is sampled finely; "
        "0: no padding.",
    )


class Refine(Settings):
    """Parameters of the instrument that are fitted besides the specimen."""

    gain: Flag = Field(True, description="Brightness of each view.")
    sources: Flag | Literal["rigid"] = Field(
        False,
        description="Direction of the illumination: of each view by itself (true), or rigid: a turn, a shift and a "
        "scale of all directions together, as of a displaced array.",
    )
    defocus: Flag = Field(False, description="Position of the focal plane, common to all views.")
    zernike: int = Field(
        0,
        ge=0,
        description="Number of Zernike coefficients of the pupil's aberrations, from defocus on (Noll's order).",
    )


TileCount = Annotated[int, Field(ge=1)]


class CellFit(FitSettings):
    """Field and fit of a cell."""

    tiles: tuple[TileCount, TileCount] | Literal["auto", "none"] = Field(
        "auto",
        description="Number of overlapping tiles (y, x) of the field of view that are fitted one after the other and "
        "blended into one model. auto: none where the fit of the whole fits into the memory, else as few as fit.",
        examples=["[2, 2]"],
    )
    tile_overlap: LengthOrAuto = Field(
        "auto",
        description="Overlap of neighbouring tiles. auto: the distance to which light spreads sideways in the box, "
        "from both sides, and a ramp of 2 λ/NA.",
    )
    refine: Refine = Field(default_factory=Refine, description="Parameters of the instrument that are fitted as well.")
    prior: str = Field(
        "none",
        description="Network that says what to expect at frequencies that the light did not see: shipped, the file of "
        "a network, the run folder of 'unflat train', or none. Views that are hidden from a trial, and "
        "withheld ones, set its weight; where it does not predict them better than the fit alone, it is not used, and "
        "the run says so.",
        examples=["shipped"],
    )


class CellPredict(PredictSettings):
    """Prediction by a network."""

    start: Literal["fit", "linear"] = Field(
        "fit",
        description="Input of the network: a fit of the first quarter of fit.steps, at least 50, or at once the linear "
        "answer, which tells far less.",
    )
    test: Flag = Field(
        True,
        description="Whether views that are hidden from a second begun fit tell how far its completion is trusted: the "
        "answer is then the begun fit with that share of the completion. It doubles the time; false takes the "
        "completion as it is.",
    )
    draws: int = Field(8, ge=2, description="Number of samples to draw; their spread is the uncertainty.")
    refine: Flag = Field(
        False, description="Whether a fit (section fit) goes on from the answer through the physics of the images."
    )
    gate: float | None = Field(
        None, gt=0, description="Residual of the withheld views above which the command exits with 5, or null."
    )


class CellSettings(KindSettings):
    """Config of the reconstruction or simulation of a cell."""

    kind: Literal["cell"] = Field("cell", description="Kind of experiment.")
    acquisition: CellAcquisition = Field(
        default_factory=CellAcquisition,
        description="Location of the measurement in its file. The defaults are the names in unflat's own files.",
    )
    volume: CellVolume = Field(default_factory=CellVolume, description="Box in which the specimen is reconstructed.")
    physics: CellPhysics = Field(default_factory=CellPhysics, description="Propagation of light through the specimen.")
    fit: CellFit = Field(default_factory=CellFit, description="Field and its fit.")
    network: CellNetwork = Field(default_factory=CellNetwork, description="Architecture of the network to train.")
    train: CellTrain = Field(default_factory=CellTrain, description="Training of a network on simulated specimens.")
    predict: CellPredict = Field(default_factory=CellPredict, description="Prediction by 'unflat predict'.")
    simulate: CellSimulation = Field(
        default_factory=CellSimulation, description="Specimen and instrument of 'unflat simulate' and 'unflat demo'."
    )
