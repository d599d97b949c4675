"""The crystal's denoiser: a noisy density and a pattern in, the density that is meant out.

The noisy density is projected onto the measured moduli first; the network is given both, with the autocorrelation of
the density, which the pattern holds whole, and so has only to judge between them. A rectified flow (Liu, Gong and Liu,
2023) leads from noise to a density through it: x_t = (1 − t)·noise + t·ρ, and dx/dt = (ρ̂(x_t) − x_t)/(1 − t). The noise
decides what the pattern leaves open, twin or not, and what it leaves uncertain.

Notation
--------
x_t    noisy density in a box of BOX³ voxels around the crystal's centre of mass
P      x_t with the moduli that were measured, and its own where nothing was
A      autocorrelation of the density, the inverse transform of the intensity
ρ̂      the density that the network takes x_t for

Patterns are cornered, densities centred. Its units are those of `sight`.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .....physics.diffraction.far_field import fftshift3, ifftshift3
from ....networks.flow import time_embedding
from ....networks.layers import Parameters, dense, depth_to_space, new_dense, space_to_depth
from ....networks.unet import UNet
from .inputs import BOX, REACH, SCALARS

NOISE = 0.5
"""Standard deviation of the noise, in each of the real and the imaginary part."""
_FREQUENCIES = 8
"""Of the waves in which the time is told, each an octave above the one before."""
_AXES = (-3, -2, -1)
_FAINT = 1e-3
"""Share of its maximum below which the autocorrelation's square root is flattened."""
_LEAST = 1e-6

Density = Complex[Array, "batch _z _y _x"]


class PatternBatch(NamedTuple):
    """Patterns of one size: `sight.Sight` with a batch axis, as arrays of jax."""

    amplitude: Float[Array, "batch frame y x"]
    weight: Float[Array, "batch frame y x"]
    scalars: Float[Array, "batch scalar"]


