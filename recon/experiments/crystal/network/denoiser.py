"""Denoiser of the crystal: it estimates the density from a noisy density and a pattern.

The noisy density is projected onto the measured moduli first. The network's input is both, and the autocorrelation of
the density, which is the inverse transform of the pattern; its output is a correction to a weighted sum of both. A
rectified flow (Liu, Gong and Liu, 2023) integrates the estimates from noise to a density: x_t = (1 − t)·noise + t·ρ,
and dx/dt = (ρ̂(x_t) − x_t)/(1 − t). A pattern does not determine one density: an object and its twin, the inverted
conjugate, diffract alike. The draw of the noise determines the sample.

Notation
--------
x_t    noisy density in a box of BOX³ voxels around the crystal's centre of mass
P      x_t with the measured moduli, and its own moduli where nothing was measured
A      autocorrelation of the density, the inverse transform of the intensity
ρ̂      density that the network estimates from x_t

Patterns are in FFT order (origin at index 0), densities are centred. Units are those of `inputs`.
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
from .inputs import AUTOCORRELATION_BOX, BOX, SCALARS, crop_or_pad

NOISE = 0.5
"""Standard deviation of the noise, in each of the real and the imaginary part."""
_FREQUENCIES = 8
"""Number of waves that embed the time, each an octave above the one before."""
_AXES = (-3, -2, -1)
_COMPRESSION_FLOOR = 1e-3
"""Modulus, relative to the autocorrelation's maximum, below which its compression is linear rather than a root."""
_MIN_POWER = 1e-6
"""Floor of squared moduli and their sums, so that quotients and gradients are finite."""
_DENSITY_FOLD, _AUTOCORRELATION_FOLD = 2, 4
"""Edges of the blocks of voxels folded into channels: both boxes have the same grid afterwards."""
_PARTS = 3
"""Channels of a complex array in the input: real part, imaginary part, modulus."""
_SKIP_SCALE = 0.1
"""Scale of the initial weights of the skips."""

ComplexBatch = Complex[Array, "batch _z _y _x"]
"""Densities, far fields or autocorrelations, with a batch axis."""


class PatternBatch(NamedTuple):
    """Patterns of one size: those of `PatternInput` with a batch axis, as arrays of jax."""

    amplitude: Float[Array, "batch frame y x"]
    weight: Float[Array, "batch frame y x"]
    scalars: Float[Array, "batch scalar"]


