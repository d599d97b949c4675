"""Further sections of the cells of a folder, in ``section_0/image``, ``section_0/mask``, …, at places of the config.

The files of a section have the name of the cell. A cell may lack a section, its mask or its picture.
"""

import logging
from collections.abc import Sequence

import numpy as np

from ...acquisition import Acquisition
from ...config.source import Source
from ...errors import ConfigError, DataError, Diagnostic
from .cell_crops import SMALLEST, largest_number, normalise_image
from .config import ShapeAcquisition
from .masks import interpret_mask
from .schema import PATHS
from .section_faults import angle_faults, count_sections
from .section_files import SectionFile, Sections, read_file
from .sections import (
    HEIGHT,
    IMAGES,
    MASK,
    PICTURES,
    PLACES,
    ROTATION,
    TILT,
    Section,
    SectionPlane,
    lacking_heights,
    planes_of,
)

_log = logging.getLogger(__name__)

_SHAPES = {HEIGHT: (), TILT: (2,), ROTATION: (3, 3)}
"""Shape of the place of one section."""
_PARTS = {"image": IMAGES, "mask": MASK}
"""Name in the config of each part of a section."""


def further_planes(settings: ShapeAcquisition, files: Sequence[SectionFile]) -> list[SectionPlane]:
    """Return the planes of the further sections of a folder, which the config names; none without any.

    Args:
        settings: Section of the config.
        files: Files of all cells.

    Raises:
        ConfigError: If places and folders do not match, or the config names arrays, which folders do not hold.
    """
    count = 1 + max((number for file in files for number in _used_parts(settings, file)), default=-1)
    places = _configured_places(settings)
    if places and not count:
        message = "further sections are read from section_0/image and section_0/mask, and there are none beside the "
        message += "image and mask of a first section"
        raise ConfigError(Diagnostic(f"acquisition.{next(iter(places))}", message, "add them, or set it to null"))
    if not count:
        return []
    if not places:
        message = f"the places of {count_sections(count)} are unknown"
        remedy = "set it, and acquisition.section_tilt or section_rotation"
        raise ConfigError(Diagnostic("acquisition.section_height", message, remedy))
    if HEIGHT not in places:
        _log.warning("acquisition.%s: %s", HEIGHT, lacking_heights(count))
    arrays = {name: _place_array(name, source, count) for name, source in places.items()}
    acquisition = Acquisition("shape", arrays, "", places={name: f"acquisition.{name}" for name in arrays})
    if faults := angle_faults(acquisition):
        raise ConfigError(*faults)
    return planes_of(acquisition, 1, count)[0]


def _configured_places(settings: ShapeAcquisition) -> dict[str, Source]:
    """Return the places of sections that the config gives, by name.

    Raises:
        ConfigError: If the config names arrays, which folders do not hold.
    """
    given = {name: source for name in (*PICTURES, *PLACES) if (source := getattr(settings, name)) is not None}
    places = {name: source for name, source in given.items() if not source.is_default(PATHS[name])}
    for name, source in places.items():
        if name in PICTURES or not source.is_literal:
            message = f"{source} names an array of an HDF5 file, and this is a folder of images"
            remedy = "put the images into section_0/image and section_0/mask, and write places into the config"
            raise ConfigError(Diagnostic(f"acquisition.{name}", message, remedy))
    return places


def _place_array(name: str, source: Source, count: int) -> np.ndarray:
    """Return heights, tilts or rotations of the config.

    Raises:
        ConfigError: If there is not one for each section.
    """
    values, shape = np.asarray(source.value, np.float64), (count, *_SHAPES[name])
    if values.shape != shape:
        message = f"has the shape {values.shape}, and the folder has {count_sections(count)}: expected {shape}"
        raise ConfigError(Diagnostic(f"acquisition.{name}", message, "give one for each section_0, section_1, …"))
    return values


