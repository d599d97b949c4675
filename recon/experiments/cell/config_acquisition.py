"""The ``acquisition:`` section of a cell's config: sources of the arrays, selection, and illumination."""

from typing import Literal

from pydantic import Field, model_validator

from ...config.base import Flag, Settings
from ...config.entries import array_field
from ...config.source import AnySource, LengthSource, NumberSource, WavelengthSource
from ...config.units import Length
from ...config.value_types import Label, Views
from ...io.image_axes import ImageChoice
from .config_field import ComplexSource
from .config_illumination import Condenser, LedGrid, LightCorrection, Ring, Turn


class CellAcquisition(Settings):
    """Sources of the measurement's arrays and numbers, and the part of them to use."""

    images: NumberSource | None = array_field(
        "/measurement/images",
        "view y x",
        unit="counts",
        meaning="intensity images",
        choice="measurement",
        description="Intensity images (view, y, x). As for every array of this section: '/path' names a dataset and "
        "'/path@name' an attribute, either with an optional unit, as in '/@wavelength_um in um'; 'other.h5:/path', "
        "'mask.npy' and 'leds.csv:row' lie in other files; a plain number or '0.63 um' is the value itself; null is "
        "none.",
    )
    field: ComplexSource | None = array_field(
        "/measurement/field",
        "view y x",
        unit="1",
        meaning="complex field, instead of images",
        choice="measurement",
        dtype="complex",
        description="Instead of images, the complex field (view, y, x): a name, {real: /re, imag: /im, scale: 1.0}, "
        "{amplitude: /a, phase: /p in deg}, or {path_difference: /opd in nm}. '/image_*/phase' stacks the images of "
        "several groups.",
    )
    field_tilt: Literal["included", "removed"] = Field(
        "included",
        description="Whether complex fields include the tilt of their light, exp(2πi na·r/λ), or were divided by it, "
        "as by the hologram of an empty field.",
    )
    empty_field: ComplexSource | None = array_field(
        "/measurement/empty_field",
        "y x",
        "view y x",
        unit="1",
        meaning="complex field without the specimen",
        dtype="complex",
        description="Complex field without the specimen, (y, x) or (view, y, x), named as the field is: the fields are "
        "divided by it, which removes what both have, such as the phase of the optics. Both include the tilt of the "
        "light, or neither does (field_tilt).",
    )
    background: NumberSource | None = array_field(
        "/measurement/background",
        "y x",
        "view y x",
        unit="counts",
        meaning="images without the specimen",
        description="Images without the specimen, (y, x) or (view, y, x).",
    )
    dark: NumberSource | None = array_field(
        "/measurement/dark",
        "",
        "view",
        "y x",
        "view y x",
        unit="counts",
        meaning="counts of the camera without light",
        at_least=0,
        description="Counts of the camera without light, which are subtracted from images and background: a number, "
        "one for each view, a frame (y, x) or frames (view, y, x). null: they are subtracted already.",
    )
    exposure: AnySource | None = array_field(
        "/measurement/exposure",
        "view",
        unit="s",
        meaning="exposure of each view",
        positive=True,
        description="Exposure of each view, where they differ (dark fields are often exposed longer): the images, and "
        "a background of each view, are divided by it. Only the ratios matter.",
    )
    mask: NumberSource | None = array_field(
        "/measurement/mask",
        "y x",
        "view y x",
        unit="1",
        meaning="bad pixels; 0 is good",
        dtype="integer",
        hides=True,
        description="Bad pixels, (y, x) or (view, y, x): 0 is good.",
    )
    wavelength: WavelengthSource | None = array_field(
        "/instrument/wavelength",
        "",
        unit="m",
        meaning="vacuum wavelength",
        description="Vacuum wavelength, or the energy of a photon: '532 nm', '2.33 eV', '/energy in eV'.",
        required=True,
        positive=True,
        photon=True,
    )
    numerical_aperture: NumberSource | None = array_field(
        "/instrument/numerical_aperture",
        "",
        unit="1",
        meaning="numerical aperture of the objective",
        required=True,
        positive=True,
    )
    medium_index: NumberSource | None = array_field(
        "/instrument/medium_index",
        "",
        unit="1",
        meaning="refractive index around the specimen",
        required=True,
        at_least=1,
        description="Refractive index of the medium around the specimen.",
    )
    pixel_size: LengthSource | None = array_field(
        "/instrument/pixel_size",
        "2",
        unit="m",
        meaning="pixel (y, x) in the specimen",
        required=True,
        positive=True,
        description="Pixel size in the specimen, one number or (y, x): that of the camera divided by the "
        "magnification.",
    )
    illumination: Literal["auto", "na", "led_grid", "ring", "condenser", "pattern", "normal"] = Field(
        "auto",
        description="Description of the illumination: na (a direction for each view), led_grid, ring or condenser (the "
        "sections below), pattern (several sources for each view), normal (along the axis in each view); auto uses the"
        " section below that is given, or else the arrays of the file.",
    )
    illumination_na: NumberSource | None = array_field(
        "/instrument/illumination_na",
        "view 2",
        unit="1",
        meaning="n sin θ of the light along (y, x), one direction a view",
        choice="illumination",
        description="n·sin θ of the light along (y, x) for each view: an array (view, 2).",
    )
    source_na: NumberSource | None = array_field(
        "/instrument/source_na",
        "source 2",
        unit="1",
        meaning="n sin θ along (y, x) of each of several sources",
        choice="illumination",
        description="n·sin θ along (y, x) of each source: an array (source, 2).",
    )
    pattern: NumberSource | None = array_field(
        "/instrument/pattern",
        "view source",
        "source",
        unit="1",
        meaning="brightness of each source in each view",
        at_least=0,
        description="Brightness of each source in each view: an array (view, source), or (source,) for all views.",
    )
    led_grid: LedGrid | None = Field(None, description="Illumination by a flat array of LEDs, one for each view.")
    ring: Ring | None = Field(None, description="Illumination from a ring of directions, one for each view.")
    condenser: Condenser | None = Field(
        None, description="Illumination by a condenser: bright field, or differential phase contrast."
    )
    light_correction: LightCorrection = Field(
        default_factory=LightCorrection,
        description="Correction of the described directions of the light, which a fit with fit.refine.sources: rigid "
        "finds, and 'unflat check --light' the axes of.",
    )
    turn: Turn | None = Field(None, description="Rotating specimen, by an angle for each view.")
    rotation: NumberSource | None = array_field(
        "/instrument/rotation",
        "view 3 3",
        unit="1",
        meaning="turns the specimen's (z, y, x) into the laboratory's",
        description="Rotating specimen, by matrices (view, 3, 3) that map its (z, y, x) to those of the laboratory.",
    )
    defocus: LengthSource | None = array_field(
        "/instrument/defocus",
        "view",
        unit="m",
        meaning="plane of focus along +z",
        description="Position of the focal plane along +z: an array (view,) or one number. By default the planes of an "
        "OME-TIFF or ImageJ stack of focus are taken, the middle one at 0.",
    )
    focus_step: Length | None = Field(
        None,
        gt=0,
        description="Instead of defocus, the distance between the planes of focus of neighbouring views; the middle "
        "one is at 0.",
        examples=["1 um"],
    )
    reverse_defocus: Flag = Field(
        False,
        description="Whether to negate the positions of the focal plane: for a stack that runs against the light.",
    )
    channel: Label | None = Field(
        None,
        description="Channel of the image file, by number or name; of a colour image red, green or blue.",
        examples=[0],
    )
    position: Label | None = Field(
        None, description="Position of the stage in an image file of several, by number or name.", examples=[0]
    )
    time: Label | None = Field(
        None, description="Time point of an image file whose views are planes of focus, by number.", examples=[0]
    )
    plane: Label | None = Field(
        None, description="Plane of focus of an image file whose views are time points, by number.", examples=[0]
    )
    views: Views = Field("all", description="Views to use: all, a slice such as '::2' or '0:40', or a list of indices.")
    average_repeats: Flag = Field(
        False, description="Whether to replace views of the same light, focus and turn by their mean."
    )
    crop: tuple[int, int] | None = Field(
        None,
        description="Size (y, x) of the crop in pixels, or null for all. Pixel n//2 of the crop becomes the "
        "optical axis.",
        examples=[[256, 256]],
    )
    crop_centre: tuple[int, int] | None = Field(
        None,
        description="Pixel (y, x) in the middle of the crop; null is pixel n//2 of the image.",
        examples=[[256, 256]],
    )
    bin: int = Field(1, ge=1, description="Side of the squares of pixels that are averaged into one, after cropping.")
    normalise: Literal["auto", "none", "background", "view_mean", "polynomial"] = Field(
        "auto",
        description="Normalisation to 1 without the specimen: background divides by the image without the "
        "specimen, view_mean divides each view by its mean, polynomial by a polynomial of second "
        "order through what is background (uneven light without an image of the empty field), none "
        "keeps the values; auto uses the background if there is one, or else an estimate for each "
        "view. Dark fields are divided by the light that the bright fields show.",
    )
    vignetted: Literal["drop", "keep"] = Field(
        "drop",
        description="Whether to drop or keep views whose brightness contradicts their illumination: light at the edge "
        "of the aperture with a dark background, which the objective vignetted, or light outside the aperture with a "
        "bright one.",
    )

    @property
    def choice(self) -> ImageChoice:
        """Part of an image file to use."""
        return ImageChoice(self.position, self.channel, self.time, self.plane)

    @model_validator(mode="after")
    def _light_is_described(self) -> "CellAcquisition":
        sections = ("led_grid", "ring", "condenser")
        given = [name for name in sections if getattr(self, name) is not None]
        if self.illumination in sections and self.illumination not in given:
            raise ValueError(f"illumination is {self.illumination}, but the section {self.illumination} is not given")
        if len(given) > 1 and self.illumination == "auto":
            raise ValueError(f"{' and '.join(given)} are given; choose one with illumination: {' or '.join(given)}")
        if self.focus_step and not (self.defocus is None or self.defocus.is_default("/instrument/defocus")):
            raise ValueError("both defocus and focus_step are given; choose one")
        if self.crop and min(self.crop) < 1:
            raise ValueError(f"crop {list(self.crop)} keeps no pixel")
        return self
