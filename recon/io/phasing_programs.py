"""Crystals phased by other programs: complex densities on the grid conjugate to the measured array.

They are converted to our convention: axes (frame, y, x), the crystal around sample ``n // 2``, counts = |FFT(density)|²
with the forward transform (e^(−iq·r)), whose phase is −G·u. The volume's attributes name the assumed convention.

| program | file                                  | axes stored   | transform to the detector      |
|---------|---------------------------------------|---------------|--------------------------------|
| cohere  | ``image.npy``, ``support.npy``        | (x, y, frame) | inverse: the density's conjugate |
| PyNX    | ``.cxi`` or ``.h5``, ``.npz`` with ``obj`` | (frame, y, x) | forward                   |

PyNX's file of modes (the decomposition of several solutions) has a further axis in front, and the first mode is the
density.

cohere reads and stacks its TIFF frames transposed (``utils.read_tif``), and goes to reciprocal space by ``ifft``
(``phasing.Rec.to_reciprocal_space``); PyNX keeps the order of the measured array and writes its object with the origin
in the middle (``CDI.save_obj_cxi``). Both crop or roll the array; only the crystal itself matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Complex, Shaped

from ..errors import DataError, Diagnostic
from ..sampled import Quantity
from ..volume import Volume, centred_axis
from .guard import guard
from .hdf5_common import text_of
from .hdf5_file import open_careful
from .npz_members import load_archive

ORDER = ("frame", "y", "x")
FRAME, DETECTOR = "frame", "detector"
"""Attribute of a volume, and its value where the axes are those of the measured array."""
KIND = "crystal"
"""Kind of experiment whose results these formats hold: a format that holds one kind only stands for the file's word."""
_CXI_IMAGES = ("entry_1/image_1", "entry_1/data_1")
QUANTITIES = (
    Quantity("density", "1", "complex density on the grid conjugate to the patterns"),
    Quantity("support", "1", "1 inside the crystal"),
)


@dataclass(frozen=True)
class Convention:
    """Convention in which a program writes a density.

    Args:
        program: Name of the program.
        axes: Names of the array's axes, slowest first.
        forward: Whether it goes to the detector by the forward transform, e^(−iq·r).
    """

    program: str
    axes: tuple[str, str, str] = ORDER
    forward: bool = True

    def __str__(self) -> str:
        return f"axes ({', '.join(self.axes)}), {'forward' if self.forward else 'inverse'} FFT to the detector"


COHERE = Convention("cohere", ("x", "y", "frame"), forward=False)
PYNX = Convention("PyNX")
UNKNOWN = Convention("an unknown program")


def on_detector(
    density: Complex[np.ndarray, "..."],
    support: Shaped[np.ndarray, "..."] | None,
    convention: Convention,
    choice: str = "",
) -> Volume:
    """Convert a density to our axes and our transform.

    Args:
        density: Array of three axes in the given convention, the crystal in the middle.
        support: Array of the same shape; None if there is none.
        convention: Convention of the program that wrote the arrays.
        choice: Part of the file's array that this is (``mode 0 of 5``); empty for the whole.

    Returns:
        A volume in voxels with ``density`` and ``support``; its attributes name the program and the convention.

    Raises:
        DataError: If the shapes differ, the density is 0 or not finite.
    """
    if density.ndim != 3 or not np.isfinite(density).all() or not density.any():
        problem = f"has the shape {density.shape}" if density.ndim != 3 else "is 0 everywhere, or not finite"
        raise DataError(f"the density of {convention.program} {problem}; a crystal is an array of three axes")
    order = tuple(convention.axes.index(axis) for axis in ORDER)
    moved = density.transpose(order)
    values: dict[str, np.ndarray] = {"density": (moved if convention.forward else moved.conj()).astype(np.complex64)}
    if support is not None:
        if support.dtype.kind not in "biuf":
            raise DataError(f"the support holds {support.dtype}; expected numbers")
        if support.shape != density.shape:
            raise DataError(f"the support has the shape {support.shape}, and the density {density.shape}")
        values["support"] = (support.transpose(order) != 0).astype(np.uint8)
    assumed = f"{choice}, {convention}" if choice else str(convention)
    return detector_volume(values, {"program": convention.program, "assumed": assumed})


def detector_volume(values: dict[str, np.ndarray], attributes: dict[str, str]) -> Volume:
    """Make a volume in voxels of arrays on the detector's frame.

    Args:
        values: ``density`` (frame, y, x), and ``support`` if there is one.
        attributes: Further attributes of the volume.
    """
    z, y, x = (centred_axis(n, 1.0) for n in values["density"].shape)
    own: dict[str, float | str] = {FRAME: DETECTOR, **attributes, "convention": "forward FFT: phase = -G.u"}
    return Volume(KIND, z, y, x, values, QUANTITIES[: len(values)], own, "voxel")


