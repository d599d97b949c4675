"""Transforms between a density and the frames of a rocking curve, even or not.

An even curve is an FFT over three axes. The frames of another one are each at their own q
(`physics.diffraction.uneven_frames`). Arrays are (z, y, x) in FFT order (origin at index 0).
"""

from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from ...physics.diffraction.far_field import far_field
from ...physics.diffraction.uneven_frames import (
    FrameMatrices,
    adjoint_of_frames,
    blur_matrix,
    far_field_of_frames,
    frame_matrices,
    invert_frames,
)
from ...physics.psf import convolve_gaussian, convolve_gaussian_with_slopes

Density: TypeAlias = Complex[Array, "z y x"]
Values: TypeAlias = Float[Array, "z y x"]


class EvenCurve:
    """Curve of even steps: its transform is the FFT."""

    is_even = True

    def forward(self, density: Density) -> Density:
        """Compute the diffracted amplitudes."""
        return far_field(density)

    def adjoint(self, wave: Density) -> Density:
        """Apply the adjoint of `forward`, over the number of voxels."""
        return jnp.fft.ifftn(wave)

    def invert(self, wave: Density) -> Density:
        """Compute the smallest density with diffracted amplitudes."""
        return jnp.fft.ifftn(wave)

    def convolve(self, values: Values, sigmas: Float[Array, "3"]) -> Values:
        """Convolve intensities with the point-spread function."""
        return convolve_gaussian(values, sigmas)

    def convolve_transposed(self, values: Values, sigmas: Float[Array, "3"]) -> Values:
        """Apply the transpose of `convolve`."""
        return convolve_gaussian(values, sigmas)

    def convolve_with_slopes(self, values: Values, sigmas: Float[Array, "3"]) -> tuple[Values, Float[Array, "3 z y x"]]:
        """Convolve, and compute the derivative by the width along each axis."""
        return convolve_gaussian_with_slopes(values, sigmas)


@dataclass(frozen=True, eq=False)
class UnevenCurve:
    """Curve of frames each at its own q; see `EvenCurve` for its methods.

    Args:
        matrices: Matrices of its transform.
    """

    matrices: FrameMatrices
    is_even = False

    def forward(self, density: Density) -> Density:
        """Compute the diffracted amplitudes."""
        return far_field_of_frames(density, self.matrices)

    def adjoint(self, wave: Density) -> Density:
        """Apply the adjoint of `forward`, over the number of voxels."""
        return adjoint_of_frames(wave, self.matrices)

    def invert(self, wave: Density) -> Density:
        """Compute the smallest density with nearly these diffracted amplitudes."""
        return invert_frames(wave, self.matrices)

    def convolve(self, values: Values, sigmas: Float[Array, "3"]) -> Values:
        """Convolve intensities with the point-spread function; what is below 0 by rounding becomes 0."""
        return _along_frames(blur_matrix(sigmas[0], self.matrices), convolve_gaussian(values, _across(sigmas)))

    def convolve_transposed(self, values: Values, sigmas: Float[Array, "3"]) -> Values:
        """Apply the transpose of `convolve`."""
        return convolve_gaussian(_along_frames(blur_matrix(sigmas[0], self.matrices).T, values), _across(sigmas))

    def convolve_with_slopes(self, values: Values, sigmas: Float[Array, "3"]) -> tuple[Values, Float[Array, "3 z y x"]]:
        """Convolve, and compute the derivative by the width along each axis."""
        one = jnp.ones((), sigmas.dtype)
        blur, slope = jax.jvp(lambda sigma: blur_matrix(sigma, self.matrices), (sigmas[0],), (one,))
        blurred, (_, along_y, along_x) = convolve_gaussian_with_slopes(values, _across(sigmas))
        slopes = [_along_frames(slope, blurred), _along_frames(blur, along_y), _along_frames(blur, along_x)]
        return _along_frames(blur, blurred), jnp.stack(slopes)


Curve: TypeAlias = EvenCurve | UnevenCurve


def curve_of(positions: Float[Array, "z 3"] | None, shape: tuple[int, ...]) -> Curve:
    """Build the transforms of a curve.

    Args:
        positions: Position of each frame [step] and its offsets along y and x [pixel], in FFT order; None for an even
            curve.
        shape: Shape of the array.
    """
    if positions is None:
        return EvenCurve()
    frames, y, x = shape
    return UnevenCurve(frame_matrices(positions, (frames, y, x)))


def _across(sigmas: Float[Array, "3"]) -> Float[Array, "3"]:
    """Return the widths across the curve, 0 along it."""
    return sigmas * jnp.asarray([0.0, 1.0, 1.0], sigmas.dtype)


def _along_frames(matrix: Float[Array, "m n"], values: Float[Array, "n y x"]) -> Float[Array, "m y x"]:
    n, y, x = values.shape
    product: Array = jnp.matmul(matrix, values.reshape(n, y * x), precision=lax.Precision.HIGHEST)
    return product.reshape(-1, y, x)
