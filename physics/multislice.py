"""Multi-slice (beam propagation) with exact obliquity.

Each slice: propagate from the slice before, then multiply by exp(2πi Δn Δz / (λ cos θ)), where θ is the incident wave's
angle in the medium. Slices stand in the middle of their layer, so the scheme is of second order in Δz (Strang).
Source: Van Roey et al., JOSA 71, 803 (1981); the cosine as in Kamilov et al., IEEE TCI 2, 59 (2016).

Axes ``z y x``. Contrast is n − n_m in channel 0 and, where there is one, the imaginary index in channel 1.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .slices import walk
from .waves import cis, incident_cosine, kernel


def transmission(
    contrast: Float[Array, "channel y x"], lattice: Lattice, tilt: Float[Array, " 2"]
) -> Complex[Array, "y x"]:
    """What a thin slice does to a wave."""
    cycles = lattice.pitch[0] / lattice.wavelength / incident_cosine(tilt)
    phasor = cis(2 * jnp.pi * cycles * contrast[0])
    if contrast.shape[0] == 1:
        return phasor
    amplitude = jnp.exp(-2 * jnp.pi * cycles * contrast[1])
    return phasor * lax.complex(amplitude, jnp.zeros_like(amplitude))


def exit_spectrum(
    contrast: Float[Array, "channel z y x"], lattice: Lattice, tilt: Float[Array, " 2"], block: int | None = None
) -> Complex[Array, "y x"]:
    """Spectrum of the demodulated wave at the last slice's plane.

    Args:
        contrast: Index contrast of the specimen.
        lattice: Where it is sampled.
        tilt: Incident wave, in units of n_m/λ.
        block: Slices between the states that are kept for the gradient; see `walk`.
    """
    propagator = kernel(lattice, tilt, lattice.cycles(lattice.pitch[0]))

    def step(
        spectrum: Complex[Array, "y x"], piece: Float[Array, "channel y x"]
    ) -> Complex[Array, "y x"]:
        wave = jnp.fft.ifft2(spectrum * propagator)
        return jnp.fft.fft2(wave * transmission(piece, lattice, tilt))

    # The background is a single sample of the spectrum: propagating it to the first slice leaves it as it is.
    background = jnp.zeros(contrast.shape[2:], propagator.dtype).at[0, 0].set(contrast.shape[2] * contrast.shape[3])
    return walk(step, background, contrast, block)
