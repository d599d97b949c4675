"""Denoiser of the crystal: it estimates the density from a noisy density and a pattern.

The noisy density is projected onto the measured moduli first; the network is given both, with the autocorrelation of
the density, which the pattern determines, and so has only to weigh them. A rectified flow (Liu, Gong and Liu, 2023)
leads from noise to a density through it: x_t = (1 − t)·noise + t·ρ, and dx/dt = (ρ̂(x_t) − x_t)/(1 − t). The noise
decides between twins, and in all that the pattern leaves uncertain.

Notation
--------
x_t    noisy density in a box of BOX³ voxels around the crystal's centre of mass
P      x_t with the measured moduli, and its own where nothing was measured
A      autocorrelation of the density, the inverse transform of the intensity
ρ̂      density that the network estimates from x_t

Patterns have the zero frequency first, densities are centred. Units are those of `inputs`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Complex, Float

from .....physics.diffraction.far_field import fftshift3, ifftshift3
from ....networks.flow import time_embedding
from ....networks.layers import Linear, depth_to_space, space_to_depth
from ....networks.unet import UNet, UNetSize
from .inputs import AUTOCORRELATION_BOX, BOX, SCALARS

NOISE = 0.5
"""Standard deviation of the noise, in each of the real and the imaginary part."""
_FREQUENCIES = 8
"""Number of waves that embed the time, each an octave above the one before."""
_AXES = (-3, -2, -1)
_COMPRESSION_FLOOR = 1e-3
"""Share of its maximum below which the autocorrelation's square root is flattened."""
_MIN_POWER = 1e-6

ComplexBatch = Complex[Array, "batch _z _y _x"]


class PatternBatch(NamedTuple):
    """Patterns of one size: those of `PatternInput` with a batch axis, as arrays of jax."""

    amplitude: Float[Array, "batch frame y x"]
    weight: Float[Array, "batch frame y x"]
    scalars: Float[Array, "batch scalar"]


class CrystalDenoiser(nnx.Module):
    """Network with its physics.

    Args:
        widths: Channels of each level of the U-Net, whose finest grid is half the box's.
        blocks: Residual blocks of each level.
        seed: Seed of the weights; None sets them to 0, to be replaced.
    """

    def __init__(
        self, widths: tuple[int, ...] = (64, 128), blocks: tuple[int, ...] = (1, 4), seed: int | None = None
    ) -> None:
        self.widths, self.blocks = widths, blocks
        size = UNetSize(2**3 * 6 + 4**3 * 3, 2**3 * 2, 2 * _FREQUENCIES + SCALARS, widths, blocks)
        self.unet = UNet(size, None if seed is None else np.random.default_rng(seed))
        skips_rng = None if seed is None else np.random.default_rng([seed, 1])
        self.skips = Linear(size.condition_width, 2, skips_rng, 0.1)

    def constants(self) -> dict[str, Any]:
        """Arguments that build the module again, as JSON holds them."""
        return {"widths": self.widths, "blocks": self.blocks}

    def estimate(
        self,
        noisy: ComplexBatch,
        time: Float[Array, " batch"],
        pattern: PatternBatch,
        correlation: ComplexBatch,
        dtype: Any = jnp.float32,
    ) -> ComplexBatch:
        """Estimate the density that a noisy one comes from.

        Args:
            noisy: x_t.
            time: t, from 0 for noise to 1 for the density.
            pattern: Measured patterns.
            correlation: `autocorrelation` of the patterns.
            dtype: Precision of the factors of products.
        """
        projected = project(noisy, pattern)
        conditions = self.unet.embed(jnp.concatenate([time_embedding(time, _FREQUENCIES), pattern.scalars], axis=-1))
        seen = jnp.concatenate([_stack_parts(noisy), _stack_parts(projected)], axis=-1)
        values = jnp.concatenate([space_to_depth(seen, 2), space_to_depth(_compress_range(correlation), 4)], axis=-1)
        change = depth_to_space(self.unet(values, conditions, dtype), 2)
        skips = self.skips(conditions)[:, :, None, None, None]
        passed = multiply_real(projected, skips[:, 0]) + multiply_real(noisy, skips[:, 1])
        return jax.lax.complex(change[..., 0], change[..., 1]) + passed