def _used_parts(settings: ShapeAcquisition, file: SectionFile) -> dict[int, dict[str, str]]:
    """Paths of the files of each further section of a cell, without the parts that the config sets to null."""
    unused = {part for part, name in _PARTS.items() if getattr(settings, name) is None}
    used = {
        number: {part: path for part, path in parts.items() if part not in unused}
        for number, parts in sorted(file.further.items())
    }
    return {number: parts for number, parts in used.items() if parts}


def read_further(
    settings: ShapeAcquisition,
    sections: Sections,
    file: SectionFile,
    planes: Sequence[SectionPlane],
    first: np.ndarray,
) -> list[Section]:
    """Read the further sections of a cell.

    Args:
        settings: Section of the config.
        sections: Folder or archive.
        file: Files of the cell.
        planes: Planes of all further sections.
        first: Picture of the first section as stored, whose size and brightness the others share.

    Raises:
        DataError: If a file is no image, or of another size than the first section.
    """
    factor = float(normalise_image(first, largest_number(first)).max(initial=0)) / (float(first.max(initial=0)) or 1.0)
    read = []
    for number, parts in _used_parts(settings, file).items():
        arrays = {part: _read_part(settings, sections, name, part, first) for part, name in parts.items()}
        image, values = arrays.get("image"), arrays.get("mask")
        mask = None if values is None else interpret_mask(values, None, settings, sections.place(parts["mask"])).share
        read.append(
            Section(number, planes[number], mask, None if image is None else np.asarray(image * factor, np.float32))
        )
    return read


def _read_part(settings: ShapeAcquisition, sections: Sections, name: str, part: str, first: np.ndarray) -> np.ndarray:
    """Read picture or mask of a further section.

    Raises:
        DataError: If it is no image, or of another size than the first section.
    """
    values, where = read_file(sections, name, part, settings).values, sections.place(name)
    require_shape(values, part, where)
    faults = value_faults(values, part, where)
    if values.shape != first.shape:
        message = f"is {shape_text(values)} pixels, and the first section {shape_text(first)}"
        faults.append(Diagnostic(where, message, "take all sections of a cell with one size and pixel"))
    if faults:
        raise DataError(*faults)
    return values


def require_shape(values: np.ndarray, part: str, where: str) -> None:
    """Refuse what is neither an image (y, x), nor a volume (z, y, x).

    Raises:
        DataError: If it is neither.
    """
    if values.dtype.kind not in "biuf":
        message = f"holds {values.dtype}; expected real numbers"
        raise DataError(Diagnostic(where, message, "export it as plain grey values"))
    if part == "obj" and values.ndim != 3:
        message = f"has the shape {values.shape}; a volume (z, y, x) is expected"
        raise DataError(Diagnostic(where, message, "a stack of slices has as many pages as slices"))
    if part != "obj" and min(values.shape) < SMALLEST:
        message = f"has the shape {values.shape}; an image (y, x) of at least {SMALLEST} pixels is expected"
        raise DataError(Diagnostic(where, message, "give the section at z = 0, one image a file"))


def value_faults(values: np.ndarray, part: str, where: str) -> list[Diagnostic]:
    """Find values that are not finite or negative, and images without contrast.

    Args:
        values: Image or volume.
        part: ``image``, ``mask`` or ``obj``.
        where: File, for messages.
    """
    finite = np.isfinite(values)
    if not finite.all():
        count, first = int((~finite).sum()), [int(i) for i in np.argwhere(~finite)[0]]
        many = "1 number is" if count == 1 else f"{count} numbers are"
        return [Diagnostic(where, f"{many} NaN or infinite, the first at {first}", "give such pixels a value")]
    if part != "mask" and values.min() < 0:
        return [
            Diagnostic(where, f"its smallest number is {values.min():g}", "none may be negative: add the dark level")
        ]
    if part == "image" and values.max() == values.min():
        return [Diagnostic(where, f"every pixel is {values.max():g}: nothing is to be seen", "take the cell away")]
    return []


def shape_text(values: np.ndarray) -> str:
    """Write the shape of an array in words."""
    return " x ".join(map(str, values.shape))
