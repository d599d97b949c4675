"""Far field of a crystal that fills a small box, at any sampling of the box.

Notation
--------
r_j    position of a sample of the box along one axis, in voxels of the grid conjugate to the measured array
k      pixel of the measured array, from its middle: k = n − N // 2
δ      offset of the peak from the array's middle pixel, in pixels
V      volume of a sample in voxels

F(k) = V Σ_j ρ(r_j) e^(−2πi Σ_axes (k − δ) r_j / N), one matrix product an axis. With one sample a voxel and δ = 0 it is
the FFT of the crystal in its zero-padded array. An FFT aliases the scattering of edges sharper than a voxel into the
window; with finer samples it falls beside the detector, as in the experiment. Samples are the centres of cells that
fill the box.

Axes are (frame, y, x) of the detector and (z, y, x) of the box, both centred, slowest first.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float


@dataclass(frozen=True)
class SupportBox:
    """Box of voxels within the grid conjugate to the measured array.

    Args:
        first: Index of the first voxel along each axis.
        count: Number of voxels along each axis.
        shape: Shape of the measured array.
        fineness: Samples per voxel along each axis.
    """

    first: tuple[int, int, int]
    count: tuple[int, int, int]
    shape: tuple[int, int, int]
    fineness: int = 1

    @property
    def samples(self) -> tuple[int, int, int]:
        """Number of samples along each axis."""
        z, y, x = (self.fineness * n for n in self.count)
        return z, y, x

    @property
    def middle(self) -> Float[np.ndarray, " 3"]:
        """[voxel] Middle of the box, from the array's voxel ``n // 2``."""
        first, count, shape = (np.array(numbers) for numbers in (self.first, self.count, self.shape))
        middle: Float[np.ndarray, " 3"] = first + (count - 1) / 2 - shape // 2
        return middle

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[voxel] Positions of the samples along each axis, from the array's voxel ``n // 2``."""
        z, y, x = (
            middle + (np.arange(n) - (n - 1) / 2) / self.fineness
            for middle, n in zip(self.middle, self.samples, strict=True)
        )
        return z, y, x

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in the conjugate array."""
        z, y, x = (slice(a, a + n) for a, n in zip(self.first, self.count, strict=True))
        return z, y, x


def far_field_matrices(
    box: SupportBox, offset: Float[np.ndarray, " 3"]
) -> tuple[Float[np.ndarray, "two_z _a"], Float[np.ndarray, "two_y _b"], Float[np.ndarray, "two_x _c"]]:
    """Compute the matrices of :func:`far_field_of_box`, one for each axis.

    A complex matrix C is stored as the real one [[Re C, −Im C], [Im C, Re C]], as real products are the fastest.

    Args:
        box: Box in which the density is sampled.
        offset: [pixel] Offset δ of the peak.
    """
    z, y, x = (
        _real_form(np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2 - d, positions) / n) / box.fineness)
        for n, d, positions in zip(box.shape, offset, box.axes, strict=True)
    )
    return z, y, x


def frame_ramps(
    box: SupportBox, positions: Float[Array, "frame 3"], offset: Float[np.ndarray, " 3"]
) -> tuple[Complex[Array, "frame a"], Complex[Array, "frame b"], Complex[Array, "frame c"]]:
    """Compute the phases of the samples of a box in frames that are each at their own q, one array for each axis.

    Args:
        box: Box in which the density is sampled.
        positions: Position of each frame along the curve [step] and its offsets along y and x [pixel], from the middle.
        offset: [pixel] Offset δ of the peak, of which the part along the curve is included.
    """
    moved = positions - jnp.asarray([[offset[0], 0.0, 0.0]], positions.dtype)
    ramps = []
    for axis, (n, samples) in enumerate(zip(box.shape, box.axes, strict=True)):
        turns = moved[:, axis, None] * jnp.asarray(samples / n, positions.dtype)[None, :]
        angle = -2 * np.float32(np.pi) * (turns - jnp.round(turns))
        ramps.append(lax.complex(jnp.cos(angle), jnp.sin(angle)))
    return ramps[0] / np.complex64(box.fineness), ramps[1], ramps[2]


def far_field_of_frames(
    real: Float[Array, "a b c"],
    imaginary: Float[Array, "a b c"],
    matrices: tuple[Float[np.ndarray, "_p _a"], Float[np.ndarray, "_q _b"], Float[np.ndarray, "_r _c"]],
    ramps: tuple[Complex[Array, "frame a"], Complex[Array, "frame b"], Complex[Array, "frame c"]],
) -> Complex[Array, "frame y x"]:
    """Compute the diffracted amplitudes of a density in a box, in frames that are each at their own q.

    Args:
        real: Real part on the samples of the box.
        imaginary: Imaginary part.
        matrices: Matrices of :func:`far_field_matrices`, of which those along y and x are used.
        ramps: Phases of :func:`frame_ramps`.
    """
    along, rows, columns = ramps
    a, b, c = real.shape
    density = lax.complex(real, imaginary).reshape(a, b * c)
    planes = jnp.matmul(along, density, precision=lax.Precision.HIGHEST).reshape(-1, b, c)
    planes = planes * rows[:, :, None] * columns[:, None, :]
    values = jnp.stack([planes.real, planes.imag])
    for matrix in matrices[:0:-1]:  # Each contracts the last axis, and makes it the second.
        pair, frames, n, m = values.shape
        lines = jnp.moveaxis(values, 3, 1).reshape(pair * m, frames * n)
        product = jnp.matmul(jnp.asarray(matrix, lines.dtype), lines, precision=lax.Precision.HIGHEST)
        values = jnp.moveaxis(product.reshape(2, -1, frames, n), 1, 2)
    return lax.complex(values[0], values[1])


def far_field_of_box(
    real: Float[Array, "a b c"],
    imaginary: Float[Array, "a b c"],
    matrices: tuple[Float[np.ndarray, "_p _a"], Float[np.ndarray, "_q _b"], Float[np.ndarray, "_r _c"]],
) -> Complex[Array, "frame y x"]:
    """Compute the diffracted amplitudes of a density in a box.

    Args:
        real: Real part on the samples of the box.
        imaginary: Imaginary part.
        matrices: Matrices of :func:`far_field_matrices`.
    """
    values = jnp.stack([real, imaginary])
    for matrix in matrices[
        ::-1
    ]:  # the last axis is contracted and becomes the first: after all three the order is restored
        pair, a, b, c = values.shape
        rows = jnp.moveaxis(values, 3, 1).reshape(pair * c, a * b)
        product = jnp.matmul(jnp.asarray(matrix, rows.dtype), rows, precision=lax.Precision.HIGHEST)
        values = product.reshape(2, -1, a, b)
    return lax.complex(values[0], values[1])


def _real_form(matrix: Complex[np.ndarray, "n m"]) -> Float[np.ndarray, "two_n two_m"]:
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])
