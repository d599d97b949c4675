"""Config section ``acquisition`` of a crystal: places of the arrays in the file, and the part to use."""

import re
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from ...config.base import Settings
from ...config.entries import array_field
from ...config.source import InverseLengthSource, LengthSource, NumberSource, WavelengthSource
from ...config.value_types import Views
from .config_diffractometer import CrystalGoniometer


def _three(value: Any, *, words: tuple[str, ...], least: int, what: str) -> Any:
    """Read three whole numbers (frame, y, x), or one of some words."""
    if value in words:
        return value
    listed = isinstance(value, list | tuple) and len(value) == 3
    if listed and all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in value):
        return tuple(value)
    forms = [f"{what} (frame, y, x), as [128, 128, 128]", *(f"'{word}'" for word in words)]
    raise ValueError(f"{value!r} is not {' or '.join(forms)}")


def _show(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _schema(*words: str) -> dict[str, Any]:
    numbers = {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3}
    return {"anyOf": [numbers, *([{"enum": list(words)}] if words else [])]}


Crop: TypeAlias = Annotated[
    Literal["auto", "all"] | tuple[int, int, int],
    PlainValidator(partial(_three, words=("auto", "all"), least=8, what="three sizes of at least 8")),
    PlainSerializer(_show, when_used="json"),
    WithJsonSchema(_schema("auto", "all")),
]
Centre: TypeAlias = Annotated[
    Literal["auto", "none"] | tuple[int, int, int],
    PlainValidator(partial(_three, words=("auto", "none"), least=0, what="three indices")),
    PlainSerializer(_show, when_used="json"),
    WithJsonSchema(_schema("auto", "none")),
]


def _parse_region(value: Any) -> Any:
    """Read a region of the detector: two slices of rows and columns, or ``all``."""
    if value == "all":
        return value
    listed = isinstance(value, list | tuple) and len(value) == 2
    if listed and all(isinstance(part, str) and _SLICE.fullmatch(part) for part in value):
        return tuple(value)
    raise ValueError(f"{value!r} is not rows and columns, as [100:356, 200:456], or 'all'")


_SLICE = re.compile(r"\s*-?\d*\s*:\s*-?\d*\s*")
Region: TypeAlias = Annotated[
    Literal["all"] | tuple[str, str],
    PlainValidator(_parse_region),
    PlainSerializer(_show, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [{"enum": ["all"]}, {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}],
            "examples": ["all", ["100:356", "200:456"]],
        }
    ),
]
Bin: TypeAlias = Annotated[
    tuple[int, int, int],
    PlainValidator(partial(_three, words=(), least=1, what="three numbers of pixels")),
    PlainSerializer(_show, when_used="json"),
    WithJsonSchema(_schema()),
]


