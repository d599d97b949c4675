"""Volume files of all formats, by the extension of their name.

| extension                      | format                          | lengths | quantities       |
|--------------------------------|---------------------------------|---------|------------------|
| ``.h5``, ``.hdf5``             | ours: NeXus data in HDF5        | m       | all              |
| ``.ome.tif``, ``.tif``, ``.tiff`` | OME-TIFF, float32            | µm      | all, as channels |
| ``.mrc``                       | MRC2014, float32                | Å       | one              |
| ``.vti``                       | VTK XML image data, float32     | m       | all, as arrays   |
| ``.npz``                       | NumPy arrays ``z y x`` and more | m       | all              |
| ``.cxi``                       | CXI, as PyNX writes and silx shows it | m | all              |
| ``.ome.zarr``, ``.zarr``       | OME-Zarr 0.5, a folder; float32 | µm      | all, as channels |

Results of cohere and PyNX are read as well: ``image.npy`` (or its folder), ``.npz``, ``.cxi``.

The module of a format has ``write(volume, path)`` and ``read(path, options)``; those of other programs' formats also
have ``outline(path)``. They are imported when they are needed.

A file that does not give the distance of its samples is read in voxels.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic
from ..sampled import Point3
from ..volume import Volume
from . import npz
from .atomic import require_writable_name, write_atomically
from .atomic_folder import require_writable_folder, write_folder_atomically
from .guard import guard, require_file
from .metadata import VolumeOptions, even_axes, select_quantity
from .ome_set import COMPANION
from .phasing_programs import read_phased
from .zarr_store import is_zarr


@dataclass(frozen=True)
class VolumeFormat:
    """Format of volume files.

    Args:
        name: Name of the format, for people.
        module: Module of this package that reads and writes it.
        extensions: Extensions of file names.
        read_only: Further extensions of files that are read, and not written.
        is_real: Whether it holds real numbers only.
        has_one_quantity: Whether a file holds one quantity only.
        has_outline: Whether its module reads the header alone.
        has_detector_frame: Whether it has a place for a density on the detector's frame.
        is_folder: Whether a volume is a folder.
    """

    name: str
    module: str
    extensions: tuple[str, ...]
    read_only: tuple[str, ...] = ()
    is_real: bool = False
    has_one_quantity: bool = False
    has_outline: bool = False
    has_detector_frame: bool = False
    is_folder: bool = False

    @property
    def functions(self) -> Any:
        """Module that reads and writes the format."""
        return import_module(f".{self.module}", __package__)


FORMATS = (
    VolumeFormat("HDF5", "volume_hdf5", (".h5", ".hdf5")),
    VolumeFormat(
        "OME-TIFF",
        "volume_tiff",
        (".ome.tif", ".ome.tiff", ".tif", ".tiff"),
        read_only=(COMPANION,),
        is_real=True,
        has_outline=True,
    ),
    VolumeFormat("MRC map", "mrc", (".mrc",), is_real=True, has_one_quantity=True, has_outline=True),
    VolumeFormat("VTK image data", "vti", (".vti",), is_real=True, has_outline=True),
    VolumeFormat("NPZ", "npz", (".npz",)),
    VolumeFormat("CXI", "volume_cxi", (".cxi",), has_detector_frame=True),
    VolumeFormat("OME-Zarr", "volume_zarr", (".ome.zarr", ".zarr"), is_real=True, is_folder=True),
)
EXTENSIONS = tuple(extension for form in FORMATS for extension in form.extensions)


def find_format(path: Path) -> VolumeFormat | None:
    """Return the format of a volume file that is read by its name; None if its extension is unknown."""
    name = path.name.lower()
    return next((form for form in FORMATS if name.endswith((*form.extensions, *form.read_only))), None)


def require_format(path: Path, *, to_read: bool = False) -> VolumeFormat:
    """Return the format of a volume file by its name.

    Args:
        path: The file.
        to_read: Whether it is one to read, and not to write.

    Raises:
        ConfigError: If its extension is unknown.
    """
    form = find_format(path)
    if form is None or not (to_read or path.name.lower().endswith(form.extensions)):
        raise ConfigError(
            Diagnostic(str(path), "has no extension of a volume file", f"use one of {', '.join(EXTENSIONS)}")
        )
    return form


def require_writable(path: Path) -> None:
    """Raise an error for a name at which no volume can be written, before a long computation.

    Raises:
        ConfigError: If its extension is unknown.
        DataError: If the folder is missing, or something else is there.
    """
    if require_format(path).is_folder:
        require_writable_folder(path, is_zarr)
    else:
        require_writable_name(path)


def save(volume: Volume, path: str | os.PathLike[str], detector: Volume | None = None) -> None:
    """Write a volume in the format of the name's extension; the file appears whole or not at all.

    Args:
        volume: The volume.
        path: The file.
        detector: Density on the detector's frame, for a format that has a place for it (CXI).

    Raises:
        ConfigError: If the extension is unknown, or the format cannot hold the volume.
        DataError: If the disk refuses.
    """
    path = Path(path)
    form = require_format(path)
    if form.has_one_quantity and len(volume.values) > 1:
        message = f"this format holds one quantity, not {len(volume.values)} ({', '.join(volume.values)})"
        raise ConfigError(Diagnostic(str(path), message, "choose one with --quantity, or write .h5"))
    complex_names = [name for name, array in volume.values.items() if np.iscomplexobj(array)]
    if form.is_real and complex_names:
        message = f"this format holds real numbers, and {complex_names[0]} is complex"
        raise ConfigError(Diagnostic(str(path), message, "write .h5 or .npz, or choose a real quantity"))
    if form.is_folder:
        with write_folder_atomically(path, is_zarr) as temporary:
            form.functions.write(volume, temporary)
        return
    with write_atomically(path) as temporary:
        second = (detector,) if detector is not None and form.has_detector_frame else ()
        form.functions.write(volume, temporary, *second)


def read_volume(path: str | os.PathLike[str], spacing: Sequence[float] | None = None, kind: str = "") -> Volume:
    """Read a volume file of any of the formats, or the truth inside an acquisition.

    Args:
        path: The file.
        spacing: [m] Distance between samples (z, y, x), centred on the origin: replaces that of the file.
        kind: Kind of experiment if the file does not give it; empty if it is unknown.

    Returns:
        The volume; in voxels if neither the file nor the caller gives the distance of its samples.

    Raises:
        ConfigError: If the extension is unknown.
        DataError: If the file is missing, truncated, no volume, or gives the distance along some axes only.
    """
    return read_volume_with(Path(path), VolumeOptions(_checked_spacing(spacing), kind))


def read_volume_with(path: Path, options: VolumeOptions) -> Volume:
    """Read a volume file as `read_volume` does, with all options.

    Raises:
        ConfigError: If the extension is unknown, or there is no such quantity or time.
        DataError: If the file is missing, truncated, or no volume.
    """
    if path.is_dir() and not is_zarr(path):
        volume = _read_phased(path)
    elif path.suffix.lower() == ".npy":
        require_file(path)
        with guard(path, "the NPY file"):
            volume = npz.read_array(path, options)
    else:
        form = require_format(path, to_read=True)
        if not form.is_folder or not path.is_dir():
            require_file(path)
        with guard(path, f"the {form.name} {'store' if form.is_folder else 'file'}"):
            volume = form.functions.read(path, options)
    volume = select_quantity(volume, options, path)
    if options.spacing is None or (options.is_hint and volume.length_unit == "m"):
        return volume
    z, y, x = even_axes(volume.shape, options.spacing)
    return replace(volume, z=z, y=y, x=x, length_unit="m")


def outline(path: Path) -> Volume | None:
    """Read the metadata of a volume of another program's format, and none of its samples.

    Returns:
        A volume of zeros that take no memory; its spacing is NaN if the file does not give it, and its kind empty.
        None if there is no such file, or one of another format, or a TIFF that may as well be a stack of images.

    Raises:
        DataError: If the file is truncated, or no volume.
    """
    form = find_format(path)
    if form is None or not form.has_outline or not path.is_file():
        return None
    with guard(path, f"the {form.name} file"):
        volume: Volume | None = form.functions.outline(path)
    return volume


def _read_phased(path: Path) -> Volume:
    """Read the result of a phasing program.

    Raises:
        DataError: If there is none.
    """
    volume = read_phased(path) if path.exists() else None
    if volume is None:
        problem = "holds no image.npy of cohere's" if path.is_dir() else "is no complex array of a phased density"
        message = problem if path.exists() else "there is no such file"
        raise DataError(Diagnostic(str(path), message, f"a volume ends in one of {', '.join(EXTENSIONS)}"))
    return volume


def _checked_spacing(spacing: Sequence[float] | None) -> Point3 | None:
    """Return a spacing that a person gave, if it is three positive lengths."""
    if spacing is None:
        return None
    if len(spacing) != 3 or not all(np.isfinite(d) and d > 0 for d in spacing):
        raise ConfigError(f"a spacing of {tuple(spacing)} m; three positive lengths (z, y, x) are needed")
    return float(spacing[0]), float(spacing[1]), float(spacing[2])
