"""Config of the ``shape`` experiment. Descriptions of the fields are the comments of the YAML that ``init`` writes."""

from typing import Literal

from pydantic import Field, field_validator

from ....physics.phantoms.red_blood_cells.cell import CLASSES
from ...config.base import KindSettings, Settings
from ...config.entries import array_field
from ...config.source import AnySource, LengthSource, NumberSource
from ...config.value_types import LengthOrAuto, Views
from .network.config import ShapeNetwork, ShapePredict, ShapeTrain


class ShapeAcquisition(Settings):
    """Location of the measured arrays, and the common grid that cells are resampled to.

    Folders and archives with image/, mask/ and perhaps obj/ need no names of arrays; HDF5 files do.
    """

    images: NumberSource | None = array_field(
        "/measurement/images",
        "cell y x",
        unit="1",
        meaning="fluorescence of each cell's section at z = 0",
        required=True,
        choice="measurement",
        at_least=0,
        description="Fluorescence (cell, y, x) in an HDF5 file. As for every array of this section: '/path' names a "
        "dataset and '/path@name' an attribute, either with an optional unit, as in '/voxel in um'; null is "
        "none. Folders of image/, mask/ and obj/ need no names.",
    )
    mask: NumberSource | None = array_field(
        "/measurement/mask",
        "cell y x",
        unit="1",
        meaning="share of each pixel that lies in the cell's section at z = 0",
        required=True,
        at_least=0,
        description="Masks (cell, y, x), 0 to 1 or 0 to 255, or numbers that label the cells of each image.",
    )
    voxel_size: LengthSource | None = array_field(
        "/instrument/voxel_size",
        "3",
        unit="m",
        meaning="voxel (z, y, x) in the specimen",
        positive=True,
        description="Voxel size (z, y, x): a path in the file, or lengths such as ['0.17 um', '0.17 um', '0.17 um'], "
        "which take precedence over OME metadata. If unknown, the result is in voxels.",
    )
    name: AnySource | None = array_field(
        "/name",
        "cell",
        unit="1",
        meaning="name of each cell",
        dtype="text",
        description="Names of the cells in an HDF5 file.",
    )
    label: AnySource | None = array_field(
        "/label",
        "cell",
        unit="1",
        meaning="class of each cell; empty where it is not known",
        dtype="text",
        description="Classes of the cells in an HDF5 file. In folders they are part of the file names.",
    )
    cells: Views = Field(
        "all",
        description="Cells to use: all, a slice such as '::2', or a list of indices. Cells of one label image are "
        "counted individually.",
    )
    size: int = Field(
        64,
        ge=16,
        le=512,
        description="Number of pixels along each edge of the grid that cells are resampled to. A file written by "
        "unflat is on its grid already, and is resampled only if a spacing is given.",
    )
    spacing: LengthOrAuto = Field(
        "auto",
        description="Pixel size of that grid. auto: that of the images, enlarged for images of more than 'size' "
        "pixels. A length requires the voxel size.",
    )
    margin: int = Field(
        4, ge=0, description="Number of pixels to keep around a cell that is cut out of an image of many."
    )
    several: Literal["refuse", "cut", "keep"] = Field(
        "refuse",
        description="Treatment of a mask of two cells without labels: refuse it, cut each cell out, or keep them "
        "together as one. Cells whose class is a cluster are kept.",
    )
    colour: Literal["refuse", "mean"] = Field(
        "refuse",
        description="Treatment of RGB images: refuse them, or use the mean of the channels. An image with equal "
        "channels is read as grey.",
    )


class ShapeVolume(Settings):
    """Sampling of the draws."""

    edge: int = Field(
        64, ge=8, le=512, description="Number of samples along each axis of the occupancies; models are continuous."
    )


class ShapeSimulation(Settings):
    """Simulation of random red blood cells."""

    cells: int = Field(12, ge=1, le=10_000, description="Number of cells.")
    classes: tuple[str, ...] = Field(
        CLASSES, min_length=1, description="Their classes, one after the other: " + ", ".join(CLASSES) + "."
    )
    pixels: int = Field(64, ge=16, le=256, description="Number of pixels along each edge of a picture.")

    @field_validator("classes")
    @classmethod
    def _known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in classes if name not in CLASSES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no class of red blood cells; there are {', '.join(CLASSES)}")
        return classes


class ShapeSettings(KindSettings):
    """Config of an experiment that predicts the shapes of cells from single sections and their masks."""

    kind: Literal["shape"] = Field("shape", description="Kind of experiment.")
    acquisition: ShapeAcquisition = Field(
        default_factory=ShapeAcquisition,
        description="Location of pictures and masks in their file, and which of them to use.",
    )
    volume: ShapeVolume = Field(default_factory=ShapeVolume, description="Sampling of the draws.")
    predict: ShapePredict = Field(default_factory=ShapePredict, description="Prediction by a network.")
    network: ShapeNetwork = Field(default_factory=ShapeNetwork, description="Architecture of the network to train.")
    train: ShapeTrain = Field(default_factory=ShapeTrain, description="Training of a network on cells of known shape.")
    simulate: ShapeSimulation = Field(
        default_factory=ShapeSimulation, description="Specimen and instrument of 'unflat simulate' and 'unflat demo'."
    )
