"""Volume files of all formats, by the ending of their name.

| ending                         | format                          | lengths | quantities       |
|--------------------------------|---------------------------------|---------|------------------|
| ``.h5``, ``.hdf5``             | ours: NeXus data in HDF5        | m       | all              |
| ``.ome.tif``, ``.tif``, ``.tiff`` | OME-TIFF, float32            | µm      | all, as channels |
| ``.mrc``                       | MRC2014, float32                | Å       | one              |
| ``.vti``                       | VTK XML image data, float32     | m       | all, as arrays   |
| ``.npz``                       | NumPy arrays ``z y x`` and more | m       | all              |
| ``.cxi``                       | CXI, as PyNX writes and silx shows it | m | all              |

What cohere and PyNX write is read as well: ``image.npy`` (or its folder), ``.npz``, ``.cxi``.

Each module of a format has ``write(volume, path)`` and ``read(path, spacing, kind)``; those of other programs' formats
also have ``outline(path)``. Libraries are imported when they are needed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic
from ..volume import Volume
from .atomic import write_atomically
from .metadata import Corner, NoSpacingError, axes
from .phasing_programs import read_foreign

ENDINGS = {
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".ome.tif": "tiff",
    ".ome.tiff": "tiff",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".mrc": "mrc",
    ".vti": "vti",
    ".npz": "npz",
    ".cxi": "cxi",
}
REAL_ONLY = ("tiff", "vti", "mrc")
ONE_QUANTITY = ("mrc",)
OUTLINED = ("tiff", "vti", "mrc")
TWO_FRAMES = ("cxi",)


_MODULES = {"hdf5": "volume_hdf5", "tiff": "volume_tiff", "npz": "volume_npz", "cxi": "volume_cxi"}
"""Modules whose name is not the format's."""


def _module(name: str) -> Any:
    """Import the module of a format."""
    return import_module(f".{_MODULES.get(name, name)}", __package__)


def format_of(path: Path) -> str:
    """Tell a volume file's format from its name.

    Raises:
        ConfigError: If the ending is not one of ours.
    """
    name = path.name.lower()
    for ending, module in ENDINGS.items():
        if name.endswith(ending):
            return module
    raise ConfigError(Diagnostic(str(path), "has no ending of a volume file", f"use one of {', '.join(ENDINGS)}"))


def save(volume: Volume, path: str | os.PathLike[str], detector: Volume | None = None) -> None:
    """Write a volume in the format that the name's ending says, whole or not at all.

    Args:
        volume: The volume.
        path: The file.
        detector: A crystal's density on the detector's frame, for the format that has a place for it (CXI).

    Raises:
        ConfigError: If the ending is unknown, or the format cannot hold the volume.
        DataError: If the disk refuses.
    """
    path = Path(path)
    module = format_of(path)
    if module in ONE_QUANTITY and len(volume.values) > 1:
        message = f"this format holds one quantity, not {len(volume.values)} ({', '.join(volume.values)})"
        raise ConfigError(Diagnostic(str(path), message, "choose one with --quantity, or write .h5"))
    complex_ones = [name for name, array in volume.values.items() if np.iscomplexobj(array)]
    if module in REAL_ONLY and complex_ones:
        message = f"this format holds real numbers, and {complex_ones[0]} is complex"
        raise ConfigError(Diagnostic(str(path), message, "write .h5 or .npz, or choose a real quantity"))
    with write_atomically(path) as temporary:
        beside = (detector,) if detector is not None and module in TWO_FRAMES else ()
        _module(module).write(volume, temporary, *beside)


def read_volume(path: str | os.PathLike[str], spacing: Sequence[float] | None = None, kind: str = "cell") -> Volume:
    """Read a volume file of any of the formats, or the truth inside an acquisition.

    Args:
        path: The file.
        spacing: [m] Distance between samples (z, y, x), centred on the origin: replaces what the file says, and is
            needed where it says nothing (a plain TIFF).
        kind: Kind of experiment, where the file does not say.

    Raises:
        ConfigError: If the ending is unknown.
        DataError: If the file is missing, torn, or no volume.
    """
    path, known = Path(path), _corner(spacing)
    if path.is_dir() or path.suffix.lower() == ".npy":
        return _foreign(path)
    module = format_of(path)
    with _reading(path):
        volume: Volume = _module(module).read(path, known, kind)
    if known is None:
        return volume
    z, y, x = axes(volume.shape, known)
    return replace(volume, z=z, y=y, x=x, length_unit="m")


def read_stack(path: str | os.PathLike[str]) -> Volume:
    """Read a volume file whose samples need no size: where it tells none, coordinates count samples.

    Args:
        path: The file.

    Raises:
        ConfigError: If the ending is unknown.
        DataError: If the file is missing, torn, or no volume.
    """
    try:
        return read_volume(path)
    except NoSpacingError:
        return replace(read_volume(path, (1.0, 1.0, 1.0)), length_unit="voxel")


def outline(path: Path) -> Volume | None:
    """Read what a volume of another program's format says about itself, and none of its samples.

    Returns:
        A volume of zeros that take no memory; its spacing is NaN if the file does not say it, and its kind empty. None
        if there is no such file, or one of another format, or a TIFF that may as well be a stack of images.

    Raises:
        DataError: If the file is torn, or no volume.
    """
    module = next((m for e, m in ENDINGS.items() if path.name.lower().endswith(e) and m in OUTLINED), None)
    if module is None or not path.is_file():
        return None
    with _reading(path):
        found: Volume | None = _module(module).outline(path)
    return found


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say in one line what a reader finds wrong with a file."""
    if not path.is_file():
        raise DataError(Diagnostic(str(path), "there is no such file", "check the path"))
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # Readers of foreign files raise whatever they please.
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = "the file is torn, or is not what its ending says"
        raise DataError(Diagnostic(str(path), f"cannot be read: {text}", remedy)) from error


def _foreign(path: Path) -> Volume:
    """Read another program's result.

    Raises:
        DataError: If there is none.
    """
    found = read_foreign(path) if path.exists() else None
    if found is None:
        what = "holds no image.npy of cohere's" if path.is_dir() else "is no complex array of a phased crystal"
        message = what if path.exists() else "there is no such file"
        raise DataError(Diagnostic(str(path), message, f"a volume ends in one of {', '.join(ENDINGS)}"))
    return found


def _corner(spacing: Sequence[float] | None) -> Corner | None:
    """Check a spacing that a person gave."""
    if spacing is None:
        return None
    if len(spacing) != 3 or not all(np.isfinite(d) and d > 0 for d in spacing):
        raise ConfigError(f"a spacing of {tuple(spacing)} m; three positive lengths (z, y, x) are needed")
    return float(spacing[0]), float(spacing[1]), float(spacing[2])