class CrystalAcquisition(Settings):
    """Places of the measurement's arrays and numbers, and the part of them to use."""

    images: NumberSource | None = array_field(
        "/measurement/images",
        "frame y x",
        unit="counts",
        meaning="counts along the rocking curve",
        required=True,
        choice="measurement",
        at_least=0,
        marks_gaps=True,
        description="Counts along the rocking curve (frame, y, x). As for every array of this section: '/path' names a "
        "dataset and '/path@name' an attribute, either with an optional unit, as in '/energy/lambda in "
        "angstrom'; 'other.h5:/path', 'mask.npy' and 'scan.spec:54/th' lie in other files; a plain number or "
        "'0.138 nm' is the value itself; null is none.",
    )
    mask: NumberSource | None = array_field(
        "/measurement/mask",
        "y x",
        "frame y x",
        unit="1",
        meaning="bad pixels; 0 is good",
        dtype="integer",
        hides=True,
        description="Bad pixels, (y, x) or (frame, y, x): 0 is good.",
    )
    dark: NumberSource | None = array_field(
        "/measurement/dark",
        "",
        "y x",
        unit="counts",
        meaning="counts of a pixel without a photon",
        at_least=0,
        description="Counts of a pixel without a photon, of a detector that integrates charge (CCD): a number or a "
        "frame (y, x), which is subtracted. null: there are none, or they are subtracted already.",
    )
    monitor: NumberSource | None = array_field(
        "/measurement/monitor",
        "frame",
        "reading_of_monitor",
        unit="counts",
        meaning="flux of the beam during each frame",
        positive=True,
        description="Flux of the beam in each frame, which scales the modelled counts.",
    )
    wavelength: WavelengthSource | None = array_field(
        "/instrument/wavelength",
        "",
        "reading_of_wavelength",
        unit="m",
        meaning="wavelength of the X-rays",
        description="Wavelength of the X-rays, or the energy of a photon: '0.138 nm', '9 keV', '/energy in keV'.",
        positive=True,
        photon=True,
    )
    detector_distance: LengthSource | None = array_field(
        "/instrument/detector_distance",
        "",
        unit="m",
        meaning="distance of the detector from the crystal",
        positive=True,
    )
    pixel_size: LengthSource | None = array_field(
        "/instrument/pixel_size",
        "2",
        unit="m",
        meaning="pixel (y, x) on the detector",
        positive=True,
        description="Pixel size of the detector: one number, or (y, x).",
    )
    reciprocal_basis: InverseLengthSource | None = array_field(
        "/instrument/reciprocal_basis",
        "3 3",
        unit="1/m",
        meaning="rows: change of q = k_out - k_in (with 2 pi) for one step of (frame, y, x), laboratory (z, y, x)",
        description="Change of q = k_out - k_in (with 2 pi), one row for each step of (frame, y, x), in the "
        "laboratory's (z, y, x) and 1/m, or in another unit, as '/basis in 1/nm'. Without it and "
        "without a goniometer the result is in voxels.",
    )
    bragg_vector: InverseLengthSource | None = array_field(
        "/instrument/bragg_vector",
        "3",
        unit="1/m",
        meaning="reciprocal lattice vector G of the reflection, with 2 pi, laboratory (z, y, x)",
        description="Reciprocal lattice vector G of the reflection (with 2 pi), in (z, y, x) and 1/m. Without it "
        "there is no displacement and no strain.",
    )
    goniometer: CrystalGoniometer | None = Field(
        None, description="Circles of crystal and detector, from which the basis is computed."
    )
    uneven: Literal["own", "even"] = Field(
        "own",
        description="Treatment of frames that the goniometer's angles put more than a twentieth of a step off even "
        "ones. own: each frame is taken at its own q, sorted by its angle; even: even steps are assumed, and more than "
        "half a step is refused.",
    )
    frames: Views = Field(
        "all",
        description="Frames to use: all, a slice such as '20:180' or '::-1', or a list of indices with even steps.",
    )
    region: Region = Field(
        "all",
        description="Part of each frame to read, rows and columns, such as [100:356, 200:456]: nothing else is looked "
        "at. Pixels are counted from the corner of the whole frame here and in acquisition.centre and "
        "goniometer.direct_beam.",
    )
    crop: Crop = Field(
        "auto",
        description="Size (frame, y, x) of the crop around the peak, in voxels. auto: at most 128 along each axis, "
        "of a size with a fast Fourier transform; all: the whole array.",
    )
    centre: Centre = Field(
        "auto",
        description="Voxel (frame, y, x) at the centre of the crop, counted from 0; the frame is counted among "
        "those of acquisition.frames. auto: the Bragg peak; none: the middle of the region.",
    )
    bin: Bin = Field((1, 1, 1), description="Number of voxels (frame, y, x) that are summed into one, after cropping.")
    photon: float | None = Field(
        None,
        gt=0,
        description="Counts (ADU) of one photon, by which the images are divided; they are rounded to whole photons. "
        "null: 1, or the number of which all counts are whole multiples.",
    )
    saturation: float | None = Field(
        None,
        gt=0,
        description="Counts, as the file has them, from which a pixel is masked as saturated. null: by the "
        "saturation_value of a NeXus file or the cutoff of a Dectris file, if there is one.",
    )
    hot_pixels: Literal["mask", "keep"] = Field(
        "mask",
        description="Treatment of hot pixels: pixels far brighter than all their neighbours, unlike any diffraction.",
    )
    aliens: Literal["mask", "keep"] = Field(
        "mask",
        description="Treatment of speckle of other particles: bright regions whose counterpart on the other side "
        "of the peak is dark.",
    )
    unlike_scans: Literal["omit", "keep"] = Field(
        "omit",
        description="Treatment of scans that differ from the others where 'unflat convert' sums several: another "
        "crystal, or one that changed: leave them out with a warning, or sum them all the same.",
    )
    doubtful: Literal["refuse", "warn"] = Field(
        "refuse",
        description="Treatment of data that are probably wrong (frames out of order, a saturated or hidden centre, "
        "empty frames): refuse them, or warn and continue.",
    )
