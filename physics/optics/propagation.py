"""Plane waves and free propagation, with the incident wave divided out.

Notation
--------
s, t   transverse frequency of a sample of the spectrum, and tilt of the incident wave, in units of n_m/λ
c(s)   cosine of the wave's angle in the medium, √(1 − |s|²)

A field is stored *demodulated*: divided by its incident plane wave, so that the background is 1 everywhere, at every
depth. Propagation over d cycles multiplies the spectrum by exp(2πi [c(s + t) − c(t)] d). Tilts are not rounded to the
Fourier grid and stay differentiable. Fields go as e^(−iωt): a wave towards +z has the phase e^(+2πi c d).
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Complex, Float

from .lattice import Lattice

_TURN = 6.283185307179586


def background_spectra(shape: tuple[int, ...], dtype: DTypeLike) -> Complex[Array, "wave y x"]:
    """Compute the spectra of waves that are 1 everywhere: their first sample.

    The product of two axes compiles to that. A sample set in zeros would become a constant of the program, as large as
    all waves; XLA takes seconds to compute such a one, and complains.
    """
    rows, columns = (n * (jnp.arange(n) == 0).astype(dtype) for n in shape[1:])
    return jnp.broadcast_to(rows[:, None] * columns[None], shape)


@jax.custom_jvp
def cis(phase: Float[Array, "*n"]) -> Complex[Array, "*n"]:
    """Compute the unit phasor e^(iφ), by a polynomial and three doublings of the angle.

    The library's sine and cosine take longer than the Fourier transforms between them. In float32 this is as exact (a
    few units in the last place) in a quarter of the time; in float64 the library's are used.
    """
    versine, sine = _versine_and_sine(phase)
    return lax.complex(1 - versine, sine)


def _versine_and_sine(phase: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Compute 1 − cos φ, exactly for small phases too, and sin φ."""
    if phase.dtype == jnp.float64:
        return 2 * jnp.sin(phase / 2) ** 2, jnp.sin(phase)
    eighth = (phase - _TURN * jnp.round(phase * (1 / _TURN))) * 0.125
    square = eighth * eighth
    sine = eighth * (1 + square * (-1 / 6 + square * (1 / 120 - square * (1 / 5040))))
    # 1 − cos is carried, not cos: the doublings then lose nothing where the phase is small
    versine = square * (1 / 2 - square * (1 / 24 - square * (1 / 720 - square * (1 / 40320))))
    for _ in range(3):
        sine, versine = 2 * sine * (1 - versine), 2 * sine * sine
    return versine, sine


@cis.defjvp
def _cis_derivative(
    primals: tuple[Float[Array, "*n"]], tangents: tuple[Float[Array, "*n"]]
) -> tuple[Complex[Array, "*n"], Complex[Array, "*n"]]:
    phasor, (tangent,) = cis(*primals), tangents
    return phasor, lax.complex(-phasor.imag * tangent, phasor.real * tangent)


@jax.custom_jvp
def cis_change(phase: Float[Array, "*n"]) -> Complex[Array, "*n"]:
    """Compute e^(iφ) − 1 without cancellation; see `cis`."""
    versine, sine = _versine_and_sine(phase)
    return lax.complex(-versine, sine)


@cis_change.defjvp
def _cis_change_derivative(
    primals: tuple[Float[Array, "*n"]], tangents: tuple[Float[Array, "*n"]]
) -> tuple[Complex[Array, "*n"], Complex[Array, "*n"]]:
    change, (tangent,) = cis_change(*primals), tangents
    return change, lax.complex(-change.imag * tangent, (1 + change.real) * tangent)


def scale_waves(
    factor: Float[Array, "*#wave y x"] | Complex[Array, "*#wave y x"], waves: Complex[Array, "wave y x"]
) -> Complex[Array, "wave y x"]:
    """Multiply waves by a factor, without arithmetic for the imaginary part of a real one."""
    if jnp.iscomplexobj(factor):
        return factor * waves
    return lax.complex(factor * waves.real, factor * waves.imag)


def shifted_sines(lattice: Lattice, tilt: Float[Array, " 2"]) -> tuple[Float[Array, "y 1"], Float[Array, "1 x"]]:
    """Compute the frequencies s + t of the samples of a demodulated spectrum, in units of n_m/λ."""
    sy, sx = (jnp.asarray(s, tilt.dtype) for s in lattice.sines)
    return sy + tilt[0], sx + tilt[1]


def cosines(lattice: Lattice, tilt: Float[Array, " 2"]) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Compute the cosine of each wave of a demodulated spectrum, and 1 where it propagates or 0 where it is evanescent.

    The cosine of an evanescent wave is set to 1, to keep divisions and gradients finite; use it with the mask.
    """
    sy, sx = shifted_sines(lattice, tilt)
    squared = 1 - sy**2 - sx**2
    travels = squared > 0
    return jnp.sqrt(jnp.where(travels, squared, 1)), travels.astype(tilt.dtype)


def incident_cosine(tilt: Float[Array, " 2"]) -> Float[Array, ""]:
    """Compute the cosine of the incident wave's angle in the medium."""
    return jnp.sqrt(1 - jnp.sum(tilt**2))


def kernel(lattice: Lattice, tilt: Float[Array, " 2"], cycles: Float[Array, ""] | float) -> Complex[Array, "y x"]:
    """Compute the kernel of free propagation (Goodman, *Fourier Optics*, §3.10), zero for evanescent waves.

    Args:
        lattice: Lattice of the field.
        tilt: Incident wave (y, x), in units of n_m/λ.
        cycles: Distance in wavelengths of the medium; negative to propagate back.
    """
    cosine, travels = cosines(lattice, tilt)
    phasor = cis(2 * jnp.pi * cycles * (cosine - incident_cosine(tilt)))
    return lax.complex(travels * phasor.real, travels * phasor.imag)
