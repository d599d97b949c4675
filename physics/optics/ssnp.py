"""Split-step non-paraxial propagation (SSNP) of the field and its axial derivative.

State (U, V), V = ∂U/∂z, both demodulated. Over a slice Δz the spectrum turns by
    U' = cos(k_z Δz) U + sin(k_z Δz)/k_z V,   V' = −k_z sin(k_z Δz) U + cos(k_z Δz) V
and the slice kicks V by −k0² Δz (n² − n_m²) U. The forward part ½(U − iV/k_z) leaves.
Source: Lim et al., Light Sci. Appl. 8, 82 (2019); Zhu et al., Opt. Express 30, 32808 (2022).

Two slices on, V can be eliminated: with K the spectrum of the kicked field and φ = k_z Δz,
    U₊ = 2 cos φ U − U₋ − sin φ / k_z K,
the rule of Störmer and Verlet. It reads memory half as often, and a slice costs the two FFTs of multi-slice.
Lengths along z are counted in λ/(2π n_m). The incident wave's own phase along z is taken out after the last slice. Axes
(wave, y, x).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .propagation import cis, cosines, incident_cosine
from .slice_scan import SliceStep, scan_slices, scan_slices_fixed

GRAZING = 0.2
"""Waves with a smaller cosine are damped: 1/k_z and slowly decaying evanescent waves would spoil the propagation."""
LEAST_COSINE = 1e-4
"""Stands for the cosine of evanescent waves, which the damping removes."""

Waves = Complex[Array, "wave y x"]
State = tuple[Waves, Waves]


def potential(
    contrast: Float[Array, "channel y x"], strength: Float[Array, ""], medium_index: Float[Array, ""]
) -> Float[Array, "y x"] | Complex[Array, "y x"]:
    """Compute the kick (n² − n_m²)/n_m² · 2π Δz n_m/λ that a slice gives to V, per unit of U.

    Args:
        contrast: Index contrast n − n_m, and the imaginary index if there is one.
        strength: Strength 2π Δz n_m/λ.
        medium_index: Refractive index n_m of the medium.
    """
    real = contrast[0] / medium_index
    if contrast.shape[0] == 1:
        return strength * real * (2 + real)
    imaginary = contrast[1] / medium_index
    return lax.complex(strength * (real * (2 + real) - imaginary**2), strength * 2 * imaginary * (1 + real))


def _times(factor: Float[Array, "*#wave y x"] | Complex[Array, "*#wave y x"], wave: Waves) -> Waves:
    """Multiply, without arithmetic for the imaginary part of a real factor."""
    if jnp.iscomplexobj(factor):
        return factor * wave
    return lax.complex(factor * wave.real, factor * wave.imag)


def _step(constants: Any, state: State, contrast: Float[Array, "channel y x"]) -> tuple[State, Waves]:
    twice, before, push, strength, index = constants
    spectrum, last = state
    wave = jnp.fft.ifft2(spectrum)
    kicked = jnp.fft.fft2(_times(potential(contrast, strength, index)[None], wave))
    return (_times(twice, spectrum) - _times(before, last) - _times(push, kicked), spectrum), wave


def _back(
    constants: Any, cotangent: State, contrast: Float[Array, "channel y x"], wave: Waves
) -> tuple[State, Float[Array, "channel y x"]]:
    """Apply the transposed step: Fourier transforms are their own transposes."""
    twice, before, push, strength, index = constants
    next_cotangent, this_cotangent = cotangent
    behind = jnp.fft.fft2(_times(push, next_cotangent))
    kick, gradient = jax.vjp(lambda c: potential(c, strength, index), contrast)
    product = -jnp.sum(wave * behind, axis=0)
    (contrast_cotangent,) = gradient(product if jnp.iscomplexobj(kick) else product.real)
    spectrum_cotangent = _times(twice, next_cotangent) + this_cotangent - jnp.fft.ifft2(_times(kick[None], behind))
    return (spectrum_cotangent, -_times(before, next_cotangent)), contrast_cotangent


SLICE_STEP = SliceStep(_step, _back)


def exit_spectra(
    contrast: Float[Array, "channel z y x"],
    lattice: Lattice,
    tilts: Float[Array, "wave 2"],
    block: int | None = None,
    fixed_light: bool = False,
) -> Waves:
    """Compute the spectra of the demodulated forward waves at the last slice's plane.

    In float32 the scattered part is right to a few times 1e-5 for slices from 0.05 to 0.45 wave, and to 1e-3 for slices
    of a hundredth of a wave, where the field hardly changes between slices.

    Slices must be thinner than half a wave: at half a wave the field at two slices does not determine the direction of
    propagation.

    Args:
        contrast: Index contrast of the specimen.
        lattice: Lattice of the samples.
        tilts: Incident waves (y, x), in units of n_m/λ.
        block: Slices between the states that are stored for the gradient; see `slice_scan`.
        fixed_light: Whether to compute the specimen's gradient alone, for a faster backward pass.
    """
    turn = 2 * jnp.pi * lattice.cycles(lattice.pitch[0])
    cosine, damping = jax.vmap(lambda tilt: _guarded_cosines(lattice, tilt))(tilts)
    phase = turn * cosine
    phasor = cis(phase)
    start = jnp.zeros_like(phasor).at[:, 0, 0].set(phase.shape[1] * phase.shape[2])
    numbers = (jnp.asarray(turn, tilts.dtype), jnp.asarray(lattice.medium_index, tilts.dtype))
    constants = (2 * damping * jnp.cos(phase), damping**2, damping * jnp.sin(phase) / cosine, *numbers)
    scan = scan_slices_fixed if fixed_light else scan_slices
    beyond, spectrum = scan(SLICE_STEP, constants, (_times(damping, phasor * start), start), contrast, block)
    # Forward part at the last slice, from U there and after one empty slice more.
    forward: Waves = _times(1 / jnp.sin(phase), 0.5j * (phasor.conj() * spectrum - _times(1 / damping, beyond)))
    back = cis(-turn * contrast.shape[1] * jax.vmap(incident_cosine)(tilts))
    return back[:, None, None] * forward


def _guarded_cosines(lattice: Lattice, tilt: Float[Array, " 2"]) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Compute the cosines, and the damping per slice: 1 for all but grazing and evanescent waves."""
    cosine, travels = cosines(lattice, tilt)
    cosine = jnp.where(travels > 0, jnp.maximum(cosine, LEAST_COSINE), LEAST_COSINE)
    return cosine, jnp.exp(jnp.minimum(5 * (cosine - GRAZING), 0))
