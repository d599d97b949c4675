"""Point-spread functions, and convolution with them.

Two kinds of edge occur. A diffraction pattern is periodic, as its FFT is; its point-spread function (partial coherence
and detector) is the Gaussian of a pixel grid (Lindeberg, IEEE PAMI 12, 234 (1990), eq. 39),

    psf(n) = e^(−σ²) I_n(σ²),   with the transfer function exp(−σ² (1 − cos 2πf)),

with the modified Bessel functions I_n. It is positive, sums to 1 and has the variance σ² exactly, however narrow it is;
a sampled Gaussian does not below σ ≈ 0.7, and one whose transfer function is cut off at the edge of the band rings
below zero. A microscope's image is dark beyond its edges; its point-spread function is a Gaussian integrated over each
sample, or an array.

Axes are (z, y, x), or (frame, y, x) of a detector; axes before the last three are a batch. Transfer functions have
frequency 0 at index 0; kernels have odd sizes, their centre in the middle, and sum to 1. Widths are in samples.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.signal import fftconvolve
from jax.scipy.special import erf
from jaxtyping import Array, Float
from scipy import ndimage
from scipy.special import ive

Scalar = float | Float[Array, ""]
WIDEST_SIGMA = 1.2
"""[sample] Widest Gaussian that `convolve_gaussian` holds, to a thousandth of its sum."""
_AXES = (-3, -2, -1)
_TAIL = 1e-9
_REACH = 4
"""Taps of `convolve_gaussian` on either side."""
_SMOOTHING = 0.4
"""[sample] Width of the average over samples, for each sample by which the new ones are farther apart."""

# Fused into one loop, each tap along an axis would compute those of the axis before again.
_separate: Callable[[Array], Array] = lax.optimization_barrier


# Periodic arrays


def gaussian_taps(sigma: float) -> Float[np.ndarray, " tap"]:
    """Compute the Gaussian of a pixel grid: an odd number of taps that sum to 1.

    Args:
        sigma: [sample] Standard deviation.
    """
    reach = np.arange(int(np.ceil(8 + 7 * sigma)) + 1)
    half = ive(reach, float(sigma) ** 2)
    half = half[: max(int(np.sum(half > _TAIL)), 1)]
    both = np.concatenate([half[:0:-1], half])
    taps: Float[np.ndarray, " tap"] = both / both.sum()
    return taps


def gaussian_kernel(sigmas: Sequence[float] | Float[np.ndarray, " 3"]) -> Float[np.ndarray, "z y x"]:
    """Compute the Gaussian point-spread function as an array, as files store it.

    A periodic convolution with it is a multiplication by :func:`gaussian_transfer`.

    Args:
        sigmas: [sample] Standard deviations along (z, y, x).
    """
    z, y, x = (gaussian_taps(float(sigma)) for sigma in sigmas)
    kernel: Float[np.ndarray, "z y x"] = z[:, None, None] * y[:, None] * x
    return kernel


def gaussian_transfer(shape: tuple[int, int, int], sigmas: Float[Array, " 3"]) -> Float[Array, "z y x"]:
    """Compute the Fourier transform of the Gaussian point-spread function, exp(−Σ σ² (1 − cos 2πf)).

    It is differentiable in the widths, at zero too.

    Args:
        shape: Shape of the array to convolve.
        sigmas: [sample] Standard deviations along (z, y, x).
    """
    falls = [2 * np.sin(np.pi * np.fft.fftfreq(n)) ** 2 for n in shape]
    z, y, x = (jnp.exp(-(s**2) * jnp.asarray(f, sigmas.dtype)) for s, f in zip(sigmas, falls, strict=True))
    return z[:, None, None] * y[None, :, None] * x[None, None, :]


def convolve_transfer(
    intensity: Float[Array, "*batch z y x"], transfer: Float[Array, "z y x"]
) -> Float[Array, "*batch z y x"]:
    """Convolve an intensity with a point-spread function of any width by FFT, periodically.

    Args:
        intensity: At least 0; so is the result.
        transfer: Fourier transform of the point-spread function, real and even.
    """
    shape = intensity.shape[-3:]
    half = transfer[:, :, : shape[2] // 2 + 1].reshape((1,) * (intensity.ndim - 3) + (*shape[:2], -1))
    spectrum = jnp.fft.rfftn(intensity, axes=_AXES)
    spectrum = lax.complex(spectrum.real * half, spectrum.imag * half)
    # Next to a strong peak the transform's rounding exceeds the faintest counts, and has either sign.
    return jnp.maximum(jnp.fft.irfftn(spectrum, s=shape, axes=_AXES), 0)


def convolve_gaussian(values: Float[Array, "z y x"], sigmas: Float[Array, "3"]) -> Float[Array, "z y x"]:
    """Convolve an array of any sign with a narrow Gaussian, tap by tap and periodically, in float32.

    Through FFTs in float32 a bright peak leaves rounding of 1e-7 of itself in every pixel: as many counts as the faint
    pixels have. Nine taps an axis round each pixel by its own neighbourhood, and take no longer. It is differentiable
    in the widths.

    Args:
        values: Array, its origin at any sample.
        sigmas: [sample] Standard deviations along (z, y, x), at most `WIDEST_SIGMA`.
    """
    return _convolve_taps(values, [_narrow_taps(sigma, n) for sigma, n in zip(sigmas, values.shape, strict=True)])


def convolve_gaussian_with_slopes(
    values: Float[Array, "z y x"], sigmas: Float[Array, "3"]
) -> tuple[Float[Array, "z y x"], Float[Array, "3 z y x"]]:
    """Convolve with a narrow Gaussian, and compute the derivative by the width along each axis.

    Args:
        values: Array, its origin at any sample.
        sigmas: [sample] Standard deviations along (z, y, x), at most `WIDEST_SIGMA`.
    """
    one = jnp.ones((), sigmas.dtype)
    pairs = [
        jax.jvp(partial(_narrow_taps, size=n), (sigma,), (one,)) for sigma, n in zip(sigmas, values.shape, strict=True)
    ]

    def convolve(number: Array) -> Array:
        return _convolve_taps(values, [jnp.where(number == i, slope, taps) for i, (taps, slope) in enumerate(pairs)])

    results = lax.map(convolve, jnp.arange(4))  # One after the other: side by side they take several times the memory.
    return results[3], results[:3]


def _convolve_taps(values: Float[Array, "z y x"], taps: Sequence[Float[Array, " tap"]]) -> Float[Array, "z y x"]:
    """Convolve with symmetric taps along each axis, given from the middle on, periodically."""
    for axis, (n, half) in enumerate(zip(values.shape, taps, strict=True)):
        values = _separate(values)
        reach = len(half) - 1
        before, after = lax.slice_in_dim(values, n - reach, n, axis=axis), lax.slice_in_dim(values, 0, reach, axis=axis)
        padded = _separate(jnp.concatenate([before, values, after], axis))
        total = half[0] * values
        for i in range(1, reach + 1):
            near = lax.slice_in_dim(padded, reach - i, reach - i + n, axis=axis)
            far = lax.slice_in_dim(padded, reach + i, reach + i + n, axis=axis)
            total = total + half[i] * (near + far)
        values = total
    return values


def _narrow_taps(sigma: Float[Array, ""], size: int) -> Float[Array, " tap"]:
    """Compute half of the Gaussian's taps, from the middle on, by the inverse FFT of its transfer function."""
    fall = jnp.asarray(2 * np.sin(np.pi * np.fft.rfftfreq(size)) ** 2, jnp.float32)
    transfer = jnp.exp(-(sigma**2) * fall)
    reach = min(_REACH, (size - 1) // 2)
    half = jnp.maximum(jnp.fft.irfft(lax.complex(transfer, jnp.zeros_like(transfer)), size)[: reach + 1], 0.0)
    return half / (half[0] + 2.0 * jnp.sum(half[1:]))


def convolve_gaussian_exact(
    values: Float[np.ndarray, "z y x"], sigmas: tuple[float, float, float]
) -> Float[np.ndarray, "z y x"]:
    """Convolve with a Gaussian of any width, periodically, with all its taps, in float64 on the host.

    Args:
        values: Array, its origin at any sample.
        sigmas: [sample] Standard deviations along (z, y, x).
    """
    for axis, sigma in enumerate(sigmas):
        values = ndimage.convolve1d(values, gaussian_taps(sigma), axis, mode="wrap")
    return values


# Arrays that are dark beyond their edges


def gaussian_matrix(count: int, sigma: Scalar) -> Float[Array, "out n"]:
    """Compute the matrix that convolves a line with a Gaussian; light that leaves the line is lost.

    The Gaussian is integrated over each sample (differences of error functions): a column sums to 1 away from the
    edges, and there is a gradient, however narrow it is.

    Args:
        count: Number of samples.
        sigma: [sample] Standard deviation.
    """
    apart = jnp.asarray(np.subtract.outer(np.arange(count), np.arange(count)), jnp.float32)
    scale = 1 / (np.float32(np.sqrt(2)) * jnp.maximum(jnp.asarray(sigma, jnp.float32), 1e-3))
    return 0.5 * (erf((apart + 0.5) * scale) - erf((apart - 0.5) * scale))


def convolve_gaussian_open(
    stack: Float[Array, "*n z y x"], sigmas: Sequence[Scalar], slices: slice = slice(None)
) -> Float[Array, "*n w y x"]:
    """Convolve with a Gaussian of any width, axis by axis; dark beyond the edges.

    Args:
        stack: Array.
        sigmas: [sample] Standard deviations along (z, y, x).
        slices: Slices to compute; a section alone costs a fraction of the stack.
    """
    along_z, along_y, along_x = (gaussian_matrix(n, s) for n, s in zip(stack.shape[-3:], sigmas, strict=True))
    values = jnp.einsum("wz,...zyx->...wyx", along_z[slices], stack)
    values = jnp.einsum("by,...wyx->...wbx", along_y, values)
    return jnp.einsum("ax,...wbx->...wba", along_x, values)


def convolve_kernel(stack: Float[Array, "*n z y x"], kernel: Float[Array, "a b c"]) -> Float[Array, "*n z y x"]:
    """Convolve with a kernel of any size by FFT; dark beyond the edges.

    Args:
        stack: Array.
        kernel: Point-spread function, used without normalisation; its centre is its middle sample.

    Raises:
        ValueError: If the kernel has an even number of samples along an axis.
    """
    if any(n % 2 == 0 for n in kernel.shape):
        raise ValueError(f"the point-spread function has {kernel.shape} samples: odd numbers have a middle")
    flat = stack.reshape(-1, *stack.shape[-3:])
    values = jax.vmap(partial(fftconvolve, mode="same"), in_axes=(0, None))(flat, kernel)
    return values.reshape(stack.shape)


def resample_kernel(
    values: Float[np.ndarray, "z y x"], steps: Sequence[float] | Float[np.ndarray, " 3"], most: tuple[int, int, int]
) -> Float[np.ndarray, "a b c"]:
    """Resample a measured point-spread function, with its focus in the middle.

    Args:
        values: Image of a point, at least 0; its brightest sample is the focus.
        steps: [sample] Distance between the new samples along (z, y, x); larger steps average over more samples.
        most: Largest number of new samples along each axis, odd.

    Returns:
        An odd number of samples along each axis, with sum 1, in float32.
    """
    steps = np.asarray(steps, np.float64)
    smooth = ndimage.gaussian_filter(values, _SMOOTHING * np.maximum(steps - 1, 0), mode="constant")
    focus = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    axes = []
    for middle, count, step, limit in zip(focus, smooth.shape, steps, most, strict=True):
        reach = min(int(max(middle, count - 1 - middle) / step), limit // 2)
        axes.append(middle + np.arange(-reach, reach + 1) * step)
    kernel = ndimage.map_coordinates(smooth, np.meshgrid(*axes, indexing="ij"), order=1, mode="constant")
    return np.asarray(kernel / kernel.sum(), np.float32)
