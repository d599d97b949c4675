"""Config of the ``shape`` experiment. Descriptions of the fields are the comments of the YAML that ``init`` writes."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ....physics.phantoms.red_blood_cells.cell import CLASSES
from ...config.base import KindSettings, Settings
from ...config.entries import array_field
from ...config.source import AngleSource, AnySource, LengthSource, NumberSource
from ...config.units import Angle, Length
from ...config.value_types import Label, LengthOrAuto, Views
from ...io.image_axes import ImageChoice
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
        "dataset and '/path@name' an attribute, either with an optional unit, as in '/voxel in um'; "
        "'other.h5:/path' and 'masks.tif' lie in other files; null is none. Folders of image/, mask/ and obj/ need no "
        "names.",
    )
    mask: NumberSource | None = array_field(
        "/measurement/mask",
        "cell y x",
        unit="1",
        meaning="share of each pixel that lies in the cell's section at z = 0",
        required=True,
        at_least=0,
        dtype="exact",
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
    binning: NumberSource | None = array_field(
        "/instrument/binning",
        "",
        unit="1",
        meaning="pixels of the original image along each edge of a pixel",
        positive=True,
        description="Pixels of the original image along each edge of a pixel, in a file that unflat wrote: the unit "
        "of results whose voxel size is unknown.",
    )
    image_file: AnySource | None = array_field(
        "/image_file",
        "cell",
        unit="1",
        meaning="file of each cell's image",
        dtype="text",
        description="File that each cell was taken from.",
    )
    cell_label: NumberSource | None = array_field(
        "/cell_label",
        "cell",
        unit="1",
        meaning="number of each cell in its label image; 0 for a mask without labels",
        dtype="integer",
        description="Number of each cell in its label image.",
    )
    bounding_box: NumberSource | None = array_field(
        "/bounding_box",
        "cell 4",
        unit="1",
        meaning="first row, first column, end row, end column of each cell in its image",
        dtype="integer",
        description="First row, first column, end row and end column of each cell in its image.",
    )
    origin: NumberSource | None = array_field(
        "/origin",
        "cell 2",
        unit="1",
        meaning="row and column of each cell's image at the centre of its grid",
        description="Row and column of each cell's image at the centre of its grid.",
    )
    outline_at_border: NumberSource | None = array_field(
        "/outline_at_border",
        "cell",
        unit="1",
        meaning="share of each cell's outline that lies on the border of the image that it was cut out of",
        at_least=0,
        description="Share of each cell's outline on the border of its image.",
    )
    section_mask: NumberSource | None = array_field(
        "/measurement/section_mask",
        "cell section y x",
        unit="1",
        meaning="masks of further sections of each cell, of the pixels of the first; NaN where a cell lacks one",
        at_least=0,
        has_gaps=True,
        description="Masks (cell, section, y, x) of further sections, on pixels as large as those of the first. NaN in "
        "all pixels of one: the cell lacks it.",
    )
    section_images: NumberSource | None = array_field(
        "/measurement/section_images",
        "cell section y x",
        unit="1",
        meaning="fluorescence of further sections of each cell; NaN where a cell lacks one",
        at_least=0,
        has_gaps=True,
        description="Fluorescence (cell, section, y, x) of further sections. A section has a mask, a picture, or both.",
    )
    section_height: LengthSource | None = array_field(
        "/instrument/section_height",
        "cell section",
        "section",
        unit="m",
        meaning="height of each further section above the first, along z of the laboratory",
        description="Heights (section) or (cell, section) of further sections above the first, such as ['2 um', "
        "'-2 um']: along z of the laboratory, after the tilt. null: 0, with a warning.",
    )
    section_tilt: AngleSource | None = array_field(
        "/instrument/section_tilt",
        "cell section 2",
        "section 2",
        unit="rad",
        meaning="tilt of the specimen in each further section, about y (x towards z) and then about x (z towards y)",
        description="Tilts (section, 2) or (cell, section, 2) of the specimen about y and then about x, such as "
        "[['90 deg', '0 deg']] for the plane of z and y; about the central pixel n // 2. null: 0.",
    )
    section_rotation: NumberSource | None = array_field(
        "/instrument/section_rotation",
        "cell section 3 3",
        "section 3 3",
        unit="1",
        meaning="rotation from the specimen's (z, y, x) to the laboratory's in each further section",
        description="Rotations (section, 3, 3) or (cell, section, 3, 3) from the specimen's (z, y, x) to the "
        "laboratory's, instead of tilts.",
    )
    outside: Literal["auto"] | float = Field(
        "auto",
        description="Number outside of the cells in a mask: 255 or 1 for an inverted mask, the number of the "
        "background in a segmentation that has no 0. auto: 0; a mask that seems inverted is refused.",
    )
    mask_values: Literal["auto", "share", "labels", "any"] = Field(
        "auto",
        description="Meaning of the numbers in a mask. share: the share of a pixel within the one cell, which ends at "
        "half of the largest; labels: each number is a cell; any: all but the outside is one cell. auto: labels or "
        "share, by their geometry.",
    )
    dark: float = Field(
        0.0,
        ge=0,
        description="Brightness of a pixel without light, as the files have it: the offset of the camera, which is "
        "subtracted from the pictures of files that unflat did not write.",
    )
    smallest: int = Field(
        8,
        ge=1,
        description="Number of pixels below which a label, or a part of a cell that touches no other, is left out.",
    )
    channel: Label | None = Field(
        None,
        description="Channel of the images, by number or name; of colour images red, green or blue.",
        examples=[0],
    )
    plane: Label | None = Field(
        None,
        description="Plane that the masks show, of images that are stacks along z: its number, or middle.",
        examples=["middle"],
    )
    position: Label | None = Field(
        None, description="Position of the stage in image files of several, by number or name.", examples=[0]
    )
    time: Label | None = Field(None, description="Time point of image files of several, by number.", examples=[0])
    cells: Views = Field(
        "all",
        description="Cells to use: all, a slice such as '::2', or a list of indices. Cells of one label image are "
        "counted individually.",
    )
    size: int = Field(
        64,
        ge=16,
        le=512,
        description="Number of pixels along each edge of the grid of each cell. Cells are cut out of larger images. A "
        "file written by unflat is on its grid already, and resampled only if a spacing is given, or for a prediction.",
    )
    spacing: LengthOrAuto = Field(
        "auto",
        description="Pixel size of that grid. auto: that of the network's training in a prediction (predict.resample), "
        "else that of the images, enlarged for all cells if one does not fit. A length requires the voxel size.",
    )
    margin: int = Field(
        4,
        ge=0,
        description="Least number of pixels around a cell that is cut out of its image, if the pixels must grow for it "
        "to fit the grid. The picture around a cell fills the grid.",
    )
    several: Literal["refuse", "cut", "keep"] = Field(
        "refuse",
        description="Treatment of a mask of two cells without labels: refuse it, cut each cell out, or keep them "
        "together as one. Cells whose class is a cluster are kept. The parts of a label are kept together, or cut.",
    )
    colour: Literal["refuse", "mean"] = Field(
        "refuse",
        description="Treatment of RGB images of which no channel is chosen: refuse them, or use the mean of the "
        "channels. An image with equal channels is read as grey.",
    )

    @property
    def choice(self) -> ImageChoice:
        """Part of an image file to use."""
        return ImageChoice(self.position, self.channel, self.time, self.plane)


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
    section_height: tuple[Length, ...] = Field(
        (),
        description="Heights of further sections of each cell above the first, such as ['2 um', '0 um'].",
    )
    section_tilt: tuple[tuple[Angle, Angle], ...] = Field(
        (),
        description="Tilts of the specimen in them about y and then about x, such as [['0 deg', '0 deg'], ['90 deg', "
        "'0 deg']]; as many as heights. Empty: none is tilted.",
    )

    @field_validator("classes")
    @classmethod
    def _known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in classes if name not in CLASSES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no class of red blood cells; there are {', '.join(CLASSES)}")
        return classes

    @model_validator(mode="after")
    def _paired(self) -> "ShapeSimulation":
        if self.section_tilt and len(self.section_tilt) != len(self.section_height):
            tilts, heights = len(self.section_tilt), len(self.section_height)
            raise ValueError(f"{tilts} tilts of sections and {heights} heights: give one of each for every section")
        return self


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
