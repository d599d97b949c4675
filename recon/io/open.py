"""Opening of measurements of all formats, which are identified by the first bytes of the file."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..config.advice import did_you_mean
from ..errors import DataError, Diagnostic
from .cxi import CxiArrayTree, is_cxi
from .guard import COPY_AGAIN, guard, guard_tree, opening_fault
from .hdf5 import Hdf5ArrayTree, open_hdf5
from .hdf5_common import text_of
from .image_folder import open_folder
from .image_stack import open_stack
from .inputs import record_input
from .lazy_arrays import ArrayTree
from .matlab import open_matlab5
from .name_pattern import has_fields
from .nexus import NexusArrayTree
from .npz import open_npy, open_npz
from .ome_set import is_ome_xml
from .picture import open_picture, picture_form
from .scan_files import open_fio, open_spec
from .text_table import TABLE, open_table
from .zarr_store import is_zarr, open_zarr

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TABLES = (".csv", ".tsv", ".txt", ".dat", ".asc")
_READABLE = (
    "HDF5",
    "CXI",
    "TIFF and OME-TIFF",
    "PNG, JPEG and BMP",
    "a folder of images",
    "zarr",
    "MATLAB",
    "NPZ",
    "NPY",
    "spec",
    "FIO",
    "text tables",
)


@dataclass(frozen=True)
class Reader:
    """Reader of a format of one instrument, provided by an experiment.

    Args:
        format: Name of the format, for messages.
        matches: Test whether a path is of this format; must be quick.
        open: Open a path as a tree of arrays. Whatever it raises is reported as a fault of the file.
    """

    format: str
    matches: Callable[[Path], bool]
    open: Callable[[Path], AbstractContextManager[ArrayTree]]


@contextmanager
def open_tree(path: Path, readers: Sequence[Reader] = ()) -> Iterator[ArrayTree]:
    """Open a file, a folder of TIFFs, or a pattern such as ``scan/image_*.tif``.

    Args:
        path: File or folder. A name with ``*`` or ``?`` in its last part is a pattern.
        readers: Readers of further formats, tried first.

    Raises:
        DataError: If it is missing, forbidden, truncated, or of no format that is known.
    """
    record_input(path, "its acquisition")
    with ExitStack() as stack:
        with guard(path):
            tree = stack.enter_context(_open_any(path, readers))
        yield guard_tree(tree)


@contextmanager
def _open_any(path: Path, readers: Sequence[Reader]) -> Iterator[ArrayTree]:
    """Open a path by the reader of its format."""
    reader = next((reader for reader in readers if path.exists() and reader.matches(path)), None)
    if reader is not None:
        with reader.open(path) as tree:
            yield tree
    elif is_zarr(path):
        with open_zarr(path) as tree:
            yield tree
    elif path.is_dir():
        yield open_folder(path)
    elif not path.exists() and (set("*?[") & set(path.name) or has_fields(path.name)):
        yield open_folder(path.parent, path.name)
    else:
        form = _format(path, readers)
        if form in ("HDF5", "MATLAB v7.3"):
            with open_hdf5(path) as file:
                yield _hdf5_tree(path, file, form)
        else:
            with _opener(form)(path) as tree:
                yield tree


def _hdf5_tree(path: Path, file: Any, form: str) -> ArrayTree:
    """Present an open HDF5 file by the conventions that it follows."""
    if is_cxi(file):
        return CxiArrayTree(path, file)
    is_plain = form != "HDF5" or text_of(file.attrs.get("format", "")).startswith("unflat")  # MATLAB's, and our own.
    return Hdf5ArrayTree(path, file, form) if is_plain else NexusArrayTree(path, file)


@contextmanager
def _read_at_once(path: Path, read: Callable[[Path], ArrayTree]) -> Iterator[ArrayTree]:
    """Open a file of text, of which nothing stays open."""
    yield read(path)


def _opener(form: str) -> Callable[[Path], AbstractContextManager[ArrayTree]]:
    """Return the function that opens files of a format, HDF5 excepted."""
    openers: dict[str, Callable[[Path], AbstractContextManager[ArrayTree]]] = {
        "TIFF": open_stack,
        "picture": open_picture,
        "NPZ": open_npz,
        "NPY": open_npy,
        "MATLAB v5": open_matlab5,
        "spec": partial(_read_at_once, read=open_spec),
        "FIO": partial(_read_at_once, read=open_fio),
        TABLE: partial(_read_at_once, read=open_table),
    }
    return openers[form]


def _format(path: Path, readers: Sequence[Reader]) -> str:
    """Identify a file's format by its first bytes.

    Raises:
        DataError: If it cannot be read, or none is known.
    """
    head = first_bytes(path, 4096)
    # HDF5 may begin after a user block of 512, 1024, 2048… bytes; MATLAB's v7.3 files do.
    if any(head[start : start + 8] == _HDF5 for start in (0, 512, 1024, 2048)):
        return "MATLAB v7.3" if head.startswith(b"MATLAB 7.3") else "HDF5"
    if head[:4] in _TIFF or is_ome_xml(head):
        return "TIFF"
    if picture_form(head):
        return "picture"
    if head.startswith(b"PK\x03\x04") and path.suffix != ".zip":
        return "NPZ"
    if head.startswith(b"MATLAB 5.0"):
        return "MATLAB v5"
    if head.startswith(b"\x93NUMPY"):
        return "NPY"
    if text := _text_format(path, head):
        return text
    readable = ", ".join((*_READABLE, *(reader.format for reader in readers))) + " can be read"
    if not head:
        raise DataError(Diagnostic(str(path), "the file is empty", COPY_AGAIN))
    if path.suffix.lower() in (".h5", ".hdf5", ".hdf", ".nxs", ".cxi"):
        message = f"is no HDF5 file, though its name says so: it begins with {head[:8]!r}"
        raise DataError(Diagnostic(str(path), message, readable))
    raise DataError(Diagnostic(str(path), f"is of an unknown format: it begins with {head[:8]!r}", readable))


def _text_format(path: Path, head: bytes) -> str:
    """Identify a format of text; empty for others, and for an empty file."""
    extension = path.suffix.lower()
    if re.search(rb"(?m)^#[FS] ", head):
        return "spec"
    if extension == ".fio" and head:
        return "FIO"
    is_text = b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return TABLE if head.strip() and is_text and extension in (*_TABLES, "") else ""


def first_bytes(path: Path, count: int) -> bytes:
    """Read the beginning of a file.

    Raises:
        DataError: If it is missing or forbidden.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except FileNotFoundError as error:
        raise DataError(Diagnostic(str(path), "there is no such file", _nearest(path))) from error
    except OSError as error:
        raise DataError(opening_fault(str(path), error)) from error


def _nearest(path: Path) -> str:
    """Return a remedy for a missing file: the nearest name in its folder."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent}"
    return did_you_mean(path.name, names, show=lambda name: str(path.parent / name)) or "check the name"
