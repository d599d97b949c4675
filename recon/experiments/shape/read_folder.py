"""Cells of folders and archives with ``image/``, ``mask/`` and perhaps ``obj/``."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import ConfigError, DataError, Diagnostic
from .cell_crops import (
    CellCrop,
    CellPlace,
    LoadedCells,
    largest_number,
    normalise_image,
    normalise_mask,
    read_selected,
    select_cells,
    with_sections,
)
from .config import ShapeAcquisition
from .cut_out import count_cells, cut_out
from .folder_sections import further_planes, read_further, require_shape, shape_text, value_faults
from .labels import CellNotes, list_some, note_sentences
from .masks import interpret_mask
from .section_files import SectionFile, Sections, open_sections, read_file
from .section_images import FolderImage
from .sections import PICTURES, PLACES, SectionPlane

_log = logging.getLogger(__name__)
_SIZE_TOLERANCE = 0.01
"""Relative difference of pixel sizes that other programs' rounding explains."""


@dataclass
class _FolderNotes:
    """Properties of the files of a folder that are reported together.

    Args:
        cells: Places in the masks that were left out, or that are unusual.
        steps: Sections whose metadata have a distance between planes that is not their pixel.
        unequal: Files of one cell with different pixel sizes.
        contents: Hash of each mask and of its image, by file.
        remarks: Files by what is to be said of them.
        empty: Masks of label images without a cell.
    """

    cells: CellNotes = field(default_factory=CellNotes)
    steps: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    contents: dict[str, tuple[int, int]] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    def sentences(self, smallest: int) -> list[str]:
        """Warnings for the log."""
        sentences = note_sentences(self.cells, smallest)
        if self.unequal:
            sentences.append(f"pixel sizes of one cell's files differ: {list_some(self.unequal)}")
        masks, images = ({pair[i] for pair in self.contents.values()} for i in (0, 1))
        if len(self.contents) > 1 and len(masks) == 1 and len(images) > 1:
            sentences.append(f"all {len(self.contents)} masks are the same, and their images differ")
        if self.empty:
            many = "1 mask without a cell is" if len(self.empty) == 1 else f"{len(self.empty)} masks without a cell are"
            sentences.append(f"{many} left out: {list_some(self.empty)}")
        return sentences


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
    notes = _FolderNotes()
    with open_sections(path) as sections:
        files, pairs = sections.files, None
        planes = further_planes(settings, files)
        if settings.cells != "all":
            pairs = select_cells(settings, [_count_cells(settings, sections, file) for file in files])
        numbers = range(len(files)) if pairs is None else dict.fromkeys(file for file, _ in pairs)
        selected, faults = read_selected(
            numbers, pairs, lambda number: _read_crops(settings, sections, files[number], voxel, planes, notes)
        )
    for remark, names in notes.remarks.items():
        _log.info("%s: %s", remark, list_some(names))
    if notes.steps:
        _log.info(
            "the pixel goes for z too: the distance between planes says nothing of one section (%s)",
            list_some(notes.steps),
        )
    if any(crop.is_labelled for crop in selected):  # Of label images, some may well be empty.
        notes.empty += [crop.where for crop in selected if not crop.mask.any()]
        selected = [crop for crop in selected if crop.mask.any()]
    if not selected and not faults:
        raise DataError(Diagnostic(str(path), "no mask holds a cell", "draw one, or check acquisition.outside"))
    places = {name: str(path) for name in ("mask", "images", *PICTURES)}
    places |= {name: f"acquisition.{name}" for name in PLACES}
    warnings = notes.sentences(settings.smallest)
    if sections.unmasked:
        count = len(sections.unmasked)
        many = "1 image without a mask is" if count == 1 else f"{count} images without a mask are"
        warnings.append(f"{many} left out: {list_some(sections.unmasked)}")
    return LoadedCells(selected, settings.size, settings.several, {}, places, faults, warnings)


def _count_cells(settings: ShapeAcquisition, sections: Sections, file: SectionFile) -> int:
    """Count the cells of a mask; 1 if it cannot be read, so that the selection can leave it out."""
    name = file.parts["mask"]
    place = sections.place(name)
    try:
        values = read_file(sections, name, "mask", settings).values
        require_shape(values, "mask", place)
    except DataError:
        return 1
    return count_cells(values, settings, file.label, place, has_labels=file.has_labels)


