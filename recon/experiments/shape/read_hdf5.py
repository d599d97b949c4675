"""Cells of HDF5 files, ours and others, and of all else that is read like them: stacks (cell, y, x)."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...acquisition import Acquisition
from ...errors import DataError
from ...io.lazy_arrays import Index
from ...io.read import read_all
from ...volume import Volume
from .binarize import binarize
from .cell_crops import CellCrop, label_cells, normalise_image, normalise_mask, split_crop
from .cells import LoadedCells, select_cells
from .config import ShapeAcquisition
from .schema import OCCUPANCY, SCHEMA
from .validate import array_location, truth_faults

_log = logging.getLogger(__name__)


def read_hdf5(wanted: ShapeAcquisition, path: Path) -> LoadedCells:
    """Read the cells of a file.

    What unflat itself wrote is on its grid already, each cell by itself: so it stays.

    Args:
        wanted: The config.
        path: Of the file.

    Raises:
        DataError: With every fault of the file.
        ConfigError: If there are no such cells.
    """
    counts = None if wanted.cells == "all" else _counts(wanted, path)
    pairs = None if counts is None else select_cells(wanted, counts)
    entries = None if pairs is None else list(dict.fromkeys(entry for entry, _ in pairs))
    held: dict[str, int] = {}

    def select(sizes: Mapping[str, int]) -> Mapping[str, Index]:
        held.update(sizes)
        if entries is None or sizes.get("cell", 0) <= max(entries):  # Fewer images than masks: that will be told.
            return {}
        return {"cell": entries}

    names = {entry.name: getattr(wanted, entry.name) for entry in SCHEMA}
    acquisition, faults = read_all(path, SCHEMA, names, "shape", select)
    if not faults and acquisition.truth is not None:
        shape = (held["cell"], *acquisition["images"].shape[1:])
        faults = truth_faults(acquisition.truth, shape, _voxel(acquisition), str(path))
    if faults:
        raise DataError(*faults)
    numbers = list(range(held["cell"])) if entries is None else entries
    kept = _is_own(path)
    crops = {number: _crops(wanted, acquisition, i, number, kept) for i, number in enumerate(numbers)}
    every = [crop for own in crops.values() for crop in own]
    some = every if pairs is None else [crops[entry][cell] for entry, cell in pairs]
    size = _grid(wanted, acquisition, path) if kept else wanted.size
    several = "keep" if kept else wanted.several
    return LoadedCells(some, size, several, acquisition.attributes, acquisition.places)


def _counts(wanted: ShapeAcquisition, path: Path) -> list[int] | None:
    """Number of cells in each mask; None where there are none, of which reading itself will tell."""
    schema = [entry for entry in SCHEMA if entry.name in ("mask", "label")]
    found, _ = read_all(path, schema, {entry.name: getattr(wanted, entry.name) for entry in schema}, "shape")
    if "mask" not in found:
        return None
    masks = found["mask"]
    labels = found["label"] if "label" in found else [""] * len(masks)
    told = [label_cells(mask, None, wanted.several, str(label)) for mask, label in zip(masks, labels, strict=True)]
    return [1 if one is None else int(one.max()) for one in told]


def _crops(wanted: ShapeAcquisition, acquisition: Acquisition, index: int, number: int, kept: bool) -> list[CellCrop]:
    """The cells of one entry of the stack.

    Args:
        wanted: The config.
        acquisition: What was read.
        index: Of the entry among those that were read.
        number: Of it in the file.
        kept: Whether brightness is told as it is to stay.
    """
    image, mask = acquisition["images"][index], acquisition["mask"][index]
    label = str(acquisition["label"][index]) if "label" in acquisition else ""
    crop = CellCrop(
        str(acquisition["name"][index]) if "name" in acquisition else f"cell_{number}",
        label,
        f"{array_location(acquisition, 'mask')}[{number}]",
        image if kept else _bright(image),
        _share(mask),
        None if acquisition.truth is None else _filled(acquisition.truth, number, f"{acquisition.source}:/truth"),
        _voxel(acquisition),
    )
    return split_crop(crop, label_cells(mask, None, wanted.several, label), wanted.margin)


def _bright(image: np.ndarray) -> np.ndarray:
    """Brightness 0…1 of numbers whose type is no longer known: whole ones up to 255 are of 8 bit."""
    top = float(image.max(initial=0))
    whole = 1 < top <= 255 and np.array_equal(image, np.round(image))
    return normalise_image(image, 255.0 if whole else None)


def _share(values: np.ndarray) -> np.ndarray:
    """A share of 0…1 as it is, larger numbers relative to the largest."""
    return normalise_mask(values) if values.max(initial=0) > 1 else np.asarray(values, np.float32)


def _filled(truth: Volume, number: int, where: str) -> np.ndarray:
    """A cell's occupancy.

    Raises:
        DataError: If the truth tells no inside.
    """
    own = {name: values[number, 0] for name, values in truth.values.items()}
    if OCCUPANCY.name in own:
        return _share(own[OCCUPANCY.name])
    one = Volume(truth.kind, truth.z, truth.y, truth.x, own, truth.quantities)
    return binarize(one, where).astype(np.float32)


def _voxel(acquisition: Acquisition) -> tuple[float, float, float] | None:
    if "voxel_size" not in acquisition:
        return None
    z, y, x = (float(size) for size in acquisition["voxel_size"])
    return z, y, x


def _grid(wanted: ShapeAcquisition, acquisition: Acquisition, path: Path) -> int:
    """Edge of the grid of what unflat wrote: its own, unless another is asked for."""
    height, width = acquisition["images"].shape[1:]
    if height != width or wanted.spacing != "auto":
        return wanted.size
    if height != wanted.size:
        _log.info("%s: its cells are on a grid of %d pixels already, which is kept", path, height)
    return int(height)


def _is_own(path: Path) -> bool:
    """Whether unflat wrote an acquisition: its cells are on a grid, and were told apart before."""
    import h5py

    if not (path.is_file() and h5py.is_hdf5(path)):
        return False
    with h5py.File(path) as file:
        told: Sequence[str] = [str(file.attrs.get(key, "")) for key in ("format", "creator")]
    return told[0] == "unflat-acquisition" and told[1].startswith("unflat ")
