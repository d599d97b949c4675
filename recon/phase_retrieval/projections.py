"""Projections onto the measured moduli and onto the support, and the updates made of them.

Arrays are (z, y, x) in FFT order. x is the iterate, P its projection onto the measured moduli, S the support. Every
update but GPS is linear in P and x, with one pair of coefficients inside the support and one outside, so that one
compiled loop serves all:

    method  inside            outside            source
    er      P                 0                  Gerchberg & Saxton 1972; Fienup 1978
    hio     P                 x − βP             Fienup 1982
    raar    P                 βx + (1 − 2β)P     Luke 2005
    dm      (1 − β)x + βP     x − βP             Elser 2003 with γ_S = −1, γ_M = 1
    cf      P                 −P                 Oszlányi & Sütő 2004, with a support
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from ...physics.psf import convolve_gaussian

UNMEASURED = -1.0
"""Amplitude of a pixel that is bad or withheld."""
_TINY = 1e-20

Coefficient: TypeAlias = float | Float[Array, ""]
_SMOOTHING = 0.01
"""Moreau's σ of GPS's support constraint."""


class UpdateCoefficients(NamedTuple):
    """Coefficients of the projected object and of the iterate, inside and outside the support."""

    inside_projected: Coefficient
    inside_iterate: Coefficient
    outside_projected: Coefficient
    outside_iterate: Coefficient


UPDATES: dict[str, Callable[[float], UpdateCoefficients]] = {
    "er": lambda beta: UpdateCoefficients(1.0, 0.0, 0.0, 0.0),
    "hio": lambda beta: UpdateCoefficients(1.0, 0.0, -beta, 1.0),
    "raar": lambda beta: UpdateCoefficients(1.0, 0.0, 1.0 - 2.0 * beta, beta),
    "dm": lambda beta: UpdateCoefficients(beta, 1.0 - beta, -beta, 1.0),
    "cf": lambda beta: UpdateCoefficients(1.0, 0.0, -1.0, 0.0),
}


def multiply_real(field: Complex[Array, "z y x"], factor: Float[Array, "z y x"]) -> Complex[Array, "z y x"]:
    """Multiply by a real array, a third faster than by a complex one."""
    return lax.complex(field.real * factor, field.imag * factor)


def add_scaled(
    start: Complex[Array, "z y x"], step: Complex[Array, "z y x"], length: Float[Array, ""]
) -> Complex[Array, "z y x"]:
    """Compute start + length·step, by real arithmetic."""
    return lax.complex(start.real + length * step.real, start.imag + length * step.imag)


def abs2(field: Complex[Array, "z y x"]) -> Float[Array, "z y x"]:
    """Compute |field|²."""
    return field.real**2 + field.imag**2


def modulus_projection(density: Complex[Array, "z y x"], amplitude: Float[Array, "z y x"]) -> Complex[Array, "z y x"]:
    """Replace the moduli of the diffracted wave by the measured ones, where there are any.

    Args:
        density: Iterate.
        amplitude: √counts; negative where nothing was measured.
    """
    wave = jnp.fft.fftn(density)
    return jnp.fft.ifftn(multiply_real(wave, modulus_factor(amplitude, abs2(wave))))


def modulus_factor(amplitude: Float[Array, "z y x"], modelled: Float[Array, "z y x"]) -> Float[Array, "z y x"]:
    """Compute the factor of a wave that makes its moduli the measured ones.

    Args:
        amplitude: √counts; negative where nothing was measured, where the factor is 1.
        modelled: Modelled counts.
    """
    return jnp.where(amplitude < 0, 1.0, amplitude * lax.rsqrt(modelled + _TINY))


def partially_coherent_projection(
    density: Complex[Array, "z y x"],
    amplitude: Float[Array, "z y x"],
    sigmas: Float[Array, "3"],
    background: Float[Array, ""],
) -> Complex[Array, "z y x"]:
    """Project under partial coherence: scale the wave by the root of the ratio of measured to modelled counts.

    Args:
        density: Iterate.
        amplitude: √counts; negative where nothing was measured.
        sigmas: [pixel] Widths of the point-spread function.
        background: [counts] Background in every pixel.
    """
    wave = jnp.fft.fftn(density)
    modelled = convolve_gaussian(abs2(wave), sigmas) + background
    return jnp.fft.ifftn(multiply_real(wave, modulus_factor(amplitude, modelled)))


def cap_amplitude(
    density: Complex[Array, "z y x"], support: Float[Array, "z y x"], ceiling: Float[Array, ""]
) -> Complex[Array, "z y x"]:
    """Limit the amplitude inside the support: the lattice of a crystal has one density.

    Args:
        density: Density; outside the support it stays as it is.
        support: 1 inside.
        ceiling: Largest amplitude, in units of its mean over the support, weighted by the intensity: unlike an rms,
            this mean does not depend on how much of the support is empty.
    """
    intensity = abs2(density)
    amplitude = jnp.sqrt(intensity)
    weights = intensity * support
    largest = ceiling * jnp.sum(amplitude * weights) / jnp.maximum(jnp.sum(weights), _TINY)
    factor = jnp.minimum(1.0, largest / jnp.maximum(amplitude, _TINY))
    return multiply_real(density, jnp.where(support > 0, factor, 1.0))


def apply_update(
    projected: Complex[Array, "z y x"],
    iterate: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    update: UpdateCoefficients,
) -> Complex[Array, "z y x"]:
    """Combine the projected object and the iterate to the next iterate.

    Args:
        projected: P.
        iterate: x.
        support: 1 inside, 0 outside.
        update: Coefficients of the method.
    """
    inside = support > 0

    # Selected between two sums: coefficients selected per voxel would be two more arrays to read in each iteration.
    def part(p: Float[Array, "z y x"], x: Float[Array, "z y x"]) -> Float[Array, "z y x"]:
        within = update.inside_projected * p + update.inside_iterate * x
        beyond = update.outside_projected * p + update.outside_iterate * x
        return jnp.where(inside, within, beyond)

    return lax.complex(part(projected.real, iterate.real), part(projected.imag, iterate.imag))


def update_gps_dual(
    dual: Complex[Array, "z y x"],
    projected: Complex[Array, "z y x"],
    iterate: Complex[Array, "z y x"],
    support: Float[Array, "z y x"],
    step: Float[Array, ""] | float,
) -> Complex[Array, "z y x"]:
    """Update the dual variable of generalised proximal smoothing, (1 − S)(y + s(2P − x)) / (1 + sσ).

    The iterate is P itself, of x − y: the primal step is 1. Pham, Yin, Miao & Osher, Inverse Problems 35 (2019), with
    σ the same at all frequencies.

    Args:
        dual: y.
        projected: P of x − y.
        iterate: x.
        support: 1 inside, 0 outside.
        step: s.
    """
    keep = (1.0 - support) / (1.0 + step * _SMOOTHING)
    real = keep * (dual.real + step * (2.0 * projected.real - iterate.real))
    imag = keep * (dual.imag + step * (2.0 * projected.imag - iterate.imag))
    return lax.complex(real, imag)
