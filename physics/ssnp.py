"""Split-step non-paraxial propagation: the field and its axial derivative, nothing lost to the paraxial world.

State (U, V), V = ∂U/∂z, both demodulated. Over a slice Δz the spectrum turns by
    U' = cos(k_z Δz) U + sin(k_z Δz)/k_z V,   V' = −k_z sin(k_z Δz) U + cos(k_z Δz) V
and the slice kicks V by −k0² Δz (n² − n_m²) U. The forward part ½(U − iV/k_z) leaves.
Source: Lim et al., Light Sci. Appl. 8, 82 (2019); Zhu et al., Opt. Express 30, 32808 (2022).

The state lives in the spectrum, so that a slice costs two FFTs, as multi-slice does, and not four: the kick needs U in
space, but only its product returns. V is stored in units of 2π n_m/λ. Axes ``z y x``.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .slices import walk
from .waves import cis, cosines, incident_cosine

GRAZING = 0.2
"""Waves with a smaller cosine are damped, as 1/k_z and the slowly dying evanescent waves would spoil the march."""


def potential(contrast: Float[Array, "channel y x"], lattice: Lattice) -> Complex[Array, "y x"] | Float[Array, "y x"]:
    """Kick (n² − n_m²)/n_m² · 2π Δz n_m/λ that a slice gives to V, per unit of U."""
    strength = 2 * jnp.pi * lattice.cycles(lattice.pitch[0])
    real = contrast[0] / lattice.medium_index
    if contrast.shape[0] == 1:
        return strength * real * (2 + real)
    imaginary = contrast[1] / lattice.medium_index
    return strength * lax.complex(real * (2 + real) - imaginary**2, 2 * imaginary * (1 + real))


def exit_spectrum(
    contrast: Float[Array, "channel z y x"], lattice: Lattice, tilt: Float[Array, " 2"], block: int | None = None
) -> Complex[Array, "y x"]:
    """Spectrum of the demodulated forward wave at the last slice's plane; arguments as for multi-slice."""
    cosine, _ = cosines(lattice, tilt)
    cosine, damping = _guarded_cosines(lattice, tilt)
    turn = 2 * jnp.pi * lattice.cycles(lattice.pitch[0])
    back = cis(-turn * incident_cosine(tilt))
    real_cos, real_sin = damping * jnp.cos(turn * cosine), damping * jnp.sin(turn * cosine)

    def of(real: Float[Array, "y x"]) -> Complex[Array, "y x"]:
        return lax.complex(real, jnp.zeros_like(real)) * back

    stay, gain, loss = of(real_cos), of(real_sin / cosine), of(-real_sin * cosine)

    def step(
        state: tuple[Complex[Array, "y x"], Complex[Array, "y x"]], piece: Float[Array, "channel y x"]
    ) -> tuple[Complex[Array, "y x"], Complex[Array, "y x"]]:
        wave, slope = state
        wave, slope = stay * wave + gain * slope, loss * wave + stay * slope
        kick = potential(piece, lattice)
        if not jnp.iscomplexobj(kick):
            kick = lax.complex(kick, jnp.zeros_like(kick))
        return wave, slope - jnp.fft.fft2(kick * jnp.fft.ifft2(wave))

    wave = jnp.zeros(contrast.shape[2:], stay.dtype).at[0, 0].set(contrast.shape[2] * contrast.shape[3])
    slope = wave * lax.complex(jnp.zeros_like(cosine), cosine)
    wave, slope = walk(step, (wave, slope), contrast, block)
    return 0.5 * (wave - slope * lax.complex(jnp.zeros_like(cosine), 1 / cosine))


def _guarded_cosines(
    lattice: Lattice, tilt: Float[Array, " 2"]
) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Cosines, and a damping per slice that is 1 for all waves but grazing and evanescent ones."""
    cosine, travels = cosines(lattice, tilt)
    cosine = jnp.where(travels > 0, jnp.maximum(cosine, 1e-4), 1e-4)
    return cosine, jnp.exp(jnp.minimum(5 * (cosine - GRAZING), 0))
