"""Density on the frame of the detector, the grid conjugate to the measured array, in files of all formats.

Phasing programs exchange densities on this frame: it needs no geometry, and |FFT(density)|² is the pattern.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Complex

from ..errors import DataError, Diagnostic
from ..grid import resize_about_middle
from ..sampled import Sampled
from ..volume import Volume
from . import volume_cxi
from .hdf5_common import is_hdf5, open_checked
from .phasing_programs import DETECTOR, FRAME, detector_volume, read_phased

_LOST = 0.02
"""Share of a density's squares that may lie outside a smaller grid."""


def is_on_detector(result: Sampled) -> bool:
    """Return whether the axes of a result are those of the measured array."""
    return result.attributes.get(FRAME) == DETECTOR


def detector_frame(path: Path, axes: Sequence[str] | None = None) -> Volume | None:
    """Read a density on the detector's frame.

    Args:
        path: Run folder, volume of ours, CXI file, or result of another program.
        axes: Names of a foreign array's axes, slowest first, if not those that its program is known to write.

    Returns:
        A volume in voxels with ``density``; None if the file has no such frame.

    Raises:
        DataError: If it is truncated.
    """
    if path.is_dir() and (path / "volume.h5").is_file():
        path = path / "volume.h5"
    if path.suffix.lower() == ".cxi":
        return volume_cxi.detector_frame(path)
    if is_hdf5(path):
        with open_checked(path) as file:
            if "detector_frame/density" in file:
                return detector_volume({"density": file["detector_frame/density"][()]}, {"program": "unflat"})
    return read_phased(path, axes)


def on_grid(volume: Volume, shape: tuple[int, int, int]) -> Complex[np.ndarray, "frame y x"]:
    """Crop or pad a density to the grid of a measured array: an initial guess, or an array to compare with.

    Args:
        volume: Volume on the detector's frame.
        shape: Sizes of the array (frame, y, x); the density is cropped or padded with 0 about its middle.

    Raises:
        DataError: If the crystal does not fit.
    """
    density = volume.values["density"]
    whole = resize_about_middle(density.astype(np.complex64), shape)
    inside = float(np.sum(np.abs(whole) ** 2) / np.sum(np.abs(density) ** 2))
    if inside < 1 - _LOST:
        message = f"{100 * (1 - inside):.3g} % of the density lie outside {' x '.join(map(str, shape))} voxels"
        raise DataError(Diagnostic("", message, "give the measurement as it was phased: not cropped further"))
    return whole
