"""Multi-slice (beam propagation) with exact obliquity.

At each slice the wave is propagated from the slice before, then multiplied by exp(2πi Δn Δz / (λ cos θ)), where θ is
the incident wave's angle in the medium. Slices are in the middle of their layers: the scheme is of second order in Δz
(Strang).
Source: Van Roey et al., JOSA 71, 803 (1981); the cosine as in Kamilov et al., IEEE TCI 2, 59 (2016).

The state is the spectrum of the demodulated wave behind a slice. Axes (wave, y, x); contrast is n − n_m in channel 0
and, where there is one, the imaginary index in channel 1.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .propagation import cis, incident_cosine, kernel
from .slice_scan import SliceStep, scan_slices, scan_slices_fixed

Waves = Complex[Array, "wave y x"]


def transmission(contrast: Float[Array, "channel y x"], cycles: Float[Array, " wave"]) -> Waves:
    """Compute the transmission of a thin slice for each wave.

    Args:
        contrast: Index contrast of the slice.
        cycles: Thickness of the slice over λ cos θ, for each wave.
    """
    scale = 2 * jnp.pi * cycles[:, None, None]
    phasor = cis(scale * contrast[0][None])
    if contrast.shape[0] == 1:
        return phasor
    amplitude = jnp.exp(-scale * contrast[1][None])
    return phasor * lax.complex(amplitude, jnp.zeros_like(amplitude))


def _step(constants: Any, spectrum: Waves, contrast: Float[Array, "channel y x"]) -> tuple[Waves, Waves]:
    propagator, cycles = constants
    wave = jnp.fft.ifft2(spectrum * propagator) * transmission(contrast, cycles)
    return jnp.fft.fft2(wave), wave


def _back(
    constants: Any, cotangent: Waves, contrast: Float[Array, "channel y x"], wave: Waves
) -> tuple[Waves, Float[Array, "channel y x"]]:
    """Apply the transposed step: Fourier transforms are their own transposes."""
    propagator, cycles = constants
    behind = jnp.fft.fft2(cotangent)
    product = wave * behind
    weights = -2 * jnp.pi * cycles[:, None, None]
    # Summed as complex numbers: with jax 0.10 on a CPU the sum of an imaginary part takes ten times longer.
    total = jnp.sum(lax.complex(weights * product.real, weights * product.imag), axis=0)
    gradients = [total.imag] if contrast.shape[0] == 1 else [total.imag, total.real]
    before = propagator * jnp.fft.ifft2(transmission(contrast, cycles) * behind)
    return before, jnp.stack(gradients)


SLICE_STEP = SliceStep(_step, _back)


def exit_spectra(
    contrast: Float[Array, "channel z y x"],
    lattice: Lattice,
    tilts: Float[Array, "wave 2"],
    block: int | None = None,
    fixed_light: bool = False,
) -> Waves:
    """Compute the spectra of the demodulated waves at the last slice's plane.

    Args:
        contrast: Index contrast of the specimen.
        lattice: Lattice of the samples.
        tilts: Incident waves (y, x), in units of n_m/λ.
        block: Slices between the states that are stored for the gradient; see `slice_scan`.
        fixed_light: Whether to compute the specimen's gradient alone, for a faster backward pass.
    """
    step = lattice.cycles(lattice.pitch[0])
    propagators = jax.vmap(lambda tilt: kernel(lattice, tilt, step))(tilts)
    cycles = lattice.pitch[0] / lattice.wavelength / jax.vmap(incident_cosine)(tilts)
    # The background is a single sample of the spectrum, which propagation to the first slice does not change.
    shape = (tilts.shape[0], *contrast.shape[2:])
    background = jnp.zeros(shape, propagators.dtype).at[:, 0, 0].set(shape[1] * shape[2])
    scan = scan_slices_fixed if fixed_light else scan_slices
    spectra: Waves = scan(SLICE_STEP, (propagators, cycles), background, contrast, block)
    return spectra
