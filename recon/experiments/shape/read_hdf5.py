"""Cells of HDF5 files, and of other files that are read like them: stacks (cell, y, x)."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic
from ...io.hdf5_common import is_hdf5, open_checked, text_of
from ...io.lazy_arrays import Index
from ...io.read import read_all
from ...volume import Volume
from .binarize import binarize
from .cell_crops import (
    CellCrop,
    CellPlace,
    LoadedCells,
    is_cluster,
    normalise_image,
    normalise_mask,
    select_cells,
)
from .config import ShapeAcquisition
from .cut_out import cut_out, list_cells
from .labels import CellNotes, note_sentences
from .masks import Mask, interpret_mask
from .places import grid_centre, read_place
from .schema import OCCUPANCY, PATHS, SCHEMA
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
    numbers = list(range(count)) if entries is None else entries
    notes = CellNotes()
    faults: list[Diagnostic] = []
    crops: dict[int, list[CellCrop]] = {}
    for i, number in enumerate(numbers):
        try:
            if is_own:
                crops[number] = [_read_own(acquisition, i, number)]
            else:
                crops[number] = _read_crops(settings, acquisition, i, number, notes)
        except DataError as error:
            faults += error.faults
    every = [crop for own in crops.values() for crop in own]
    selected = every if pairs is None else [crops[entry][cell] for entry, cell in pairs if entry in crops]
    size = _grid_size(settings, acquisition, path) if is_own else settings.size
    several = "keep" if is_own else settings.several
    warnings = note_sentences(notes, settings.smallest)
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

    names = {entry.name: getattr(settings, entry.name) for entry in SCHEMA}
    acquisition, faults = read_all(path, SCHEMA, names, "shape", select, choice=settings.choice)
    if not faults and acquisition.truth is not None:
        shape = (sizes["cell"], *acquisition["images"].shape[1:])
        faults = truth_faults(acquisition.truth, shape, _voxel(acquisition), str(path))
    if faults:
        raise DataError(*faults)
    return acquisition, sizes["cell"]


def _count_cells(settings: ShapeAcquisition, path: Path) -> list[int] | None:
    """Count the cells of each mask; None without masks, which reading the file reports."""
    schema = [entry for entry in SCHEMA if entry.name in ("mask", "label")]
    arrays, _ = read_all(path, schema, {entry.name: getattr(settings, entry.name) for entry in schema}, "shape")
    if "mask" not in arrays:
        return None
    masks = arrays["mask"]
    classes = arrays["label"] if "label" in arrays else [""] * len(masks)
    return [_count(settings, mask, str(own), path) for mask, own in zip(masks, classes, strict=True)]


def _count(settings: ShapeAcquisition, values: np.ndarray, label: str, path: Path) -> int:
    """Count the cells of a mask; 1 if it makes no sense, so that the selection can leave it out."""
    try:
        mask = interpret_mask(values, None, settings, str(path), _largest(values))
        cells = list_cells(mask, settings, is_cluster(label), str(path))
    except DataError:
        return 1
    return 1 if cells is None else len(cells)


def _largest(values: np.ndarray) -> float | None:
    """Largest number of the data type; None for floating point."""
    return float(np.iinfo(values.dtype).max) if values.dtype.kind in "iu" else 1.0 if values.dtype == bool else None


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
    border = bool(inside[[0, -1]].any() or inside[:, [0, -1]].any())
    return replace(crop, mask=_filled_share(mask), binning=binning, place=place, touches_border=border)


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
    image, values = acquisition["images"][index], acquisition["mask"][index]
    crop = _whole_crop(acquisition, index, number, _normalise_stored(image))
    mask = interpret_mask(values, image, settings, crop.where, _largest(values))
    if values.dtype.kind == "f" and values.max(initial=0) <= 1 and mask.labels is None:
        mask = Mask(np.asarray(values, np.float32))  # Shares as they are, whatever the largest.
    file = f"{Path(acquisition.source).name}[{number}]"
    crops, places = cut_out(replace(crop, mask=mask.share, place=CellPlace(file)), mask, settings, numbered=False)
    notes.add(places)
    return crops


def _whole_crop(acquisition: Acquisition, index: int, number: int, image: np.ndarray) -> CellCrop:
    """Make the crop of a whole entry, whose mask is to follow."""
    return CellCrop(
        str(acquisition["name"][index]) if "name" in acquisition else f"cell_{number}",
        str(acquisition["label"][index]) if "label" in acquisition else "",
        f"{acquisition.place('mask', PATHS)}[{number}]",
        image,
        np.zeros(image.shape, np.float32),
        None if acquisition.truth is None else _occupancy(acquisition.truth, number, f"{acquisition.source}:/truth"),
        _voxel(acquisition),
    )


def _normalise_stored(image: np.ndarray) -> np.ndarray:
    """Scale an image of unknown data type to 0…1; whole numbers up to 255 count as 8 bit."""
    top = float(image.max(initial=0))
    whole = 1 < top <= 255 and np.array_equal(image, np.round(image))
    return normalise_image(image, 255.0 if whole else None)


def _filled_share(values: np.ndarray) -> np.ndarray:
    """Return values of 0…1 unchanged, larger ones relative to the maximum."""
    return normalise_mask(values) if values.max(initial=0) > 1 else np.asarray(values, np.float32)


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


def _voxel(acquisition: Acquisition) -> tuple[float, float, float] | None:
    if "voxel_size" not in acquisition:
        return None
    z, y, x = (float(size) for size in acquisition["voxel_size"])
    return z, y, x


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
