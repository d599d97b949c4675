"""Cells of folders and archives with ``image/``, ``mask/`` and perhaps ``obj/``."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import ConfigError, DataError, Diagnostic
from .cell_crops import SMALLEST, CellCrop, LoadedCells, normalise_image, normalise_mask, select_cells
from .config import ShapeAcquisition
from .labels import label_cells, split_crop
from .section_files import FolderImage, SectionFile, Sections, open_sections, read_file

_log = logging.getLogger(__name__)


def read_folder(settings: ShapeAcquisition, path: Path) -> LoadedCells:
    """Read the cells of a folder or an archive.

    Args:
        settings: Section of the config.
        path: Folder or archive.

    Raises:
        DataError: If it cannot be read at all.
        ConfigError: If there are no such cells.
    """
    voxel = _configured_voxel(settings)
    crops: dict[int, list[CellCrop]] = {}
    faults: list[Diagnostic] = []
    with open_sections(path) as sections:
        files, pairs = sections.files, None
        if settings.cells != "all":
            pairs = select_cells(settings, [_count_cells(settings, sections, file) for file in files])
        for number in range(len(files)) if pairs is None else dict.fromkeys(file for file, _ in pairs):
            try:
                crops[number] = _read_crops(settings, sections, files[number], voxel)
            except DataError as error:
                faults += error.faults
    every = [crop for own in crops.values() for crop in own]
    selected = every if pairs is None else [crops[file][cell] for file, cell in pairs if file in crops]
    return LoadedCells(selected, settings.size, settings.several, {}, {"mask": str(path), "images": str(path)}, faults)


def _count_cells(settings: ShapeAcquisition, sections: Sections, file: SectionFile) -> int:
    """Count the cells of a mask; 1 if it cannot be read, so that the selection can leave it out."""
    name = file.parts["mask"]
    try:
        image = read_file(sections, name)
        values = _checked_array(image.values, "mask", sections.place(name), settings)
    except DataError:
        return 1
    labels = label_cells(values, image.largest, settings.several, file.label)
    return 1 if labels is None else int(labels.max())


def _read_crops(
    settings: ShapeAcquisition, sections: Sections, file: SectionFile, voxel: tuple[float, float, float] | None
) -> list[CellCrop]:
    """Read the cells of the files of one name.

    Raises:
        DataError: If its files do not fit one another, or are no images.
    """
    where = {part: sections.place(name) for part, name in file.parts.items()}
    images = {part: read_file(sections, name) for part, name in file.parts.items()}
    images = {
        part: replace(image, values=_checked_array(image.values, part, where[part], settings))
        for part, image in images.items()
    }
    faults = [fault for part, image in images.items() for fault in _value_faults(image.values, part, where[part])]
    faults += _size_faults(images, where)
    if faults:
        raise DataError(*faults)
    image, mask, volume = images["image"], images["mask"], images.get("obj")
    crop = CellCrop(
        file.name,
        file.label,
        where["mask"],
        normalise_image(image.values, image.largest),
        normalise_mask(mask.values),
        None if volume is None else normalise_mask(volume.values),
        voxel or _stored_voxel(images),
    )
    return split_crop(crop, label_cells(mask.values, mask.largest, settings.several, crop.label), settings.margin)


def _size_faults(images: Mapping[str, FolderImage], where: Mapping[str, str]) -> list[Diagnostic]:
    """Find masks and volumes that are not of the size of their image."""
    faults, image, mask = [], images["image"].values, images["mask"].values
    if image.shape != mask.shape:
        message = f"the mask is {_shape_text(mask)} pixels, its image {_shape_text(image)}"
        faults.append(Diagnostic(where["mask"], message, "make both of one section"))
    if "obj" in images and images["obj"].values.shape[1:] != image.shape:
        volume = _shape_text(images["obj"].values)
        message = f"the volume is {volume} voxels (z, y, x), its image {_shape_text(image)}"
        faults.append(Diagnostic(where["obj"], message, "its middle slice must be the image's section"))
    return faults


def _checked_array(values: np.ndarray, part: str, where: str, settings: ShapeAcquisition) -> np.ndarray:
    """Return an image (y, x), or a volume (z, y, x).

    Raises:
        DataError: If it is neither.
    """
    values = np.squeeze(values)
    if values.dtype.kind not in "biuf":
        raise DataError(
            Diagnostic(where, f"holds {values.dtype}; expected real numbers", "export it as plain grey values")
        )
    in_colour = values.ndim == 3 and values.shape[2] in (3, 4) and min(values.shape[:2]) > 4
    if part == "obj":
        if values.ndim == 3 and not in_colour:
            return values
        message = f"has the shape {values.shape}; a volume (z, y, x) is expected"
        raise DataError(Diagnostic(where, message, "a stack of slices has as many pages as slices"))
    if in_colour:
        return _to_grey(values, where, settings)
    if values.ndim != 2 or min(values.shape) < SMALLEST:
        message = f"has the shape {values.shape}; an image (y, x) of at least {SMALLEST} pixels is expected"
        raise DataError(Diagnostic(where, message, "give the section at z = 0, one image a file"))
    return values


def _to_grey(values: np.ndarray, where: str, settings: ShapeAcquisition) -> np.ndarray:
    """Return one of equal channels, or the mean of different ones where ``acquisition.colour`` allows it.

    Raises:
        DataError: If the channels differ, and no mean is asked for.
    """
    if (values[..., :1] == values[..., :3]).all():
        _log.info("%s: in colour, of which all channels are alike: taken as grey", where)
        return np.asarray(values[..., 0])
    if settings.colour == "refuse":
        message = f"is in colour: its shape is {values.shape}"
        raise DataError(Diagnostic(where, message, "save one channel as grey values, or set acquisition.colour: mean"))
    _log.info("%s: in colour; the mean of its channels is taken", where)
    mean = values[..., :3].mean(axis=2)  # In the data type of the channels: whole numbers stay whole.
    return np.asarray((mean.round() if values.dtype.kind in "iu" else mean).astype(values.dtype))


def _value_faults(values: np.ndarray, part: str, where: str) -> list[Diagnostic]:
    """Find values that are not finite or negative, and images without contrast."""
    finite = np.isfinite(values)
    if not finite.all():
        count, first = int((~finite).sum()), [int(i) for i in np.argwhere(~finite)[0]]
        many = "1 number is" if count == 1 else f"{count} numbers are"
        return [Diagnostic(where, f"{many} NaN or infinite, the first at {first}", "give such pixels a value")]
    if values.min() < 0:
        return [
            Diagnostic(where, f"its smallest number is {values.min():g}", "none may be negative: add the dark level")
        ]
    if part == "image" and values.max() == values.min():
        return [Diagnostic(where, f"every pixel is {values.max():g}: nothing is to be seen", "take the cell away")]
    return []


def _configured_voxel(settings: ShapeAcquisition) -> tuple[float, float, float] | None:
    """[m] Voxel size (z, y, x) of the config; None if it names a place in a file.

    Raises:
        ConfigError: If it is neither one length nor three.
    """
    source = settings.voxel_size
    if source is None or not source.is_literal:
        return None
    numbers = np.ravel(source.value)
    if numbers.size not in (1, 3) or not (numbers > 0).all():
        message = f"{source} is no voxel"
        raise ConfigError(Diagnostic("acquisition.voxel_size", message, "give one length, or three: z, y, x"))
    z, y, x = np.broadcast_to(numbers, 3).tolist()
    return float(z), float(y), float(x)


def _stored_voxel(images: Mapping[str, FolderImage]) -> tuple[float, float, float] | None:
    """[m] Voxel size (z, y, x) of the files' metadata; that of the volume takes precedence."""
    for part in ("obj", "image", "mask"):
        voxel = images[part].voxel if part in images else ()
        if voxel:
            z, y, x = voxel
            return (z if np.isfinite(z) else x), y, x
    return None


def _shape_text(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))
