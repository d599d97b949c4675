"""Root attributes, format version and checked opening of our own HDF5 files."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from typing import Any

import h5py

from ..errors import DataError, Diagnostic
from .json_text import parse_json

FORMAT_VERSION = "1.0"
ROOT_ATTRIBUTES = frozenset({"format", "format_version", "creator", "created", "kind", "default", "NX_class"})
"""Names of the attributes that every file of ours has at its root."""
BRICK = 64
"""Number of samples along each edge of a chunk of a volume."""


def write_root_attributes(file: h5py.File, format_name: str, kind: str | None, default: str) -> None:
    """Write the root attributes of one of our files.

    Args:
        file: The file.
        format_name: ``unflat-acquisition``, ``unflat-volume``, ``unflat-model`` or another of ours.
        kind: Kind of experiment; None if the file is the same for all, empty if it is unknown.
        default: Group that viewers show first.
    """
    from ..version import __version__

    file.attrs.update(
        {
            "format": format_name,
            "format_version": FORMAT_VERSION,
            **({"kind": kind} if kind else {}),
            "creator": f"unflat {__version__}",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "NX_class": "NXroot",
            "default": default,
        }
    )


@contextmanager
def open_checked(path: Path, *format_names: str) -> Iterator[h5py.File]:
    """Open one of our files for reading, with every fault of the file reported in one line.

    A fault of the file is an error raised inside h5py: a name that is missing, a group in place of a dataset, a chunk
    that cannot be decoded. Errors of the code in the block pass unchanged.

    Args:
        path: The file.
        format_names: Accepted values of its ``format`` attribute; any HDF5 file is accepted if there are none.

    Yields:
        The open file.

    Raises:
        DataError: If the file is missing, truncated, not HDF5, of another format, or lacks an object that is read.
    """
    if not path.is_file():
        raise DataError(Diagnostic(str(path), "there is no such file", "check the path"))
    try:
        with h5py.File(path) as file:
            _require_format(path, file, format_names)
            yield file
    except Exception as error:
        if not _is_raised_by_h5py(error):
            raise
        text = str(error).strip("\"'").splitlines()
        raise DataError(
            Diagnostic(str(path), f"cannot be read: {text[0] if text else type(error).__name__}", _remedy(path))
        ) from error


def _is_raised_by_h5py(error: Exception) -> bool:
    """Whether the innermost frame of an error's traceback lies in h5py."""
    module = ""
    for frame, _ in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] == "h5py"


def text_of(value: object) -> str:
    """Return an attribute or a text dataset, which h5py may give as bytes, as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def read_json(dataset: h5py.Dataset) -> Any:
    """Read a text dataset that holds JSON.

    Raises:
        DataError: If the text is no JSON.
    """
    try:
        return parse_json(text_of(dataset[()]))
    except ValueError as error:
        place = f"{dataset.file.filename}:{dataset.name}"
        raise DataError(Diagnostic(place, f"is no JSON ({error})", "the file is truncated: copy it again")) from error


def number_or_text(value: object) -> float | str:
    """Return a scalar attribute as text or a number."""
    return text_of(value) if isinstance(value, bytes | str) else float(value)  # type: ignore[arg-type]


def require_version(path: Path, version: str) -> None:
    """Raise an error for a file of a later format.

    Raises:
        DataError: If its major version is not ours.
    """
    if version.split(".")[0] != FORMAT_VERSION.split(".")[0]:
        raise DataError(
            Diagnostic(str(path), f"format version {version}; this reads {FORMAT_VERSION}", "upgrade unflat")
        )


def _require_format(path: Path, file: h5py.File, names: tuple[str, ...]) -> None:
    if not names:
        return
    own = text_of(file.attrs.get("format", ""))
    if own not in names:
        message = f"a file of the format {own!r}" if own else "not one of our files (it has no format attribute)"
        raise DataError(Diagnostic(str(path), f"{message}; {' or '.join(names)} is needed", f"see: unflat info {path}"))
    require_version(path, text_of(file.attrs.get("format_version", FORMAT_VERSION)))


def _remedy(path: Path) -> str:
    return (
        "the file is truncated or not HDF5: copy it again"
        if not h5py.is_hdf5(path)
        else "the file is truncated or incomplete"
    )
