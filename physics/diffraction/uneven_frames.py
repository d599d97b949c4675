"""Far field of a crystal on the frames of a rocking curve that is not even: each frame at its own q.

Notation
--------
ρ      density on the grid conjugate to an even curve of N frames, N_y × N_x pixels
p_m    position of frame m along the curve, in steps of the even curve, from its middle
d_m    transverse offset of frame m, (y, x) in pixels: the crystal has rolled, or q has left the line of the curve
E      N × N matrix, E_mz = e^(−2πi p_m z / N)
R_m    phase ramp in the crystal, e^(−2πi (d_y y / N_y + d_x x / N_x))

F_m = FFT₂[R_m Σ_z E_mz ρ_z], without interpolation: a matrix product along the rocking direction, then the FFT over the
detector's axes. As FFT₂ is unitary up to its scale and |R| = 1, A = FFT₂ R E has the adjoint N_y N_x Eᴴ R* FFT₂⁻¹ and
the pseudo-inverse E⁺ R* FFT₂⁻¹ for any ramps: only the small matrix E is to be inverted. E⁺ = Eᴴ (E Eᴴ + λN)⁻¹ is the
least change of the density that changes the frames; λ keeps two frames at one q, which counting noise sets apart, from
calling for a large one. With p_m = m − N // 2 and no offsets A is the FFT.

A density known to lie in some planes of z is found from the frames by the pseudo-inverse over these planes alone, with
their mask W, and with the frames weighted by the part D of the curve that each stands for:
W Eᴴ D½ (D½ E W Eᴴ D½ + λN)⁻¹ D½. Where the crystal fills less than half of the array, as its oversampling demands,
D½ E W is nearly unitary, up to a scale, and so projections onto a support converge as on an even curve.

The rotation of a pattern about its own peak, as the crystal turns about G, and the curvature of the path of q are of
second order in the angle, and are left out.

Arrays are (frame, y, x) and (z, y, x) in FFT order (origin at index 0).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

REGULARIZATION = 1e-2
"""λ of the pseudo-inverse, relative to the diagonal of E Eᴴ."""
PROJECTION_REGULARIZATION = 3e-2
"""λ of the projection onto a support: smaller ones let the updates diverge where frames are lost and repeated."""
_LEAST_CELL, _LARGEST_CELL = 0.05, 2.0
"""[step] Bounds of the part of the curve that a frame stands for."""
_LAST_TWO = (-2, -1)


class FrameMatrices(NamedTuple):
    """Matrices of a curve that is not even, in FFT order.

    Args:
        forward: E.
        inverse: E⁺.
        rows: Phase ramp of each frame along y.
        columns: Phase ramp of each frame along x.
        roots: Square root of the part of the curve that a frame stands for, in steps.
    """

    forward: Complex[Array, "frame z"]
    inverse: Complex[Array, "z frame"]
    rows: Complex[Array, "frame y 1"]
    columns: Complex[Array, "frame 1 x"]
    roots: Float[Array, " frame"]


def frame_matrices(positions: Float[Array, "frame 3"], shape: tuple[int, int, int]) -> FrameMatrices:
    """Compute the matrices of a curve.

    Args:
        positions: Position of each frame along the curve [step] and its offsets along y and x [pixel], in FFT order.
        shape: Shape of the array, with as many frames.
    """
    z, y, x = (np.fft.fftfreq(n) * n for n in shape)
    forward = _phases(positions[:, 0], z)
    alike = jnp.ones(shape[0], jnp.float32)
    inverse = _pseudo_inverse(forward, alike, REGULARIZATION, alike)
    rows, columns = _phases(positions[:, 1], y), _phases(positions[:, 2], x)
    return FrameMatrices(forward, inverse, rows[:, :, None], columns[:, None, :], jnp.sqrt(_cells(positions[:, 0])))


def _cells(along: Float[Array, " frame"]) -> Float[Array, " frame"]:
    """Compute the part of a curve nearer to a frame than to others, in steps; the curve is periodic."""
    order = jnp.argsort(along)
    own = along[order]
    gaps = jnp.append(own[1:], own[0] + np.float32(len(along))) - own
    cells = jnp.clip((gaps + jnp.roll(gaps, 1)) / 2, _LEAST_CELL, _LARGEST_CELL)
    return jnp.zeros_like(along).at[order].set(cells)


def far_field_of_frames(density: Complex[Array, "z y x"], matrices: FrameMatrices) -> Complex[Array, "frame y x"]:
    """Compute the diffracted amplitudes of a density in each frame."""
    return jnp.fft.fftn(planes_of_frames(density, matrices), axes=_LAST_TWO)


def planes_of_frames(density: Complex[Array, "z y x"], matrices: FrameMatrices) -> Complex[Array, "frame y x"]:
    """Compute the planes whose 2D FFTs are the amplitudes of the frames."""
    return _product(matrices.forward, density) * matrices.rows * matrices.columns


def density_of_planes(planes: Complex[Array, "frame y x"], matrices: FrameMatrices) -> Complex[Array, "z y x"]:
    """Compute the smallest density that approximates the planes of the frames, by the pseudo-inverse."""
    return _product(matrices.inverse, planes * matrices.rows.conj() * matrices.columns.conj())


def adjoint_of_frames(wave: Complex[Array, "frame y x"], matrices: FrameMatrices) -> Complex[Array, "z y x"]:
    """Apply the adjoint of :func:`far_field_of_frames`, over the number of voxels: the inverse FFT of an even curve."""
    planes = jnp.fft.ifftn(wave, axes=_LAST_TWO) * matrices.rows.conj() * matrices.columns.conj()
    return _product(matrices.forward.conj().T / np.complex64(wave.shape[-3]), planes)


def invert_frames(wave: Complex[Array, "frame y x"], matrices: FrameMatrices) -> Complex[Array, "z y x"]:
    """Compute the smallest density whose far field approximates amplitudes, by the regularised pseudo-inverse."""
    return density_of_planes(jnp.fft.ifftn(wave, axes=_LAST_TWO), matrices)


def blur_matrix(sigma: Float[Array, ""], matrices: FrameMatrices) -> Float[Array, "frame frame"]:
    """Compute the matrix that convolves intensities along the curve with the Gaussian of a pixel grid.

    The intensities of the frames are a trigonometric polynomial of their positions; its coefficients, which E⁺ finds,
    are multiplied by the Gaussian's transfer function (`physics.psf`). What the frames do not determine stays as it is.

    Args:
        sigma: [step] Standard deviation.
        matrices: Matrices of the curve.
    """
    count = matrices.forward.shape[0]
    fall = jnp.asarray(2 * np.sin(np.pi * np.fft.fftfreq(count)) ** 2, jnp.float32)
    lost = (jnp.exp(-(sigma**2) * fall) - 1).astype(jnp.complex64)
    return (
        jnp.eye(count, dtype=jnp.float32)
        + jnp.matmul(matrices.forward * lost[None, :], matrices.inverse, precision=lax.Precision.HIGHEST).real
    )


def frame_blur(sigma: float, positions: Float[np.ndarray, "frame 3"]) -> Float[np.ndarray, "frame frame"]:
    """Compute :func:`blur_matrix` for centred positions, on the host."""
    own = jnp.asarray(np.fft.ifftshift(positions, axes=0), jnp.float32)
    matrix = np.asarray(blur_matrix(jnp.asarray(sigma, jnp.float32), frame_matrices(own, (len(positions), 1, 1))))
    return np.asarray(np.fft.fftshift(matrix), np.float64)


def restrict_planes(
    matrices: FrameMatrices, planes: Float[Array, " z"], regularization: float = REGULARIZATION
) -> FrameMatrices:
    """Restrict the inverse to densities in some planes, with the frames weighted by their part of the curve.

    Args:
        matrices: Matrices of a curve.
        planes: 1 for the planes of z that the density may fill, 0 for others.
        regularization: λ, relative to the diagonal of E Eᴴ.
    """
    return matrices._replace(inverse=_pseudo_inverse(matrices.forward, planes, regularization, matrices.roots))


def _pseudo_inverse(
    forward: Complex[Array, "frame z"],
    planes: Float[Array, " z"],
    regularization: float,
    roots: Float[Array, " frame"],
) -> Complex[Array, "z frame"]:
    """Compute W Eᴴ D½ (D½ E W Eᴴ D½ + λN)⁻¹ D½."""
    count = np.complex64(forward.shape[0])
    weighted = forward * roots[:, None].astype(jnp.complex64)
    within = weighted * planes[None, :].astype(jnp.complex64)
    gram = jnp.matmul(within, weighted.conj().T, precision=lax.Precision.HIGHEST) / count
    damped = gram + np.complex64(regularization) * jnp.eye(forward.shape[0], dtype=jnp.complex64)
    inverse: Array = jnp.linalg.solve(damped, within).conj().T / count
    return inverse * roots[None, :].astype(jnp.complex64)


def _phases(positions: Float[Array, " frame"], samples: Float[np.ndarray, " n"]) -> Complex[Array, "frame n"]:
    """Compute e^(−2πi p r / n) for the positions p and the samples r of an axis."""
    turns = positions[:, None] * jnp.asarray(samples, jnp.float32)[None, :] / np.float32(len(samples))
    angle = -2 * np.float32(np.pi) * (turns - jnp.round(turns))
    return lax.complex(jnp.cos(angle), jnp.sin(angle))


def _product(matrix: Complex[Array, "m n"], stack: Complex[Array, "n y x"]) -> Complex[Array, "m y x"]:
    """Multiply a matrix along the first axis, by real products, the fastest."""
    n, y, x = stack.shape
    parts = jnp.concatenate([stack.real.reshape(n, y * x), stack.imag.reshape(n, y * x)])
    real = jnp.concatenate(
        [
            jnp.concatenate([matrix.real, -matrix.imag], axis=1),
            jnp.concatenate([matrix.imag, matrix.real], axis=1),
        ]
    )
    product = jnp.matmul(real, parts, precision=lax.Precision.HIGHEST).reshape(2, -1, y, x)
    return lax.complex(product[0], product[1])