@dataclass(frozen=True)
class CrystalDenoiser:
    """The network with its physics.

    Args:
        widths: Channels of each level of the U-Net, whose finest grid is half the box's.
        blocks: Residual blocks of each level.
    """

    widths: tuple[int, ...] = (64, 128)
    blocks: tuple[int, ...] = (1, 4)

    def constants(self) -> dict[str, Any]:
        """What JSON keeps of it."""
        return asdict(self)

    @property
    def unet(self) -> UNet:
        """Its layers."""
        inputs = 2**3 * 6 + 4**3 * 3
        return UNet(inputs, 2**3 * 2, 2 * _FREQUENCIES + SCALARS, self.widths, self.blocks)

    def initialise(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the parameters."""
        unet = self.unet
        skips = new_dense(np.random.default_rng([seed, 1]), unet.width_of_conditions, 2, 0.1)
        return unet.initialise(seed) | {f"skips.{name}": array for name, array in skips.items()}

    def estimate(
        self,
        parameters: Parameters,
        noisy: Density,
        time: Float[Array, " batch"],
        pattern: PatternBatch,
        correlation: Density,
        dtype: Any = jnp.float32,
    ) -> Density:
        """Say what density is meant.

        Args:
            parameters: As `initialise` names them.
            noisy: x_t.
            time: t, from 0 for noise to 1 for the density.
            pattern: What was measured.
            correlation: Its `autocorrelation`.
            dtype: Of the factors of products.
        """
        unet = self.unet
        projected = project(noisy, pattern)
        conditions = unet.conditioned(
            parameters, jnp.concatenate([time_embedding(time, _FREQUENCIES), pattern.scalars], axis=-1)
        )
        seen = jnp.concatenate([_parts(noisy), _parts(projected)], axis=-1)
        values = jnp.concatenate([space_to_depth(seen, 2), space_to_depth(_flattened(correlation), 4)], axis=-1)
        answer = depth_to_space(unet.apply(parameters, values, conditions, dtype), 2)
        skips = dense(parameters, "skips", conditions)[:, :, None, None, None]
        kept = scaled(projected, skips[:, 0]) + scaled(noisy, skips[:, 1])
        return jax.lax.complex(answer[..., 0], answer[..., 1]) + kept


def far_field(density: Density, shape: tuple[int, ...]) -> Density:
    """Far field, cornered, of densities in the box, on an array of a shape."""
    return jnp.fft.fftn(ifftshift3(placed(density, shape)), axes=_AXES)


def scaled(density: Density, factor: Float[Array, "..."]) -> Density:
    """Multiply by real numbers, without making them complex first."""
    return jax.lax.complex(density.real * factor, density.imag * factor)


def project(density: Density, pattern: PatternBatch) -> Density:
    """Give densities the moduli that were measured, and cut them out again."""
    field = far_field(density, pattern.amplitude.shape[1:])
    modulus = jnp.sqrt(field.real**2 + field.imag**2 + _LEAST)
    factor = jnp.where(pattern.weight > 0, pattern.amplitude / modulus, 1.0)
    return cut(fftshift3(jnp.fft.ifftn(scaled(field, factor), axes=_AXES)), BOX)


def autocorrelation(pattern: PatternBatch) -> Density:
    """Autocorrelation of the densities, 1 in the middle; what was not measured is taken as dark."""
    light = pattern.amplitude**2 * pattern.weight
    whole = fftshift3(jnp.fft.ifftn(jax.lax.complex(light, jnp.zeros_like(light)), axes=_AXES))
    middle = tuple(n // 2 for n in whole.shape[1:])
    top = jnp.maximum(whole[(slice(None), *middle)].real, _LEAST)
    return cut(scaled(whole, 1 / top[:, None, None, None]), REACH)


def misfit(density: Density, pattern: PatternBatch) -> Float[Array, " batch"]:
    """Σ(|F| − √I)² / ΣI over what was measured: the square of ``chi_rms``."""
    field = far_field(density, pattern.amplitude.shape[1:])
    modulus = jnp.sqrt(field.real**2 + field.imag**2 + _LEAST)  # Its gradient is finite in the dark.
    missed = (pattern.weight * (modulus - pattern.amplitude) ** 2).sum(axis=_AXES)
    return missed / jnp.maximum((pattern.weight * pattern.amplitude**2).sum(axis=_AXES), _LEAST)


def scaled_to(density: Density, pattern: PatternBatch) -> Density:
    """Densities times the number that brings their moduli nearest to the measured ones."""
    modulus = jnp.abs(far_field(density, pattern.amplitude.shape[1:])) * pattern.weight
    power = jnp.maximum((modulus**2).sum(axis=_AXES), _LEAST)
    return scaled(density, ((modulus * pattern.amplitude).sum(axis=_AXES) / power)[:, None, None, None])


def placed(density: Density, shape: tuple[int, ...]) -> Density:
    """Lay what is centred in a small box into the middle of a larger array; 0 around it."""
    before = [n // 2 - m // 2 for m, n in zip(density.shape[1:], shape, strict=True)]
    after = [n - m - b for m, n, b in zip(density.shape[1:], shape, before, strict=True)]
    return jnp.pad(density, ((0, 0), *zip(before, after, strict=True)))


def cut(density: Density, edge: int) -> Density:
    """The middle of centred arrays: a cube of that edge, with zeros where they are smaller."""
    for axis, n in enumerate(density.shape[1:], start=1):
        if n > edge:
            density = jax.lax.slice_in_dim(density, n // 2 - edge // 2, n // 2 - edge // 2 + edge, axis=axis)
    return placed(density, (edge, edge, edge))


def _parts(density: Density) -> Float[Array, "batch _z _y _x 3"]:
    """Real and imaginary part, and modulus."""
    modulus = jnp.sqrt(density.real**2 + density.imag**2)
    return jnp.stack([density.real, density.imag, modulus], axis=-1)


def _flattened(correlation: Density) -> Float[Array, "batch _z _y _x 3"]:
    """The autocorrelation with its modulus' square root: its rim shows the crystal's outline."""
    modulus = jnp.sqrt(correlation.real**2 + correlation.imag**2)
    factor = 1 / jnp.sqrt(modulus + _FAINT)
    return jnp.stack([correlation.real * factor, correlation.imag * factor, jnp.sqrt(modulus)], axis=-1)
