"""Spectra of images and fields: the window that they fade in, and the frequencies of the wave behind them."""

import numpy as np
from jaxtyping import Float

from ....physics.optics.microscope import Microscope

_TAPER = 0.5
"""Share of an image along each axis over which its window rises and falls."""


def fading_window(shape: tuple[int, ...]) -> Float[np.ndarray, "y x"]:
    """Compute a window that rises and falls as a cosine along both axes (Tukey), without its zeros at the ends."""
    along_y, along_x = (_taper(count) for count in shape)
    return np.asarray(along_y[:, None] * along_x[None, :])


def transverse_frequency(
    shape: tuple[int, ...], direction: Float[np.ndarray, " 2"], microscope: Microscope
) -> tuple[Float[np.ndarray, "y x"], float]:
    """Compute the transverse frequency of the wave at each frequency of a field divided by its incident wave.

    Returns:
        The frequencies, and the larger step between them [cycles per metre].
    """
    axes = []
    for n, d, na in zip(shape, microscope.pixel_size, direction, strict=True):
        frequency = np.fft.fftfreq(n, d) + na / microscope.wavelength
        axes.append((frequency + 0.5 / d) % (1 / d) - 0.5 / d)
    step = max(1 / (n * d) for n, d in zip(shape, microscope.pixel_size, strict=True))
    return np.hypot(axes[0][:, None], axes[1][None, :]), step


def _taper(count: int) -> Float[np.ndarray, " n"]:
    place = np.arange(1, count + 1) / (count + 1)
    rise = np.minimum(np.minimum(place, 1 - place) * 2 / _TAPER, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * rise))