def far_field(density: ComplexBatch, shape: tuple[int, ...]) -> ComplexBatch:
    """Compute the far field of densities in the box, on an array of a shape, zero frequency first."""
    return jnp.fft.fftn(ifftshift3(pad_box(density, shape)), axes=_AXES)


def multiply_real(density: ComplexBatch, factor: Float[Array, "..."]) -> ComplexBatch:
    """Multiply by real numbers, without making them complex first."""
    return jax.lax.complex(density.real * factor, density.imag * factor)


def project(density: ComplexBatch, pattern: PatternBatch) -> ComplexBatch:
    """Project densities onto the measured moduli, and crop them to the box again."""
    field = far_field(density, pattern.amplitude.shape[1:])
    modulus = jnp.sqrt(field.real**2 + field.imag**2 + _MIN_POWER)
    factor = jnp.where(pattern.weight > 0, pattern.amplitude / modulus, 1.0)
    return crop_cube(fftshift3(jnp.fft.ifftn(multiply_real(field, factor), axes=_AXES)), BOX)


def autocorrelation(pattern: PatternBatch) -> ComplexBatch:
    """Compute the autocorrelation of the densities, 1 in the middle, with zeros for what was not measured."""
    light = pattern.amplitude**2 * pattern.weight
    whole = fftshift3(jnp.fft.ifftn(jax.lax.complex(light, jnp.zeros_like(light)), axes=_AXES))
    middle = tuple(n // 2 for n in whole.shape[1:])
    top = jnp.maximum(whole[(slice(None), *middle)].real, _MIN_POWER)
    return crop_cube(multiply_real(whole, 1 / top[:, None, None, None]), AUTOCORRELATION_BOX)


def misfit(density: ComplexBatch, pattern: PatternBatch) -> Float[Array, " batch"]:
    """Compute Σ(|F| − √I)² / ΣI over the measured voxels: the square of ``chi_rms``."""
    field = far_field(density, pattern.amplitude.shape[1:])
    modulus = jnp.sqrt(field.real**2 + field.imag**2 + _MIN_POWER)  # Its gradient is finite in the dark.
    squares = (pattern.weight * (modulus - pattern.amplitude) ** 2).sum(axis=_AXES)
    return squares / jnp.maximum((pattern.weight * pattern.amplitude**2).sum(axis=_AXES), _MIN_POWER)


def fit_scale(density: ComplexBatch, pattern: PatternBatch) -> ComplexBatch:
    """Scale densities so that their moduli are nearest to the measured ones."""
    modulus = jnp.abs(far_field(density, pattern.amplitude.shape[1:])) * pattern.weight
    power = jnp.maximum((modulus**2).sum(axis=_AXES), _MIN_POWER)
    return multiply_real(density, ((modulus * pattern.amplitude).sum(axis=_AXES) / power)[:, None, None, None])


def pad_box(density: ComplexBatch, shape: tuple[int, ...]) -> ComplexBatch:
    """Pad centred densities in a small box to a larger array, with zeros."""
    before = [n // 2 - m // 2 for m, n in zip(density.shape[1:], shape, strict=True)]
    after = [n - m - b for m, n, b in zip(density.shape[1:], shape, before, strict=True)]
    return jnp.pad(density, ((0, 0), *zip(before, after, strict=True)))


def crop_cube(density: ComplexBatch, edge: int) -> ComplexBatch:
    """Crop centred arrays to a cube of an edge, with zeros where they are smaller."""
    for axis, n in enumerate(density.shape[1:], start=1):
        if n > edge:
            density = jax.lax.slice_in_dim(density, n // 2 - edge // 2, n // 2 - edge // 2 + edge, axis=axis)
    return pad_box(density, (edge, edge, edge))


def _stack_parts(density: ComplexBatch) -> Float[Array, "batch _z _y _x 3"]:
    """Stack real part, imaginary part and modulus."""
    modulus = jnp.sqrt(density.real**2 + density.imag**2)
    return jnp.stack([density.real, density.imag, modulus], axis=-1)


def _compress_range(correlation: ComplexBatch) -> Float[Array, "batch _z _y _x 3"]:
    """Stack the autocorrelation with the square root of its modulus: its rim shows the crystal's outline."""
    modulus = jnp.sqrt(correlation.real**2 + correlation.imag**2)
    factor = 1 / jnp.sqrt(modulus + _COMPRESSION_FLOOR)
    return jnp.stack([correlation.real * factor, correlation.imag * factor, jnp.sqrt(modulus)], axis=-1)
