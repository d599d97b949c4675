"""Multi-slice (beam propagation) with exact obliquity of the incident and of the scattered waves.

At each slice the wave U is propagated from the slice before, then multiplied by t = exp(2πi Δn Δz / (λ cos θ)), where θ
is the incident wave's angle in the medium. That is right for a wave along the incident one. By Weyl's integral a slice
scatters into a wave of angle θ' with the weight 1/cos θ', so that the change (t − 1) U has its spectrum multiplied by
cos θ / cos θ': to first order in Δn the result is then the Born approximation's at any angle, and a wide-angle image
nearly that of SSNP, of thick slices too. Slices are in the middle of their layers: the scheme is of second order in Δz
(Strang), but for repeated scattering within one slice.
Source: Van Roey et al., JOSA 71, 803 (1981); the incident cosine as in Kamilov et al., IEEE TCI 2, 59 (2016), the
scattered one as in Chen et al., Optica 7, 394 (2020).

The state is the spectrum of the demodulated wave behind a slice. Axes (wave, y, x); contrast is n − n_m in channel 0
and, where there is one, the imaginary index in channel 1.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .propagation import background_spectra, cis_change, cosines, incident_cosine, kernel, scale_waves
from .slice_scan import SliceStep, scan_slices, scan_slices_fixed

Waves = Complex[Array, "wave y x"]

LEAST_COSINE = 0.3
"""Floor of the cosine of a scattered wave, whose amplitude grows as its inverse."""


def transmission_change(contrast: Float[Array, "channel y x"], cycles: Float[Array, " wave"]) -> Waves:
    """Compute t − 1, with the transmission t of a thin slice for each wave.

    Args:
        contrast: Index contrast of the slice.
        cycles: Thickness of the slice over λ cos θ, for each wave.
    """
    scale = 2 * jnp.pi * cycles[:, None, None]
    change = cis_change(scale * contrast[0][None])
    if contrast.shape[0] == 1:
        return change
    loss = jnp.expm1(-scale * contrast[1][None])
    return lax.complex(change.real + loss * (1 + change.real), change.imag * (1 + loss))


def _step(constants: Any, spectrum: Waves, contrast: Float[Array, "channel y x"]) -> tuple[Waves, Waves]:
    propagator, obliquity, cycles = constants
    arriving = spectrum * propagator
    wave = jnp.fft.ifft2(arriving)
    # The residual is an output of a transform: XLA would compute any other anew where it is stored, without vectors.
    return arriving + scale_waves(obliquity, jnp.fft.fft2(transmission_change(contrast, cycles) * wave)), wave


def _back(
    constants: Any, cotangent: Waves, contrast: Float[Array, "channel y x"], wave: Waves
) -> tuple[Waves, Float[Array, "channel y x"]]:
    """Apply the transposed step: Fourier transforms are their own transposes."""
    propagator, obliquity, cycles = constants
    behind = jnp.fft.fft2(scale_waves(obliquity, cotangent))
    change = transmission_change(contrast, cycles) * behind
    product = wave * (change + behind)
    weights = -2 * jnp.pi * cycles[:, None, None]
    # Summed as complex numbers: with jax 0.10 on a CPU the sum of an imaginary part takes ten times longer.
    total = jnp.sum(lax.complex(weights * product.real, weights * product.imag), axis=0)
    gradients = [total.imag] if contrast.shape[0] == 1 else [total.imag, total.real]
    before = propagator * (cotangent + jnp.fft.ifft2(change))
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
    incident = jax.vmap(incident_cosine)(tilts)
    cosine = jnp.maximum(jax.vmap(lambda tilt: cosines(lattice, tilt)[0])(tilts), LEAST_COSINE)
    obliquity = incident[:, None, None] / cosine
    cycles = lattice.pitch[0] / lattice.wavelength / incident
    # The background is a single sample of the spectrum, which propagation to the first slice does not change.
    shape = (tilts.shape[0], *contrast.shape[2:])
    background = background_spectra(shape, propagators.dtype)
    scan = scan_slices_fixed if fixed_light else scan_slices
    spectra: Waves = scan(SLICE_STEP, (propagators, obliquity, cycles), background, contrast, block)
    return spectra
