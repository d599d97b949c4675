"""Crystals phased by other programs: complex densities on the grid conjugate to the measured array.

They are converted to our convention: axes (frame, y, x), the crystal around sample ``n // 2``, counts = |FFT(density)|²
with the forward transform (e^(−iq·r)), whose phase is −G·u. The volume's attributes name the assumed convention.

| program | file                                  | axes stored   | transform to the detector      |
|---------|---------------------------------------|---------------|--------------------------------|
| cohere  | ``image.npy``, ``support.npy``        | (x, y, frame) | inverse: the density's conjugate |
| PyNX    | ``.cxi``, ``.npz`` with ``obj``       | (frame, y, x) | forward                        |

cohere reads and stacks its TIFF frames transposed (``utils.read_tif``), and goes to reciprocal space by ``ifft``
(``phasing.Rec.to_reciprocal_space``); PyNX keeps the order of the measured array and writes its object with the origin
in the middle (``CDI.save_obj_cxi``). Both crop or roll the array; only the crystal itself matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Complex, Shaped

from ..errors import DataError, Diagnostic
from ..sampled import Quantity
from ..volume import Volume, centred_axis

ORDER = ("frame", "y", "x")
FRAME, DETECTOR = "frame", "detector"
"""Attribute of a volume, and its value where the axes are those of the measured array."""
KIND = "crystal"
"""Kind of experiment whose results these formats hold: a format that holds one kind only stands for the file's word."""
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
    density: Complex[np.ndarray, "..."], support: Shaped[np.ndarray, "..."] | None, convention: Convention
) -> Volume:
    """Convert a density to our axes and our transform.

    Args:
        density: Array of three axes in the given convention, the crystal in the middle.
        support: Array of the same shape; None if there is none.
        convention: Convention of the program that wrote the arrays.

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
        if support.shape != density.shape:
            raise DataError(f"the support has the shape {support.shape}, and the density {density.shape}")
        values["support"] = (support.transpose(order) != 0).astype(np.uint8)
    return detector_volume(values, {"program": convention.program, "assumed": str(convention)})


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
        path: A ``.npy`` or ``.npz`` file, an HDF5 file with ``image``, or the folder of cohere's results.
        axes: Names of the array's axes, if they are not the program's usual ones.

    Returns:
        The density on the detector's frame; None if this is no such file.

    Raises:
        DataError: If the file is truncated, or its array has not three axes.
    """
    if path.is_dir():
        file = next((path / name for name in ("image.npy", "image.h5") if (path / name).is_file()), None)
        return None if file is None else read_phased(file, axes)
    reader = {".npy": _read_npy, ".npz": _read_npz, ".h5": _read_hdf5, ".hdf5": _read_hdf5}.get(path.suffix.lower())
    try:
        arrays = reader(path) if reader else None
    except (OSError, ValueError, EOFError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(Diagnostic(str(path), f"cannot be read: {reason}", "copy it again")) from error
    if arrays is None:
        return None
    density, support, convention = arrays
    if axes is not None:
        convention = Convention(convention.program, _three(axes), convention.forward)
    try:
        return on_detector(density, support, convention)
    except DataError as error:
        raise DataError(*(Diagnostic(str(path), fault.message) for fault in error.faults)) from error


_Arrays = tuple[np.ndarray, np.ndarray | None, Convention]


def _read_npy(path: Path) -> _Arrays | None:
    """Read cohere's array, known by its name or by the support beside it; else an array in our own order."""
    density = np.load(path, allow_pickle=False)
    if not np.iscomplexobj(density):
        return None
    beside = path.with_name("support.npy")
    if path.name != "image.npy" and not beside.is_file():
        return density, None, UNKNOWN
    return density, np.load(beside, allow_pickle=False) if beside.is_file() else None, COHERE


def _read_npz(path: Path) -> _Arrays | None:
    """Read PyNX's archive, with ``obj``; any other complex array of three axes, in our own order."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for name in archive.files:
            if name not in ("obj", "data", "density", "image"):
                continue
            density = archive[name]
            if np.iscomplexobj(density) and density.ndim == 3:
                support = archive["support"] if "support" in archive.files else None
                return density, support, PYNX if name == "obj" else UNKNOWN
    return None


def _read_hdf5(path: Path) -> _Arrays | None:
    """Read cohere's arrays in HDF5: ``image`` and ``support``."""
    import h5py

    with h5py.File(path, "r") as file:
        image = file.get("image")
        if not isinstance(image, h5py.Dataset) or image.dtype.kind != "c":
            return None
        support = file.get("support")
        return image[()], support[()] if isinstance(support, h5py.Dataset) else None, COHERE


def _three(axes: Sequence[str]) -> tuple[str, str, str]:
    if sorted(axes) != sorted(ORDER):
        raise DataError(f"axes {' '.join(axes)}: they are frame, y and x in some order")
    first, second, third = axes
    return first, second, third
