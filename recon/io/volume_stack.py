"""Volume files of many cells and draws: ``/volume/<quantity>`` is (cell, draw, z, y, x), all on the same three axes.

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
from .hdf5_common import BRICK, open_checked, text_of, write_root_attributes
from .safe_hdf5 import new_hdf5
from .volume_hdf5 import FORMAT, GROUP, axes_of, quantity_in, texts_of

_AXES = ["cell", "draw", "z", "y", "x"]


@dataclass(frozen=True)
class Member:
    """One draw of one cell.

    Args:
        cell: Its number.
        draw: The draw's number.
        name: The cell's name; empty if unknown.
        label: Its class; empty if unknown.
        volume: The draw.
    """

    cell: int
    draw: int
    name: str
    label: str
    volume: Volume


def counts(path: Path) -> tuple[int, int] | None:
    """Number of cells, and of draws of each; None of a file that holds no more than one volume."""
    if not path.is_file() or not h5py.is_hdf5(path):
        return None
    with open_checked(path) as file:
        group = file.get(GROUP)
        if not isinstance(group, h5py.Group):
            return None
        shapes = [item.shape for item in group.values() if isinstance(item, h5py.Dataset) and item.ndim == len(_AXES)]
        return (int(shapes[0][0]), int(shapes[0][1])) if shapes else None


def members(path: Path, cell: int | None = None, draw: int | None = None) -> Iterator[Member]:
    """Read the members one by one.

    Args:
        path: The file.
        cell: Only this cell.
        draw: Only this draw.

    Raises:
        ConfigError: If there is no such cell or draw.
        DataError: If the file is torn, or holds one volume only.
    """
    with open_checked(path, FORMAT) as file:
        group = file[GROUP]
        z, y, x, unit = axes_of(group)
        names = [n for n, item in group.items() if isinstance(item, h5py.Dataset) and item.ndim == len(_AXES)]
        if not names:
            raise DataError(Diagnostic(str(path), "holds one volume, and no cells and draws"))
        quantities = tuple(quantity_in(group[name], name) for name in names)
        cells, draws = group[names[0]].shape[:2]
        titles, labels = (_texts(file, key, cells) for key in ("name", "label"))
        kind = text_of(file.attrs.get("kind", "shape"))
        for c in _chosen("cell", cell, cells, path):
            for d in _chosen("draw", draw, draws, path):
                values = {name: group[name][c, d] for name in names}
                yield Member(c, d, titles[c], labels[c], Volume(kind, z, y, x, values, quantities, {}, unit))


def middle_of(draws: Sequence[Volume]) -> Volume:
    """The consensus of a cell's draws: at each sample the median of every quantity.

    Be it an occupancy or a signed distance, what is inside then is what more than half of the draws fill.

    Args:
        draws: On one lattice.
    """
    first = draws[0]
    values = {name: np.median([np.float32(draw.values[name]) for draw in draws], axis=0) for name in first.values}
    return replace(first, values=values)


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
        like: Its axes, kind, and the meaning of its first quantity.
        values: On its axes.
        names: Of the cells, if known.
        labels: Their classes, if known.

    Raises:
        DataError: If the shape is not that of the axes, or the disk refuses.
    """
    if values.shape[2:] != like.shape:
        raise DataError(f"values of the shape {values.shape} on axes of {like.shape} samples")
    quantity = like.quantities[0]
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, FORMAT, like.kind, GROUP)
        group = file.create_group(GROUP)
        group.attrs.update({"NX_class": "NXdata", "signal": quantity.name, "axes": _AXES})
        for name, axis in zip("zyx", (like.z, like.y, like.x), strict=True):
            group.create_dataset(name, data=axis).attrs.update({"units": like.length_unit})
        chunks = (1, 1, *(min(n, BRICK) for n in like.shape))
        dataset = group.create_dataset(quantity.name, data=values, chunks=chunks, compression="gzip", shuffle=True)
        dataset.attrs.update({"units": quantity.unit, "long_name": quantity.meaning or quantity.name})
        for key, texts in (("name", names), ("label", labels)):
            if len(texts):
                file.create_dataset(key, data=list(texts), dtype=h5py.string_dtype())


def names_and_labels(path: Path) -> tuple[list[str], list[str]]:
    """Names and classes of the cells of a volume file or an acquisition; empty where the file has none."""
    if not (path.is_file() and h5py.is_hdf5(path)):
        return [], []
    with open_checked(path) as file:
        return list(texts_of(file, "name")), list(texts_of(file, "label"))


def _texts(file: h5py.File, key: str, count: int) -> list[str]:
    if key not in file:
        return [""] * count
    found = list(texts_of(file, key))
    if len(found) != count:
        raise DataError(Diagnostic(f"{file.filename}:/{key}", f"holds {len(found)} texts for {count} cells"))
    return found


def _chosen(what: str, wanted: int | None, count: int, path: Path) -> Sequence[int]:
    if wanted is None:
        return range(count)
    if not 0 <= wanted < count:
        raise ConfigError(Diagnostic(str(path), f"has no {what} {wanted}", f"they are numbered 0 to {count - 1}"))
    return (wanted,)
