"""Split-step non-paraxial propagation (SSNP) of the field and its axial derivative.

The field U and V = ∂U/∂z are divided by the transverse phase of the incident wave, not by its phase along z. Free
propagation over a slice Δz takes their spectra to
    U' = cos(k_z Δz) U + sin(k_z Δz)/k_z V,   V' = −k_z sin(k_z Δz) U + cos(k_z Δz) V
and the slice changes V by −p U, with p = k0² Δz (n² − n_m²). The forward part ½(U − iV/k_z) is the result.
Source: Lim et al., Light Sci. Appl. 8, 82 (2019); Zhu et al., Opt. Express 30, 32808 (2022).

V is eliminated between successive slices: with K the spectrum of p U and φ = k_z Δz,
    U₊ = 2 cos φ U − U₋ − sin φ / k_z K,
a trigonometric integrator (Gautschi, Numer. Math. 3, 381, 1961; Deuflhard, ZAMP 30, 177, 1979). The state is the
spectra of U at this slice and at the one before. It is read half as often as (U, V), and a slice costs the two FFTs of
multi-slice. Lengths along z are in λ/(2π n_m). The result is divided by the incident wave's phase along z. Axes
(wave, y, x).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .propagation import background_spectra, cis, cosines, incident_cosine, scale_waves
from .slice_scan import SliceStep, scan_slices, scan_slices_fixed

GRAZING = 0.2
"""Cosine below which waves are damped: 1/k_z and slowly decaying evanescent waves would spoil the propagation."""
LEAST_COSINE = 1e-4
"""Floor of the cosine of propagating waves, and the value for evanescent ones; damped by exp(−1) per slice."""

Scalar = Float[Array | np.ndarray, ""]
Waves = Complex[Array, "wave y x"]
State = tuple[Waves, Waves]
"""Spectra of U at this slice and at the slice before."""


class SliceConstants(NamedTuple):
    """Factors of the recurrence that are the same for all slices; those over the spectrum include the damping d.

    Args:
        this_factor: 2 d cos φ, of the spectrum at this slice.
        previous_factor: d², of the spectrum at the slice before.
        source_factor: d sin φ / k_z, of the spectrum of p U.
        slice_phase: [rad] Phase 2π Δz n_m/λ of a slice.
        medium_index: Refractive index n_m of the medium.
    """

    this_factor: Float[Array, "wave y x"]
    previous_factor: Float[Array, "wave y x"]
    source_factor: Float[Array, "wave y x"]
    slice_phase: Scalar
    medium_index: Scalar


def potential(
    contrast: Float[Array, "channel y x"], slice_phase: Scalar, medium_index: Scalar
) -> Float[Array, "y x"] | Complex[Array, "y x"]:
    """Compute the factor p = (n² − n_m²)/n_m² · 2π Δz n_m/λ of a slice, which changes V by −p U.

    Args:
        contrast: Index contrast n − n_m, and the imaginary index if there is one.
        slice_phase: [rad] Phase 2π Δz n_m/λ of a slice.
        medium_index: Refractive index n_m of the medium.
    """
    real = contrast[0] / medium_index
    if contrast.shape[0] == 1:
        return real * (2 + real) * slice_phase
    imaginary = contrast[1] / medium_index
    return lax.complex(slice_phase * (real * (2 + real) - imaginary**2), slice_phase * 2 * imaginary * (1 + real))


def _step(constants: SliceConstants, state: State, contrast: Float[Array, "channel y x"]) -> tuple[State, Waves]:
    """Propagate the spectra by one slice; return also the field at this slice, for the transposed step."""
    spectrum, previous = state
    field = jnp.fft.ifft2(spectrum)
    factor = potential(contrast, constants.slice_phase, constants.medium_index)
    source = jnp.fft.fft2(scale_waves(factor[None], field))
    following = (
        scale_waves(constants.this_factor, spectrum)
        - scale_waves(constants.previous_factor, previous)
        - scale_waves(constants.source_factor, source)
    )
    return (following, spectrum), field


def _transpose_step(
    constants: SliceConstants, cotangent: State, contrast: Float[Array, "channel y x"], field: Waves
) -> tuple[State, Float[Array, "channel y x"]]:
    """Apply the transposed step: Fourier transforms are their own transposes."""
    next_cotangent, this_cotangent = cotangent
    source_cotangent = jnp.fft.fft2(scale_waves(constants.source_factor, next_cotangent))
    factor, gradient = jax.vjp(lambda c: potential(c, constants.slice_phase, constants.medium_index), contrast)
    product = -jnp.sum(field * source_cotangent, axis=0)
    (contrast_cotangent,) = gradient(product if jnp.iscomplexobj(factor) else product.real)
    spectrum_cotangent = (
        scale_waves(constants.this_factor, next_cotangent)
        + this_cotangent
        - jnp.fft.ifft2(scale_waves(factor[None], source_cotangent))
    )
    return (spectrum_cotangent, -scale_waves(constants.previous_factor, next_cotangent)), contrast_cotangent


SLICE_STEP = SliceStep(_step, _transpose_step)


def exit_spectra(
    contrast: Float[Array, "channel z y x"],
    lattice: Lattice,
    tilts: Float[Array, "wave 2"],
    block: int | None = None,
    fixed_light: bool = False,
) -> Waves:
    """Compute the spectra of the demodulated forward waves at the last slice's plane.

    In float32 the scattered part is right to a few times 1e-5 for slices from 0.05 to 0.45 wave, and to 1e-3 for slices
    of a hundredth of a wave, between which the field hardly changes.

    Slices must be thinner than half a wave: at half a wave the field at two slices does not determine the direction of
    propagation.

    Args:
        contrast: Index contrast of the specimen.
        lattice: Lattice of the samples.
        tilts: Incident waves (y, x), in units of n_m/λ.
        block: Slices between the states that are stored for the gradient; see `slice_scan`.
        fixed_light: Whether to compute the specimen's gradient alone, for a faster backward pass.
    """
    slice_phase = 2 * jnp.pi * lattice.cycles(lattice.pitch[0])
    cosine, damping = jax.vmap(lambda tilt: _guarded_cosines(lattice, tilt))(tilts)
    phase = slice_phase * cosine
    phasor = cis(phase)
    incident = background_spectra(phasor.shape, phasor.dtype)
    constants = SliceConstants(
        2 * damping * phasor.real,
        damping**2,
        damping * phasor.imag / cosine,
        jnp.asarray(slice_phase, tilts.dtype),
        jnp.asarray(lattice.medium_index, tilts.dtype),
    )
    scan = scan_slices_fixed if fixed_light else scan_slices
    first_state = (scale_waves(damping, phasor * incident), incident)
    following, last = scan(SLICE_STEP, constants, first_state, contrast, block)
    # Forward part at the last slice, from U there and after free propagation over one slice more.
    forward: Waves = scale_waves(1 / phasor.imag, 0.5j * (phasor.conj() * last - scale_waves(1 / damping, following)))
    remove_phase = cis(-slice_phase * contrast.shape[1] * jax.vmap(incident_cosine)(tilts))
    return remove_phase[:, None, None] * forward


def _guarded_cosines(lattice: Lattice, tilt: Float[Array, " 2"]) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Compute the cosines, and the damping per slice: 1 for all but grazing and evanescent waves."""
    cosine, propagating = cosines(lattice, tilt)
    cosine = jnp.where(propagating > 0, jnp.maximum(cosine, LEAST_COSINE), LEAST_COSINE)
    return cosine, jnp.exp(jnp.minimum(5 * (cosine - GRAZING), 0))