class CrystalDenoiser(nnx.Module):
    """Network whose input and output are combined with the projection onto the measured moduli.

    Args:
        widths: Channels of each level of the U-Net, whose finest grid is half the box's.
        blocks: Residual blocks of each level.
        seed: Seed of the weights; None sets them to 0, to be replaced.
    """

    def __init__(
        self, widths: tuple[int, ...] = (64, 128), blocks: tuple[int, ...] = (1, 4), seed: int | None = None
    ) -> None:
        self.widths, self.blocks = widths, blocks
        inputs = _DENSITY_FOLD**3 * 2 * _PARTS + _AUTOCORRELATION_FOLD**3 * _PARTS  # x_t and P, and A
        outputs = _DENSITY_FOLD**3 * 2  # real and imaginary part
        conditions = 2 * _FREQUENCIES + SCALARS  # sine and cosine of each frequency, and the pattern's scalars
        size = UNetSize(inputs, outputs, conditions, widths, blocks)
        self.unet = UNet(size, None if seed is None else np.random.default_rng(seed))
        skips_rng = None if seed is None else np.random.default_rng([seed, 1])
        self.skips = Linear(size.condition_width, 2, skips_rng, _SKIP_SCALE)

    def constants(self) -> dict[str, Any]:
        """Return the constructor's arguments, which the network's file holds as JSON."""
        return {"widths": self.widths, "blocks": self.blocks}

    @staticmethod
    def draw_inputs(random: np.random.RandomState) -> tuple[Any, ...]:
        """Draw inputs of `estimate` for the self-test of the network's file."""
        box, wide = (1, BOX, BOX, BOX), (1, *(AUTOCORRELATION_BOX,) * 3)
        normal = [random.standard_normal((2, *size)).astype(np.float32) for size in (box, box, wide)]
        scalars = random.standard_normal((1, SCALARS)).astype(np.float32)
        noisy, correlation = (part[0] + 1j * part[1] for part in (normal[0], normal[2]))
        weight = (normal[1][1] > -1).astype(np.float32)
        pattern = PatternBatch(*map(jnp.asarray, (np.abs(normal[1][0]), weight, scalars)))
        return NOISE * noisy, np.full(1, 0.5, np.float32), pattern, correlation

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

        Returns:
            ρ̂, centred, in the box.
        """
        projected = project(noisy, pattern)
        conditions = self.unet.embed(jnp.concatenate([time_embedding(time, _FREQUENCIES), pattern.scalars], axis=-1))
        densities = jnp.concatenate([_stack_parts(noisy), _stack_parts(projected)], axis=-1)
        compressed = _compress_range(correlation)
        folded = [space_to_depth(densities, _DENSITY_FOLD), space_to_depth(compressed, _AUTOCORRELATION_FOLD)]
        change = depth_to_space(self.unet(jnp.concatenate(folded, axis=-1), conditions, dtype), _DENSITY_FOLD)
        skips = self.skips(conditions)[:, :, None, None, None]
        weighted = multiply_real(projected, skips[:, 0]) + multiply_real(noisy, skips[:, 1])
        return jax.lax.complex(change[..., 0], change[..., 1]) + weighted


def far_field(density: ComplexBatch, shape: tuple[int, ...]) -> ComplexBatch:
    """Compute the far field of densities in the box, on an array of a shape, in FFT order."""
    return jnp.fft.fftn(ifftshift3(crop_or_pad(density, shape)), axes=_AXES)


def multiply_real(values: ComplexBatch, factor: Float[Array, "..."]) -> ComplexBatch:
    """Multiply by real numbers, without making them complex first."""
    return jax.lax.complex(values.real * factor, values.imag * factor)


def project(density: ComplexBatch, pattern: PatternBatch) -> ComplexBatch:
    """Project densities onto the measured moduli, and crop them to the box again."""
    field = far_field(density, pattern.amplitude.shape[1:])
    modulus = jnp.sqrt(field.real**2 + field.imag**2 + _MIN_POWER)
    factor = jnp.where(pattern.weight > 0, pattern.amplitude / modulus, 1.0)
    return crop_or_pad(fftshift3(jnp.fft.ifftn(multiply_real(field, factor), axes=_AXES)), (BOX,) * 3)


def autocorrelation(pattern: PatternBatch) -> ComplexBatch:
    """Compute the autocorrelation of the densities, the inverse transform of the intensity.

    Intensities that were not measured are set to 0.

    Returns:
        Autocorrelation, 1 in the middle, in a box of `AUTOCORRELATION_BOX`.
    """
    intensity = pattern.amplitude**2 * pattern.weight
    whole = fftshift3(jnp.fft.ifftn(jax.lax.complex(intensity, jnp.zeros_like(intensity)), axes=_AXES))
    middle = tuple(n // 2 for n in whole.shape[1:])
    maximum = jnp.maximum(whole[(slice(None), *middle)].real, _MIN_POWER)
    return crop_or_pad(multiply_real(whole, 1 / maximum[:, None, None, None]), (AUTOCORRELATION_BOX,) * 3)


def misfit(density: ComplexBatch, pattern: PatternBatch) -> Float[Array, " batch"]:
    """Compute Σ(|F| − √I)² / ΣI over the measured voxels: the square of ``chi_rms``."""
    field = far_field(density, pattern.amplitude.shape[1:])
    modulus = jnp.sqrt(field.real**2 + field.imag**2 + _MIN_POWER)  # The gradient is finite at 0.
    squares = (pattern.weight * (modulus - pattern.amplitude) ** 2).sum(axis=_AXES)
    return squares / jnp.maximum((pattern.weight * pattern.amplitude**2).sum(axis=_AXES), _MIN_POWER)


def fit_scale(density: ComplexBatch, pattern: PatternBatch) -> ComplexBatch:
    """Scale densities by the factor of least squares between their moduli and the measured ones."""
    modulus = jnp.abs(far_field(density, pattern.amplitude.shape[1:])) * pattern.weight
    power = jnp.maximum((modulus**2).sum(axis=_AXES), _MIN_POWER)
    return multiply_real(density, ((modulus * pattern.amplitude).sum(axis=_AXES) / power)[:, None, None, None])


def _stack_parts(density: ComplexBatch) -> Float[Array, "batch _z _y _x 3"]:
    """Stack real part, imaginary part and modulus."""
    modulus = jnp.sqrt(density.real**2 + density.imag**2)
    return jnp.stack([density.real, density.imag, modulus], axis=-1)


def _compress_range(correlation: ComplexBatch) -> Float[Array, "batch _z _y _x 3"]:
    """Compress the dynamic range of the autocorrelation, whose faint rim shows the crystal's outline.

    Returns:
        Channels: real and imaginary part of A/√(|A| + ε), with ε = `_COMPRESSION_FLOOR`, and √|A|.
    """
    modulus = jnp.sqrt(correlation.real**2 + correlation.imag**2)
    factor = 1 / jnp.sqrt(modulus + _COMPRESSION_FLOOR)
    return jnp.stack([correlation.real * factor, correlation.imag * factor, jnp.sqrt(modulus)], axis=-1)
