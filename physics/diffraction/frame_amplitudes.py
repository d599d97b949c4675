"""Diffracted amplitudes of frames that are each at their own q, on the host in float64; see `uneven_frames`."""

import numpy as np
from jaxtyping import Complex, Float

_LAST_TWO = (-2, -1)


def frame_amplitudes(
    density: Complex[np.ndarray, "z y x"], positions: Float[np.ndarray, "frame 3"]
) -> Complex[np.ndarray, "frame y x"]:
    """Compute the diffracted amplitudes on the host, in complex128, of centred arrays.

    Args:
        density: Density, centred.
        positions: Position of each frame along the curve [step] and its offsets along y and x [pixel], of the frames in
            their order; they may be any number.
    """
    z, y, x = (np.arange(n) - n // 2 for n in density.shape)
    along, rows, columns = (
        np.exp(-2j * np.pi * np.outer(positions[:, axis], r) / len(r)) for axis, r in enumerate((z, y, x))
    )
    planes = np.tensordot(along, density, axes=1) * rows[:, :, None] * columns[:, None, :]
    shifted = np.fft.fft2(np.fft.ifftshift(planes, axes=_LAST_TWO))
    return np.asarray(np.fft.fftshift(shifted, axes=_LAST_TWO))
