"""Volume files of many cells and draws: ``/volume/<quantity>`` is (cell, draw, z, y, x), all on the same three axes.

The truth of an acquisition, ``/truth``, has the same layout. ``/consensus/<quantity>`` (cell, z, y, x), where there is
one, holds the one specimen that stands for the draws of a cell.

``/name`` and ``/label`` (cell,) hold text, where it is known. One member at a time is in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Num

from ..errors import ConfigError, DataError, Diagnostic
from ..volume import Volume
from .atomic import write_atomically
from .hdf5_common import BRICK, is_hdf5, mark_as_plot, open_checked, text_of, write_root_attributes
from .safe_hdf5 import new_hdf5
from .volume_hdf5 import CONSENSUS, FORMAT, GROUP, axes_of, quantity_in, read_cell_attributes, texts_of, volume_group

STACK_AXES = (".", ".", "z", "y", "x")
"""Axes of a volume of many cells and draws; those two have no coordinates."""


@dataclass(frozen=True)
class Member:
    """One draw of one cell, or the consensus of its draws.

    Args:
        cell: Number of the cell.
        draw: Number of the draw; None for the consensus.
        name: Name of the cell; empty if unknown.
        label: Class of the cell; empty if unknown.
        volume: Volume of the draw or the consensus.
    """

    cell: int
    draw: int | None
    name: str
    label: str
    volume: Volume

    @property
    def draw_name(self) -> int | str:
        """Number of the draw, or ``consensus``, for tables."""
        return CONSENSUS if self.draw is None else self.draw


def counts(path: Path) -> tuple[int, int] | None:
    """Return the numbers of cells, and of draws of each; None for a file that holds no more than one volume."""
    if not is_hdf5(path):
        return None
    with open_checked(path) as file:
        name = volume_group(file)
        if not name:
            return None
        group = file[name]
        shapes = [
            item.shape for item in group.values() if isinstance(item, h5py.Dataset) and item.ndim == len(STACK_AXES)
        ]
        return (int(shapes[0][0]), int(shapes[0][1])) if shapes else None


def members(path: Path, cell: int | None = None, draw: int | None = None) -> Iterator[Member]:
    """Read the cells one by one: the consensus, if the file holds it, and the draws.

    Args:
        path: The file.
        cell: Only this cell.
        draw: Only this draw, without the consensus.

    Raises:
        ConfigError: If there is no such cell or draw.
        DataError: If the file is truncated, or holds one volume only.
    """
    with open_checked(path) as file:
        group = file[volume_group(file) or GROUP]
        z, y, x, unit = axes_of(group)
        names = [n for n, item in group.items() if isinstance(item, h5py.Dataset) and item.ndim == len(STACK_AXES)]
        if not names:
            raise DataError(Diagnostic(str(path), "holds one volume, and no cells and draws"))
        quantities = tuple(quantity_in(group[name], name) for name in names)
        cells, draws = group[names[0]].shape[:2]
        cell_names, labels = (_texts(file, key, cells) for key in ("name", "label"))
        kind = text_of(file.attrs.get("kind", ""))
        attributes = read_cell_attributes(file, cells)
        consensus = {name: item for name in names if (item := file.get(f"{CONSENSUS}/{name}")) is not None}
        for c in _selected("cell", cell, cells, path):
            own = Volume(kind, z, y, x, {}, quantities, attributes[c], unit)
            if draw is None and len(consensus) == len(names):
                values = {name: item[c] for name, item in consensus.items()}
                yield Member(c, None, cell_names[c], labels[c], replace(own, values=values))
            for d in _selected("draw", draw, draws, path):
                values = {name: group[name][c, d] for name in names}
                yield Member(c, d, cell_names[c], labels[c], replace(own, values=values))


def consensus_of(specimens: Sequence[Member]) -> Member:
    """Select the consensus of a cell, or compute one where a file of an earlier version holds none.

    That is the median of every quantity at each sample: for an occupancy and a signed distance alike, a sample is then
    inside if more than half of the draws contain it.

    Args:
        specimens: Specimens of a cell, on one grid.
    """
    for member in specimens:
        if member.draw is None:
            return member
    first, volumes = specimens[0], [member.volume for member in specimens]
    values = {name: np.median([np.float32(one.values[name]) for one in volumes], axis=0) for name in volumes[0].values}
    return replace(first, draw=None, volume=replace(first.volume, values=values))


def write_many(
    path: Path,
    like: Volume,
    values: Num[np.ndarray, "cell draw z y x"],
    *,
    names: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> None:
    """Write one quantity of many cells and draws.

    Args:
        path: The file.
        like: Volume with the axes, the kind and, first, the quantity of the values.
        values: Values of the quantity on these axes.
        names: Names of the cells, if known.
        labels: Classes of the cells, if known.

    Raises:
        DataError: If the shape is not that of the axes, or the disk refuses.
    """
    if values.shape[2:] != like.shape:
        raise DataError(f"values of the shape {values.shape} on axes of {like.shape} samples")
    quantity = like.quantities[0]
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, FORMAT, like.kind, GROUP)
        group = file.create_group(GROUP)
        mark_as_plot(group, quantity.name, STACK_AXES)
        for name, axis in zip("zyx", (like.z, like.y, like.x), strict=True):
            unit = like.length_unit
            group.create_dataset(name, data=axis).attrs.update({"units": unit, "long_name": f"{name} ({unit})"})
        chunks = (1, 1, *(min(n, BRICK) for n in like.shape))
        dataset = group.create_dataset(
            quantity.name, data=values, chunks=chunks, compression="gzip", shuffle=True, fletcher32=True
        )
        dataset.attrs.update({"units": quantity.unit, "long_name": quantity.meaning or quantity.name})
        for key, texts in (("name", names), ("label", labels)):
            if len(texts):
                file.create_dataset(key, data=list(texts), dtype=h5py.string_dtype())


def names_and_labels(path: Path) -> tuple[list[str], list[str]]:
    """Read the names and classes of the cells of a volume file or an acquisition; empty if the file has none."""
    if not is_hdf5(path):
        return [], []
    with open_checked(path) as file:
        return list(texts_of(file, "name")), list(texts_of(file, "label"))


def _texts(file: h5py.File, key: str, count: int) -> list[str]:
    if key not in file:
        return [""] * count
    texts = list(texts_of(file, key))
    if len(texts) != count:
        raise DataError(Diagnostic(f"{file.filename}:/{key}", f"holds {len(texts)} texts for {count} cells"))
    return texts


def _selected(axis: str, number: int | None, count: int, path: Path) -> Sequence[int]:
    """Return one number, or all of them if it is None.

    Raises:
        ConfigError: If there is no such number.
    """
    if number is None:
        return range(count)
    if not 0 <= number < count:
        raise ConfigError(Diagnostic(str(path), f"has no {axis} {number}", f"they are numbered 0 to {count - 1}"))
    return (number,)