def read_phased(path: Path, axes: Sequence[str] | None = None) -> Volume | None:
    """Read a density that another program phased.

    Args:
        path: A ``.npy`` or ``.npz`` file, an HDF5 file with ``image`` or of CXI's layout, or the folder of cohere's
            results.
        axes: Names of the array's axes, if they are not the program's usual ones.

    Returns:
        The density on the detector's frame; None if this is no such file.

    Raises:
        DataError: If the file is truncated, or its array has not three axes.
    """
    if path.is_dir():
        file = next((path / name for name in ("image.npy", "image.h5") if (path / name).is_file()), None)
        return None if file is None else read_phased(file, axes)
    hdf5 = dict.fromkeys((".h5", ".hdf5", ".cxi"), _read_hdf5)
    reader = {".npy": _read_npy, ".npz": _read_npz, **hdf5}.get(path.suffix.lower())
    with guard(path):
        arrays = reader(path) if reader else None
    if arrays is None:
        return None
    density, support, convention, choice = arrays
    if axes is not None:
        convention = Convention(convention.program, _three(axes), convention.forward)
    try:
        return on_detector(density, support, convention, choice)
    except DataError as error:
        raise DataError(*(Diagnostic(str(path), fault.message) for fault in error.faults)) from error


_Arrays = tuple[np.ndarray, np.ndarray | None, Convention, str]
"""Density, support, convention, and the part of the file's array that the density is."""


def _read_npy(path: Path) -> _Arrays | None:
    """Read cohere's array, known by its name or by the support beside it; else an array in our own order."""
    density = np.load(path, allow_pickle=False)
    if not np.iscomplexobj(density):
        return None
    beside = path.with_name("support.npy")
    if path.name != "image.npy" and not beside.is_file():
        return density, None, UNKNOWN, ""
    return density, np.load(beside, allow_pickle=False) if beside.is_file() else None, COHERE, ""


def _read_npz(path: Path) -> _Arrays | None:
    """Read PyNX's archive, with ``obj``; any other complex array of three axes, in our own order."""
    with load_archive(path) as archive:
        for name in archive.files:
            if name not in ("obj", "data", "density", "image"):
                continue
            density, convention = archive[name], PYNX if name == "obj" else UNKNOWN
            if not np.iscomplexobj(density) or density.ndim != 3 + (density.ndim == 4 and convention is PYNX):
                continue
            support = archive["support"] if "support" in archive.files else None
            return *_first_mode(density, support), convention, _choice(density.shape)
    return None


def _read_hdf5(path: Path) -> _Arrays | None:
    """Read cohere's arrays in HDF5, ``image`` and ``support``, or those of CXI's layout."""
    with open_careful(path) as file:
        image = file.get("image")
        if not isinstance(image, h5py.Dataset) or image.dtype.kind != "c":
            return _read_cxi(file)
        support = file.get("support")
        return image[()], support[()] if isinstance(support, h5py.Dataset) else None, COHERE, ""


def _read_cxi(file: h5py.File) -> _Arrays | None:
    """Read the first density in CXI's layout; None for a measurement, and for a file of our own."""
    if text_of(file.attrs.get("creator", "")).startswith("unflat"):
        return None
    for name in _CXI_IMAGES:
        group = file.get(name)
        data = group.get("data") if isinstance(group, h5py.Group) else None
        if isinstance(data, h5py.Dataset) and data.dtype.kind == "c":
            return read_cxi_image(group)
    return None


def read_cxi_image(group: h5py.Group) -> _Arrays:
    """Read a density in the layout of PyNX: the first of several modes; its support is the image's mask."""
    data = group["data"]
    names = [name for name in ("support", "mask") if isinstance(group.get(name), h5py.Dataset)]
    support = group[names[0]] if names else None
    if support is not None and support.ndim != 3 and support.shape != data.shape:
        support = None
    return *_first_mode(data, support), _cxi_convention(group), _choice(data.shape, _weights(group))


def _first_mode(density: Any, support: Any | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Read density and support of the first of several modes, which are counted by a fourth axis in front."""

    def first(array: Any) -> np.ndarray:
        return np.asarray(array[0] if array.ndim == 4 else array[()])

    return first(density), None if support is None else first(support)


def _choice(shape: tuple[int, ...], weights: np.ndarray | None = None) -> str:
    """Name the mode that is taken of an array (mode, z, y, x); empty for an array of three axes."""
    if len(shape) != 4:
        return ""
    share = f" ({100 * float(weights[0]):.3g} %)" if weights is not None and len(weights) == shape[0] else ""
    return f"mode 0 of {shape[0]}{share}"


def _weights(group: h5py.Group) -> np.ndarray | None:
    """Read the relative weights of the modes, which PyNX writes into the second data group; None without them."""
    weights = group.parent.get("data_2/data")
    if not isinstance(weights, h5py.Dataset) or weights.ndim != 1 or weights.dtype.kind != "f":
        return None
    values = np.asarray(weights[()], float)
    return values if np.isfinite(values).all() and 0 < values.sum() < 1.01 else None


def _cxi_convention(group: h5py.Group) -> Convention:
    """Return PyNX's convention where the file names PyNX or unflat as its program, or the one to assume."""
    names = [text_of(group.file.attrs.get("creator", ""))]
    for place in (group.get("process_1/program"), group.parent.get("program_name")):
        names += [text_of(place[()])] if isinstance(place, h5py.Dataset) and place.shape == () else []
    is_known = any("pynx" in name.lower() or name.startswith("unflat") for name in names)
    return PYNX if is_known else UNKNOWN


def _three(axes: Sequence[str]) -> tuple[str, str, str]:
    if sorted(axes) != sorted(ORDER):
        raise DataError(f"axes {' '.join(axes)}: they are frame, y and x in some order")
    first, second, third = axes
    return first, second, third
