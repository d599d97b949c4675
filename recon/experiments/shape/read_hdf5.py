"""Cells of HDF5 files, and of other files that are read like them: stacks (cell, y, x)."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...acquisition import Acquisition
from ...errors import DataError
from ...io.hdf5_common import is_hdf5, open_checked, text_of
from ...io.lazy_arrays import Index
from ...io.read import read_all
from ...volume import Volume
from .binarize import binarize
from .cell_crops import (
    CellCrop,
    CellPlace,
    LoadedCells,
    normalise_image,
    normalise_mask,
    read_selected,
    select_cells,
    with_sections,
    without_dark,
)
from .cells import voxel_of
from .config import ShapeAcquisition
from .cut_out import count_cells, cut_out
from .grids import grid_centre
from .labels import CellNotes, note_sentences
from .masks import Mask, interpret_mask, outline_at_border
from .places import AT_BORDER, read_place
from .schema import OCCUPANCY, PATHS, SCHEMA
from .section_faults import height_warnings, section_faults
from .sections import MASK, ROTATION, TILT, read_sections
from .validate import truth_faults

_log = logging.getLogger(__name__)


def read_hdf5(settings: ShapeAcquisition, path: Path) -> LoadedCells:
    """Read the cells of a file.

    Files that unflat wrote are on their grid already, with one cell an entry, and stay so.

    Args:
        settings: Section of the config.
        path: The file.

    Raises:
        DataError: With every fault of the file.
        ConfigError: If there are no such cells.
    """
    counts = None if settings.cells == "all" else _count_cells(settings, path)
    pairs = None if counts is None else select_cells(settings, counts)
    entries = None if pairs is None else list(dict.fromkeys(entry for entry, _ in pairs))
    acquisition, count = _read_entries(settings, path, entries)
    is_own = _is_own(path)
    indices = {number: index for index, number in enumerate(range(count) if entries is None else entries)}
    notes = CellNotes()

    def read(number: int) -> list[CellCrop]:
        if is_own:
            return [_read_own(acquisition, indices[number], number)]
        return _read_crops(settings, acquisition, indices[number], number, notes)

    selected, faults = read_selected(indices, pairs, read)
    size = _grid_size(settings, acquisition, path) if is_own else settings.size
    several = "keep" if is_own else settings.several
    warnings = [*height_warnings(acquisition), *note_sentences(notes, settings.smallest)]
    return LoadedCells(selected, size, several, acquisition.attributes, acquisition.places, faults, warnings)


def _read_entries(settings: ShapeAcquisition, path: Path, entries: list[int] | None) -> tuple[Acquisition, int]:
    """Read some entries of the stacks, all if None; and count all.

    Raises:
        DataError: With every fault of the file.
    """
    sizes: dict[str, int] = {}

    def select(axes: Mapping[str, int]) -> Mapping[str, Index]:
        sizes.update(axes)
        if entries is None or axes.get("cell", 0) <= max(entries):  # Fewer images than masks, which is a fault below.
            return {}
        return {"cell": entries}

    names = {entry.name: getattr(settings, entry.name) for entry in SCHEMA} | _unused_places(settings)
    acquisition, faults = read_all(path, SCHEMA, names, "shape", select, choice=settings.choice)
    if not faults and acquisition.truth is not None:
        shape = (sizes["cell"], *acquisition["images"].shape[1:])
        faults = truth_faults(acquisition.truth, shape, voxel_of(acquisition), str(path))
    if not faults:
        faults = section_faults(acquisition, _names(acquisition, entries))
    if faults:
        raise DataError(*faults)
    return acquisition, sizes["cell"]


def _unused_places(settings: ShapeAcquisition) -> dict[str, None]:
    """Arrays of a file that are not read: its tilts where the config gives rotations, and the other way round."""
    given = {name: source for name in (TILT, ROTATION) if (source := getattr(settings, name)) is not None}
    usual = {name: None for name, source in given.items() if source.is_default(PATHS[name])}
    return usual if len(given) == 2 and len(usual) == 1 else {}


def _count_cells(settings: ShapeAcquisition, path: Path) -> list[int] | None:
    """Count the cells of each mask; None without masks, which reading the file reports."""
    schema = [entry for entry in SCHEMA if entry.name in ("mask", "label")]
    arrays, _ = read_all(path, schema, {entry.name: getattr(settings, entry.name) for entry in schema}, "shape")
    if "mask" not in arrays:
        return None
    masks = arrays["mask"]
    classes = arrays["label"] if "label" in arrays else [""] * len(masks)
    return [count_cells(mask, settings, str(own), str(path)) for mask, own in zip(masks, classes, strict=True)]


def _read_own(acquisition: Acquisition, index: int, number: int) -> CellCrop:
    """Take one cell of a file that unflat wrote: it is on its grid, and its brightness stays as it is.

    Args:
        acquisition: Entries that were read.
        index: Index of the entry among them.
        number: Index of the entry in the file.
    """
    crop = _whole_crop(acquisition, index, number, acquisition["images"][index])
    mask = np.asarray(acquisition["mask"][index], np.float32)
    binning = float(acquisition["binning"]) if "binning" in acquisition else 1.0
    place = read_place(acquisition, index)
    if place is not None:
        shift = grid_centre(len(mask)) * binning
        place = replace(place, origin=(place.origin[0] - shift, place.origin[1] - shift))
    inside = mask > 0.5
    border = outline_at_border(inside)
    if AT_BORDER in acquisition:
        border = max(border, float(acquisition[AT_BORDER][index]))
    sections = tuple(read_sections(acquisition)[index])
    return replace(
        crop, mask=_filled_share(mask), binning=binning, place=place, outline_at_border=border, sections=sections
    )


def _read_crops(
    settings: ShapeAcquisition, acquisition: Acquisition, index: int, number: int, notes: CellNotes
) -> list[CellCrop]:
    """Cut the cells of one entry out of the stack of another program.

    Args:
        settings: Section of the config.
        acquisition: Entries that were read.
        index: Index of the entry among them.
        number: Index of the entry in the file.
        notes: Places in the masks that are reported together.

    Raises:
        DataError: If the mask makes no sense.
    """
    place = acquisition.place("images", PATHS)
    image, values = without_dark(acquisition["images"][index], settings.dark, place), acquisition["mask"][index]
    crop = _whole_crop(acquisition, index, number, _normalise_stored(image))
    mask = interpret_mask(values, image, settings, crop.where)
    if values.dtype.kind == "f" and values.max(initial=0) <= 1 and mask.labels is None:
        mask = Mask(np.asarray(values, np.float32))  # Shares as they are, whatever the largest.
    notes.add_dark_level(image, mask.share, crop.name)
    file = f"{Path(acquisition.source).name}[{number}]"
    crops, places = cut_out(replace(crop, mask=mask.share, place=CellPlace(file)), mask, settings, numbered=False)
    notes.add(places)
    factor = float(crop.image.max(initial=0)) / (float(image.max(initial=0)) or 1.0)  # One exposure has one scale.
    sections = [
        replace(
            one,
            mask=None if one.mask is None else _section_share(one.mask, settings, acquisition.place(MASK, PATHS)),
            image=None
            if one.image is None
            else np.asarray(without_dark(one.image, settings.dark, place) * factor, np.float32),
        )
        for one in read_sections(acquisition)[index]
    ]
    return with_sections(crops, sections, image.shape)


def _names(acquisition: Acquisition, entries: list[int] | None) -> list[str]:
    """Name of each cell that was read, for messages."""
    if "name" in acquisition:
        return [str(name) for name in acquisition["name"]]
    return [f"cell_{number}" for number in entries or range(len(acquisition["images"]))]


def _whole_crop(acquisition: Acquisition, index: int, number: int, image: np.ndarray) -> CellCrop:
    """Make the crop of a whole entry, whose mask is to follow."""
    return CellCrop(
        str(acquisition["name"][index]) if "name" in acquisition else f"cell_{number}",
        str(acquisition["label"][index]) if "label" in acquisition else "",
        f"{acquisition.place('mask', PATHS)}[{number}]",
        image,
        np.zeros(image.shape, np.float32),
        None if acquisition.truth is None else _occupancy(acquisition.truth, number, f"{acquisition.source}:/truth"),
        voxel_of(acquisition),
    )


def _normalise_stored(image: np.ndarray) -> np.ndarray:
    """Scale an image of unknown data type to 0…1; whole numbers up to 255 count as 8 bit."""
    top = float(image.max(initial=0))
    whole = 1 < top <= 255 and np.array_equal(image, np.round(image))
    return normalise_image(image, 255.0 if whole else None)


def _filled_share(values: np.ndarray) -> np.ndarray:
    """Return values of 0…1 unchanged, larger ones relative to the maximum."""
    return normalise_mask(values) if values.max(initial=0) > 1 else np.asarray(values, np.float32)


def _section_share(values: np.ndarray, settings: ShapeAcquisition, where: str) -> np.ndarray:
    """Interpret the mask of a further section; shares of 0…1 stay as they are."""
    if settings.outside == "auto" and values.max(initial=0) <= 1:
        return np.asarray(values, np.float32)
    return interpret_mask(values, None, settings, where).share


def _occupancy(truth: Volume, number: int, where: str) -> np.ndarray:
    """Return the occupancy of a single cell.

    Raises:
        DataError: If no quantity of the truth distinguishes inside and outside.
    """
    own = {name: values[number, 0] for name, values in truth.values.items()}
    if OCCUPANCY.name in own:
        return _filled_share(own[OCCUPANCY.name])
    one = Volume(truth.kind, truth.z, truth.y, truth.x, own, truth.quantities)
    return binarize(one, where).astype(np.float32)


def _grid_size(settings: ShapeAcquisition, acquisition: Acquisition, path: Path) -> int:
    """Edge of the grid for a file that unflat wrote: its own, unless a spacing is requested."""
    height, width = acquisition["images"].shape[1:]
    if height != width or settings.spacing != "auto":
        return settings.size
    if height != settings.size:
        _log.info("%s: its cells are on a grid of %d pixels already, which is kept", path, height)
    return int(height)


def _is_own(path: Path) -> bool:
    """Tell whether unflat wrote an acquisition: its cells are on a grid, one an entry."""
    if not is_hdf5(path):
        return False
    with open_checked(path) as file:
        format_name, creator = (text_of(file.attrs.get(key, "")) for key in ("format", "creator"))
    return format_name == "unflat-acquisition" and creator.startswith("unflat ")
