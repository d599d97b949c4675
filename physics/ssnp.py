"""Split-step non-paraxial propagation: the field and its axial derivative, nothing lost to the paraxial world.

State (U, V), V = ∂U/∂z, both demodulated. Over a slice Δz the spectrum turns by
    U' = cos(k_z Δz) U + sin(k_z Δz)/k_z V,   V' = −k_z sin(k_z Δz) U + cos(k_z Δz) V
and the slice kicks V by −k0² Δz (n² − n_m²) U. The forward part ½(U − iV/k_z) leaves.
Source: Lim et al., Light Sci. Appl. 8, 82 (2019); Zhu et al., Opt. Express 30, 32808 (2022).

The state lives in the spectrum, so that a slice costs two FFTs, as multi-slice does, and not four: the kick needs U in
space, but only its product returns. V is stored in units of 2π n_m/λ. Axes (wave, y, x).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .slices import March, walk, walk_fixed
from .waves import cis, cosines, incident_cosine

GRAZING = 0.2
"""Waves with a smaller cosine are damped, as 1/k_z and the slowly dying evanescent waves would spoil the march."""
LEAST_COSINE = 1e-4
"""Stands for the cosine of evanescent waves, which the damping removes."""

Waves = Complex[Array, "wave y x"]
State = tuple[Waves, Waves]


def potential(
    contrast: Float[Array, "channel y x"], strength: Float[Array, ""], medium_index: Float[Array, ""]
) -> Float[Array, "y x"] | Complex[Array, "y x"]:
    """Kick (n² − n_m²)/n_m² · 2π Δz n_m/λ that a slice gives to V, per unit of U.

    Args:
        contrast: n − n_m, and the imaginary index where there is any.
        strength: 2π Δz n_m/λ.
        medium_index: n_m.
    """
    real = contrast[0] / medium_index
    if contrast.shape[0] == 1:
        return strength * real * (2 + real)
    imaginary = contrast[1] / medium_index
    return lax.complex(strength * (real * (2 + real) - imaginary**2), strength * 2 * imaginary * (1 + real))


def _kicked(kick: Float[Array, "y x"] | Complex[Array, "y x"], wave: Waves) -> Waves:
    if jnp.iscomplexobj(kick):
        return kick[None] * wave
    return lax.complex(kick[None] * wave.real, kick[None] * wave.imag)


def _step(constants: Any, state: State, contrast: Float[Array, "channel y x"]) -> tuple[State, Waves]:
    stay, gain, loss, strength, index = constants
    spectrum, slope = state
    spectrum, slope = stay * spectrum + gain * slope, loss * spectrum + stay * slope
    wave = jnp.fft.ifft2(spectrum)
    return (spectrum, slope - jnp.fft.fft2(_kicked(potential(contrast, strength, index), wave))), wave


def _back(
    constants: Any, cotangent: State, contrast: Float[Array, "channel y x"], wave: Waves
) -> tuple[State, Float[Array, "channel y x"]]:
    """The transposed step: Fourier transforms are their own transposes."""
    stay, gain, loss, strength, index = constants
    of_spectrum, of_slope = cotangent
    behind = jnp.fft.fft2(of_slope)
    kick, gradient = jax.vjp(lambda c: potential(c, strength, index), contrast)
    product = -jnp.sum(wave * behind, axis=0)
    (of_contrast,) = gradient(product if jnp.iscomplexobj(kick) else product.real)
    of_spectrum = of_spectrum - jnp.fft.ifft2(_kicked(kick, behind))
    return (stay * of_spectrum + loss * of_slope, gain * of_spectrum + stay * of_slope), of_contrast


MARCH = March(_step, _back)


def exit_spectra(
    contrast: Float[Array, "channel z y x"],
    lattice: Lattice,
    tilts: Float[Array, "wave 2"],
    block: int | None = None,
    fixed_light: bool = False,
) -> Waves:
    """Spectra of the demodulated forward waves at the last slice's plane; arguments as for multi-slice."""
    turn = 2 * jnp.pi * lattice.cycles(lattice.pitch[0])

    def constants(tilt: Float[Array, " 2"]) -> tuple[Array, Array, Array, Array]:
        cosine, damping = _guarded_cosines(lattice, tilt)
        # The incident wave's own turn is taken out of every step, so that the background stays 1.
        back = cis(-turn * incident_cosine(tilt))

        def of(real: Float[Array, "y x"]) -> Complex[Array, "y x"]:
            return lax.complex(real, jnp.zeros_like(real)) * back

        cosine_part, sine_part = damping * jnp.cos(turn * cosine), damping * jnp.sin(turn * cosine)
        return of(cosine_part), of(sine_part / cosine), of(-sine_part * cosine), cosine

    stay, gain, loss, cosine = jax.vmap(constants)(tilts)
    shape = (tilts.shape[0], *contrast.shape[2:])
    wave = jnp.zeros(shape, stay.dtype).at[:, 0, 0].set(shape[1] * shape[2])
    zero = jnp.zeros_like(cosine)
    start = (wave, wave * lax.complex(zero, cosine))
    numbers = (jnp.asarray(turn, tilts.dtype), jnp.asarray(lattice.medium_index, tilts.dtype))
    way = walk_fixed if fixed_light else walk
    wave, slope = way(MARCH, (stay, gain, loss, *numbers), start, contrast, block)
    forward: Waves = 0.5 * (wave - slope * lax.complex(zero, 1 / cosine))
    return forward


def _guarded_cosines(lattice: Lattice, tilt: Float[Array, " 2"]) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Cosines, and a damping per slice that is 1 for all waves but grazing and evanescent ones."""
    cosine, travels = cosines(lattice, tilt)
    cosine = jnp.where(travels > 0, jnp.maximum(cosine, LEAST_COSINE), LEAST_COSINE)
    return cosine, jnp.exp(jnp.minimum(5 * (cosine - GRAZING), 0))