def _read_crops(
    settings: ShapeAcquisition,
    sections: Sections,
    file: SectionFile,
    voxel: tuple[float, float, float] | None,
    planes: Sequence[SectionPlane],
    notes: _FolderNotes,
) -> list[CellCrop]:
    """Read the cells of the files of one name.

    Raises:
        DataError: If its files do not fit one another, or are no images.
    """
    where = {part: sections.place(name) for part, name in file.parts.items()}
    images = {part: read_file(sections, name, part, settings) for part, name in file.parts.items()}
    for part, read in images.items():
        require_shape(read.values, part, where[part])
        for remark in read.remarks:
            notes.remarks.setdefault(remark, []).append(file.parts[part])
    faults = [fault for part, image in images.items() for fault in value_faults(image.values, part, where[part])]
    faults += _size_faults(images, where)
    if faults:
        raise DataError(*faults)
    image, volume = images["image"], images.get("obj")
    values = images["mask"].values
    mask = interpret_mask(values, image.values, settings, where["mask"], has_labels=file.has_labels)
    if file.has_labels and not mask.share.any():
        notes.empty.append(file.parts["mask"])
        return []
    notes.cells.add_dark_level(image.values, mask.share, file.name)
    notes.contents[file.name] = (hash(values.tobytes()), hash(image.values.tobytes()))
    crop = CellCrop(
        file.name,
        file.label,
        where["mask"],
        normalise_image(image.values, largest_number(image.values)),
        mask.share,
        None if volume is None else normalise_mask(volume.values),
        voxel or _stored_voxel(images, file.name, notes),
        None if voxel is not None or volume is None else _stored_step(volume),
        place=CellPlace(file.parts["image"]),
    )
    crops, places = cut_out(crop, mask, settings)
    notes.cells.add(places)
    return with_sections(crops, read_further(settings, sections, file, planes, image.values), image.values.shape)


def _size_faults(images: Mapping[str, FolderImage], where: Mapping[str, str]) -> list[Diagnostic]:
    """Find masks and volumes that are not of the size of their image."""
    faults, image, mask = [], images["image"].values, images["mask"].values
    if image.shape != mask.shape:
        message = f"the mask is {shape_text(mask)} pixels, its image {shape_text(image)}"
        faults.append(Diagnostic(where["mask"], message, "make both of one section"))
    if "obj" in images and images["obj"].values.shape[1:] != image.shape:
        volume = shape_text(images["obj"].values)
        message = f"the volume is {volume} voxels (z, y, x), its image {shape_text(image)}"
        faults.append(Diagnostic(where["obj"], message, "its middle slice must be the image's section"))
    return faults


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


def _stored_voxel(
    images: Mapping[str, FolderImage], name: str, notes: _FolderNotes
) -> tuple[float, float, float] | None:
    """[m] Voxel size (z, y, x) of a section by the metadata of its files: the pixel along x goes for z.

    The size of the image takes precedence over those of the mask and the volume.
    """
    known = {part: images[part].voxel for part in ("image", "mask", "obj") if part in images and images[part].voxel}
    if not known:
        return None
    part, (z, y, x) = next(iter(known.items()))
    if any(not np.allclose(voxel[1:], (y, x), rtol=_SIZE_TOLERANCE) for voxel in known.values()):
        sizes = ", ".join(f"{other} {voxel[2] * 1e6:.4g} um" for other, voxel in known.items())
        notes.unequal.append(f"{name} ({sizes}; that of the {part} is taken)")
    if "obj" not in known and abs(z / x - 1) > _SIZE_TOLERANCE:
        notes.steps.append(f"{name}: {z * 1e6:.4g} um between planes, {x * 1e6:.4g} um a pixel")
    return x, y, x


def _stored_step(volume: FolderImage) -> float | None:
    """[m] Distance between the slices of a volume; None if it is unknown."""
    return volume.voxel[0] if volume.voxel and np.isfinite(volume.voxel[0]) else None
