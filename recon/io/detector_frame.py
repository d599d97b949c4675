"""The density on the frame of the detector: the grid conjugate to the measured array, whatever file holds it.

It is what programs exchange: it needs no geometry, and |FFT(density)|² is the pattern.
"""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex

from ..errors import DataError, Diagnostic
from ..volume import Volume, centred_axis
from . import volume_cxi
from .hdf5_common import open_checked
from .phasing_programs import DETECTOR, FRAME, QUANTITIES, read_foreign

_LOST = 0.02
"""Share of a density's squares that may lie outside a smaller grid."""


def is_on_detector(volume: Volume) -> bool:
    """Whether a volume's axes are those of the measured array."""
    return volume.attributes.get(FRAME) == DETECTOR


def detector_frame(path: Path, axes: Sequence[str] | None = None) -> Volume | None:
    """Read a density on the detector's frame.

    Args:
        path: A run's folder, a volume of ours, a CXI file, or another program's result.
        axes: Names of a foreign array's axes, slowest first, if not those that its program is known to write.

    Returns:
        A volume in voxels with ``density``; None if the file has no such frame.

    Raises:
        DataError: If it is torn.
    """
    if path.is_dir() and (path / "volume.h5").is_file():
        path = path / "volume.h5"
    if path.suffix.lower() == ".cxi":
        return volume_cxi.detector_frame(path)
    if path.is_file() and h5py.is_hdf5(path):
        with open_checked(path) as file:
            if "detector_frame/density" in file:
                return _ours(file["detector_frame"])
    return read_foreign(path, axes)


def on_grid(volume: Volume, shape: tuple[int, int, int]) -> Complex[np.ndarray, "frame y x"]:
    """Give a density on the grid of a measured array: a start for phasing it, or for comparing.

    Args:
        volume: On the detector's frame.
        shape: Sizes of the array (frame, y, x); the density is cut or filled up with 0 about its middle.

    Raises:
        DataError: If the crystal does not fit.
    """
    density = volume.values["density"]
    whole = np.zeros(shape, np.complex64)
    source, target = [], []
    for have, want in zip(density.shape, shape, strict=True):
        count, low, put = min(have, want), max(have // 2 - want // 2, 0), max(want // 2 - have // 2, 0)
        source.append(slice(low, low + count))
        target.append(slice(put, put + count))
    whole[tuple(target)] = density[tuple(source)]
    kept = float(np.sum(np.abs(whole) ** 2) / np.sum(np.abs(density) ** 2))
    if kept < 1 - _LOST:
        message = f"{100 * (1 - kept):.2g} % of the density lie outside {' x '.join(map(str, shape))} voxels"
        raise DataError(Diagnostic("", message, "give the measurement as it was phased: not cropped further"))
    return whole


def _ours(group: h5py.Group) -> Volume:
    density = group["density"][()]
    z, y, x = (centred_axis(n, 1.0) for n in density.shape)
    facts: dict[str, float | str] = {FRAME: DETECTOR, "program": "unflat", "convention": "forward FFT: phase = -G.u"}
    return Volume("crystal", z, y, x, {"density": density}, QUANTITIES[:1], facts, "voxel")
