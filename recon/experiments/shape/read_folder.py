"""Cells of folders and archives with ``image/``, ``mask/`` and perhaps ``obj/``."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import ConfigError, DataError, Diagnostic
from ...io.image_folders import FolderImage, SectionFile, Sections, open_sections, picture
from .cell_crops import SMALLEST, CellCrop, label_cells, normalise_image, normalise_mask, split_crop
from .cells import LoadedCells, select_cells
from .config import ShapeAcquisition

_log = logging.getLogger(__name__)


def read_folder(wanted: ShapeAcquisition, path: Path) -> LoadedCells:
    """Read the cells of a folder or an archive.

    Args:
        wanted: The config.
        path: Of the folder or archive.

    Raises:
        DataError: If it cannot be read at all.
        ConfigError: If there are no such cells.
    """
    given = _given_voxel(wanted)
    crops: dict[int, list[CellCrop]] = {}
    faults: list[Diagnostic] = []
    with open_sections(path) as sections:
        files, pairs = sections.files, None
        if wanted.cells != "all":
            pairs = select_cells(wanted, [_count(wanted, sections, file) for file in files])
        for number in range(len(files)) if pairs is None else dict.fromkeys(file for file, _ in pairs):
            try:
                crops[number] = _crops(wanted, sections, files[number], given)
            except DataError as error:
                faults += error.faults
    every = [crop for own in crops.values() for crop in own]
    some = every if pairs is None else [crops[file][cell] for file, cell in pairs if file in crops]
    return LoadedCells(some, wanted.size, wanted.several, {}, {"mask": str(path), "images": str(path)}, faults)


def _count(wanted: ShapeAcquisition, sections: Sections, file: SectionFile) -> int:
    """Number of cells in a mask; of one that cannot be read it is 1, so that it can be left out."""
    name = file.parts["mask"]
    try:
        found = picture(sections, name)
        values = _plain(found.values, "mask", sections.where(name), wanted)
    except DataError:
        return 1
    labels = label_cells(values, found.largest, wanted.several, file.label)
    return 1 if labels is None else int(labels.max())


def _crops(
    wanted: ShapeAcquisition, sections: Sections, file: SectionFile, given: tuple[float, float, float] | None
) -> list[CellCrop]:
    """The cells of one name.

    Raises:
        DataError: If its files do not fit one another, or are no images.
    """
    found = {part: picture(sections, name) for part, name in file.parts.items()}
    where = {part: sections.where(name) for part, name in file.parts.items()}
    found = {part: replace(p, values=_plain(p.values, part, where[part], wanted)) for part, p in found.items()}
    image, mask, volume = found["image"], found["mask"], found.get("obj")
    faults = [f for part, p in found.items() for f in _number_faults(p.values, part, where[part])]
    if image.values.shape != mask.values.shape:
        message = f"the mask is {_sizes(mask.values)} pixels, its image {_sizes(image.values)}"
        faults.append(Diagnostic(where["mask"], message, "make both of one section"))
    if volume is not None and volume.values.shape[1:] != image.values.shape:
        message = f"the volume is {_sizes(volume.values)} voxels (z, y, x), its image {_sizes(image.values)}"
        faults.append(Diagnostic(where["obj"], message, "its middle slice must be the image's section"))
    if faults:
        raise DataError(*faults)
    crop = CellCrop(
        file.name,
        file.label,
        where["mask"],
        normalise_image(image.values, image.largest),
        normalise_mask(mask.values),
        None if volume is None else normalise_mask(volume.values),
        given or _told_voxel(found),
    )
    return split_crop(crop, label_cells(mask.values, mask.largest, wanted.several, crop.label), wanted.margin)


def _plain(values: np.ndarray, part: str, where: str, wanted: ShapeAcquisition) -> np.ndarray:
    """An image (y, x) or a volume (z, y, x).

    Raises:
        DataError: If it is neither.
    """
    values = np.squeeze(values)
    if values.dtype.kind not in "biuf":
        raise DataError(
            Diagnostic(where, f"holds {values.dtype}; expected real numbers", "export it as plain grey values")
        )
    colours = values.ndim == 3 and values.shape[2] in (3, 4) and min(values.shape[:2]) > 4
    if part == "obj":
        if values.ndim == 3 and not colours:
            return values
        message = f"has the shape {values.shape}; a volume (z, y, x) is expected"
        raise DataError(Diagnostic(where, message, "a stack of slices has as many pages as slices"))
    if colours:
        alike = bool((values[..., :1] == values[..., :3]).all())
        if alike:
            _log.info("%s: in colour, of which all channels are alike: taken as grey", where)
        if not alike and wanted.colour == "refuse":
            message = f"is in colour: its shape is {values.shape}"
            raise DataError(
                Diagnostic(where, message, "save one channel as grey values, or say acquisition.colour: mean")
            )
        if not alike:
            _log.info("%s: in colour; the mean of its channels is taken", where)
        return np.asarray(values[..., 0] if alike else _mean(values[..., :3]))
    if values.ndim != 2 or min(values.shape) < SMALLEST:
        message = f"has the shape {values.shape}; an image (y, x) of at least {SMALLEST} pixels is expected"
        raise DataError(Diagnostic(where, message, "give the section at z = 0, one image a file"))
    return values


def _mean(channels: np.ndarray) -> np.ndarray:
    """Mean of the channels, in their own type: whole numbers stay whole."""
    mean = channels.mean(axis=2)
    return np.asarray((mean.round() if channels.dtype.kind in "iu" else mean).astype(channels.dtype))


def _number_faults(values: np.ndarray, part: str, where: str) -> list[Diagnostic]:
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


def _given_voxel(wanted: ShapeAcquisition) -> tuple[float, float, float] | None:
    """The voxel that the config gives; None if it names a place in a file.

    Raises:
        ConfigError: If it is neither one length nor three.
    """
    source = wanted.voxel_size
    if source is None or not source.is_literal:
        return None
    numbers = np.ravel(source.value)
    if numbers.size not in (1, 3) or not (numbers > 0).all():
        message = f"{source} is no voxel"
        raise ConfigError(Diagnostic("acquisition.voxel_size", message, "give one length, or three: z, y, x"))
    z, y, x = np.broadcast_to(numbers, 3).tolist()
    return float(z), float(y), float(x)


def _told_voxel(found: Mapping[str, FolderImage]) -> tuple[float, float, float] | None:
    """The voxel that the files' metadata tell; that of the volume goes before that of the image."""
    for part in ("obj", "image", "mask"):
        voxel = found[part].voxel if part in found else ()
        if voxel:
            z, y, x = voxel
            return (z if np.isfinite(z) else x), y, x
    return None


def _sizes(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))
