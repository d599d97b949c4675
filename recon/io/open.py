"""Open a measurement, whatever its format. The file's first bytes tell, not its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError, Diagnostic
from ..experiments.crystal.aps_34idc import is_scan, open_scan
from .cxi import CxiArrayTree, is_cxi
from .hdf5 import Hdf5ArrayTree, open_hdf5
from .lazy_arrays import ArrayTree
from .npz_and_matlab import open_matlab5, open_npz
from .tiff import open_folder, open_stack

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_READABLE = (
    "HDF5, CXI, TIFF and OME-TIFF, a folder of TIFFs, a raw scan of 34-ID-C (spec and TIFF, or a zip), MATLAB and "
    "NPZ files can be read"
)


@contextmanager
def open_tree(path: Path) -> Iterator[ArrayTree]:
    """Open a file, a folder of TIFFs, a beamline's scan, or a pattern such as ``scan/image_*.tif``.

    Args:
        path: What to open. A name with ``*`` or ``?`` in its last part is a pattern.

    Raises:
        DataError: If it is missing, forbidden, torn, or of no format that is known.
    """
    if path.exists() and is_scan(path):
        with open_scan(path) as scan:
            yield scan
    elif path.is_dir():
        yield open_folder(path)
    elif not path.exists() and set("*?[") & set(path.name):
        yield open_folder(path.parent, path.name)
    else:
        form = _format(path)
        if form in ("HDF5", "MATLAB v7.3"):
            with open_hdf5(path) as file:
                yield CxiArrayTree(path, file) if is_cxi(file) else Hdf5ArrayTree(path, file, form)
        else:
            opener = {"TIFF": open_stack, "NPZ": open_npz, "MATLAB v5": open_matlab5}[form]
            with opener(path) as tree:
                yield tree


def _format(path: Path) -> str:
    """Tell a file's format from its first bytes.

    Raises:
        DataError: If it cannot be read, or none is known.
    """
    head = first_bytes(path, 4096)
    # HDF5 may begin after a user block of 512, 1024, 2048… bytes; MATLAB's v7.3 files do.
    if any(head[start : start + 8] == _HDF5 for start in (0, 512, 1024, 2048)):
        return "MATLAB v7.3" if head.startswith(b"MATLAB 7.3") else "HDF5"
    if head[:4] in _TIFF:
        return "TIFF"
    if head.startswith(b"PK\x03\x04") and path.suffix != ".zip":
        return "NPZ"
    if head.startswith(b"MATLAB 5.0"):
        return "MATLAB v5"
    if not head:
        raise DataError(Diagnostic(str(path), "the file is empty", "copy or acquire it again"))
    if path.suffix.lower() in (".h5", ".hdf5", ".hdf", ".nxs", ".cxi"):
        message = f"is no HDF5 file, though its name says so: it begins with {head[:8]!r}"
        raise DataError(Diagnostic(str(path), message, _READABLE))
    raise DataError(Diagnostic(str(path), f"is of an unknown format: it begins with {head[:8]!r}", _READABLE))


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
    except PermissionError as error:
        raise DataError(
            Diagnostic(str(path), "no permission to read it", f"chmod u+r '{path}', or ask its owner")
        ) from error
    except OSError as error:
        raise DataError(Diagnostic(str(path), f"cannot be read: {error.strerror}")) from error


def _nearest(path: Path) -> str:
    from difflib import get_close_matches

    try:
        found = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    except OSError:
        return f"there is no folder {path.parent}"
    return f"did you mean '{path.parent / found[0]}'?" if found else "check the name"
