"""Root attributes, format version and checked opening of our own HDF5 files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..config.advice import shell
from ..errors import DataError, Diagnostic
from .guard import COPY_AGAIN, guard, require_file
from .hdf5_faults import explain
from .hdf5_file import open_careful
from .json_text import parse_json

FORMAT_VERSION = "1.0"
_NEWEST = {"unflat-model": "3.0"}
"""Newest version of the formats that have a later one than `FORMAT_VERSION`."""
ROOT_ATTRIBUTES = frozenset({"format", "format_version", "creator", "created", "kind", "default", "NX_class"})
"""Names of the attributes that every file of ours has at its root."""
BRICK = 64
"""Number of samples along each edge of a chunk of a volume."""


def write_root_attributes(
    file: h5py.File, format_name: str, kind: str | None, default: str, version: str = FORMAT_VERSION
) -> None:
    """Write the root attributes of one of our files.

    Args:
        file: The file.
        format_name: ``unflat-acquisition``, ``unflat-volume``, ``unflat-model`` or another of ours.
        kind: Kind of experiment; None if the file is the same for all, empty if it is unknown.
        default: Group that viewers show first.
        version: Version of the format; readers of its major version open the file.
    """
    from ..version import __version__

    file.attrs.update(
        {
            "format": format_name,
            "format_version": version,
            **({"kind": kind} if kind else {}),
            "creator": f"unflat {__version__}",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "NX_class": "NXroot",
            "default": default,
        }
    )


def mark_as_plot(group: h5py.Group, signal: str, axes: Sequence[str], others: Sequence[str] = ()) -> None:
    """Mark a group as NXdata, which silx, H5Web and NeXpy plot at once.

    Args:
        group: Group with the signal and its axes.
        signal: Name of the dataset to plot.
        axes: Name of the dataset of each axis; ``.`` for an axis without coordinates.
        others: Names of further datasets of the shape of the signal.
    """
    group.attrs.update({"NX_class": "NXdata", "signal": signal, "axes": list(axes)})
    group.attrs.update({f"{name}_indices": index for index, name in enumerate(axes) if name != "."})
    if others:
        group.attrs["auxiliary_signals"] = list(others)


@contextmanager
def open_checked(path: Path, *format_names: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for a block that does no more than read it, with every fault reported in one line.

    Whatever the block raises is a fault of the file: a name that is missing, a group in place of a dataset, a chunk
    that cannot be decoded, text in place of a number.

    Args:
        path: The file.
        format_names: Accepted values of its ``format`` attribute; any HDF5 file is accepted if there are none.

    Yields:
        The open file.

    Raises:
        DataError: If the file is missing, truncated, not HDF5, of another format, or lacks an object that is read.
    """
    require_file(path)
    with guard(path, "the HDF5 file", explain(str(path))), open_careful(path) as file:
        _require_format(path, file, format_names)
        yield file


def is_hdf5(path: Path) -> bool:
    """Whether there is a file at a path, and it is HDF5."""
    return path.is_file() and bool(h5py.is_hdf5(path))


def text_of(value: object) -> str:
    """Return an attribute or a text dataset, which h5py may give as bytes, as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def texts_of_attribute(node: h5py.HLObject, name: str) -> list[str]:
    """Return the texts of an attribute that is one text or a row of them; nothing if there is none."""
    value = node.attrs.get(name)
    return [] if value is None or isinstance(value, h5py.Empty) else [text_of(v) for v in np.ravel(np.asarray(value))]


def group_in(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group of a group.

    Raises:
        DataError: If it is missing, or no group.
    """
    group = parent.get(name)
    if isinstance(group, h5py.Group):
        return group
    place = f"{parent.file.filename}:{parent.name.rstrip('/')}/{name}"
    raise DataError(Diagnostic(place, "is missing" if group is None else "is no group", COPY_AGAIN))


def read_json(dataset: h5py.Dataset) -> Any:
    """Read a text dataset that holds JSON.

    Raises:
        DataError: If the text is no JSON.
    """
    try:
        return parse_json(text_of(dataset[()]))
    except ValueError as error:
        place = f"{dataset.file.filename}:{dataset.name}"
        raise DataError(Diagnostic(place, f"is no JSON ({error})", COPY_AGAIN)) from error


def number_or_text(value: object) -> float | str:
    """Return a scalar attribute as text or a number; the text of one that is neither."""
    if isinstance(value, bytes | str):
        return text_of(value)
    is_number = isinstance(value, int | float | np.number | np.bool_) and not isinstance(value, np.complexfloating)
    return float(value) if is_number else str(value)[:100]  # type: ignore[arg-type]


def read_numbers(group: h5py.Group, name: str, kinds: str = "iuf", axes: Sequence[int] = range(9)) -> np.ndarray:
    """Read an array of numbers.

    Args:
        group: Group that holds it.
        name: Name of the array in the group.
        kinds: Allowed kinds of data types, as NumPy names them.
        axes: Allowed numbers of axes.

    Raises:
        DataError: If it is missing, no array, of another type, or has other axes.
    """
    place, item = f"{group.file.filename}:{group.name.rstrip('/')}/{name}", group.get(name)
    if item is None:
        raise DataError(Diagnostic(place, "is missing", COPY_AGAIN))
    if not isinstance(item, h5py.Dataset) or item.shape is None or item.dtype.kind not in kinds:
        raise DataError(Diagnostic(place, "is no array of numbers", COPY_AGAIN))
    if len(item.shape) not in axes:
        raise DataError(Diagnostic(place, f"has the shape {item.shape}", COPY_AGAIN))
    return np.asarray(item[()])


def require_version(path: Path, version: str, newest: str = FORMAT_VERSION) -> None:
    """Raise an error for a file of a later format.

    Args:
        path: The file.
        version: Version of its format.
        newest: Newest version that can be read.

    Raises:
        DataError: If its major version is not one from 1 to that of the newest.
    """
    major = version.split(".")[0]
    if not (major.isdecimal() and 1 <= int(major) <= int(newest.split(".")[0])):
        raise DataError(Diagnostic(str(path), f"format version {version}; this reads {newest}", "upgrade unflat"))


def _require_format(path: Path, file: h5py.File, names: tuple[str, ...]) -> None:
    if not names:
        return
    own = text_of(file.attrs.get("format", ""))
    if own not in names:
        message = f"a file of the format {own!r}" if own else "not one of our files (it has no format attribute)"
        raise DataError(
            Diagnostic(str(path), f"{message}; {' or '.join(names)} is needed", f"see: {shell('unflat', 'info', path)}")
        )
    version = text_of(file.attrs.get("format_version", FORMAT_VERSION))
    require_version(path, version, _NEWEST.get(own, FORMAT_VERSION))
