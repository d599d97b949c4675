"""Pupil of a microscope's objective, and its aberrations.

P(u) = A(u) exp(i Σ c_j Z_j(u λ/NA)). A is 1 where |u| ≤ NA/λ, else 0, and by default antialiased at the rim, except
for the incident wave. The Zernike polynomials have unit rms over the disc and are numbered after Noll (JOSA 66, 207,
1976) from j = 4 (defocus): piston, tip and tilt do not change an intensity's shape.
"""

from functools import cache
from math import factorial

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

from .lattice import Lattice
from .microscope import RIM_TOLERANCE
from .propagation import cis

FIRST_ZERNIKE = 4
_LEAST_DIVISOR = 1e-5
"""Floor of the radius and of the width of the edge, which are divided by."""


@cache
def noll(j: int) -> tuple[int, int]:
    """Compute the radial and the signed azimuthal order of Noll's j-th polynomial, j ≥ 1; negative for sine."""
    n = int((np.sqrt(8 * j - 7) - 1) / 2)
    k = j - n * (n + 1) // 2 - 1
    m = 2 * (k // 2) + 1 if n % 2 else 2 * ((k + 1) // 2)
    return n, m if m == 0 or j % 2 == 0 else -m


def zernike(j: int, y: Float[Array, "*n"], x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Evaluate Noll's j-th Zernike polynomial, of unit rms over the unit disc, as a polynomial in y and x."""
    n, m = noll(j)
    order = abs(m)
    squared = x**2 + y**2
    radial = jnp.zeros_like(squared)
    for s in range((n - order) // 2 + 1):
        weight = (
            (-1) ** s
            * factorial(n - s)
            / (factorial(s) * factorial((n + order) // 2 - s) * factorial((n - order) // 2 - s))
        )
        radial = radial + weight * squared ** ((n - order) // 2 - s)
    # (x + iy)^m without an angle, so that gradients are finite at the centre
    cosine, sine = jnp.ones_like(x), jnp.zeros_like(x)
    for _ in range(order):
        cosine, sine = cosine * x - sine * y, cosine * y + sine * x
    angular = cosine if m >= 0 else sine
    return float(np.sqrt((n + 1) * (2 if m else 1))) * radial * angular


def pupil(
    lattice: Lattice,
    numerical_aperture: float,
    tilt: Float[Array, " 2"],
    aberrations: Float[Array, " j"],
    sharp: bool = False,
) -> Complex[Array, "y x"]:
    """Compute the pupil at the samples of a demodulated field's spectrum.

    The rim is antialiased: the modulus of a sample is the fraction of its frequency cell within the rim. With a hard
    rim, images depend on the lattice by up to a tenth of their contrast. The incident wave is a single frequency, and
    its sample is 0 or 1.

    Args:
        lattice: Lattice of the field.
        numerical_aperture: NA of the objective.
        tilt: Transverse frequency (y, x) of the incident wave, in units of n_m/λ.
        aberrations: [rad] Coefficients, the rms phases, of the Zernike polynomials from `FIRST_ZERNIKE` on; may be
            empty.
        sharp: Use a hard rim instead: each sample is 0 or 1.
    """
    rim = numerical_aperture / lattice.medium_index
    sy, sx = (jnp.asarray(s, tilt.dtype) for s in lattice.sines)
    y, x = jnp.broadcast_arrays((sy + tilt[0]) / rim, (sx + tilt[1]) / rim)
    if sharp:
        passes = (y**2 + x**2 <= (1 + RIM_TOLERANCE) ** 2).astype(tilt.dtype)
    else:
        passes = pupil_edge_coverage(lattice, numerical_aperture, sy, sx, tilt)
    return _add_aberrations(passes, y, x, aberrations)


def pupil_edge_coverage(
    lattice: Lattice,
    numerical_aperture: float,
    sy: Float[Array, "*#f"],
    sx: Float[Array, "*#f"],
    tilt: Float[Array, " 2"],
) -> Float[Array, "*f"]:
    """Compute the fraction of each sample's frequency cell that lies within the rim of the pupil.

    The rim counts as straight across a cell, and the cell as a slab along the radius: exact along y and x. The incident
    wave's sample is 0 or 1.

    Args:
        lattice: Lattice of the field, which sets the width of a cell.
        numerical_aperture: NA of the objective.
        sy: Frequencies of a demodulated spectrum along y, in units of n_m/λ.
        sx: Frequencies along x.
        tilt: Transverse frequency (y, x) of the incident wave, in the same units.
    """
    rim = numerical_aperture / lattice.medium_index
    cell_y, cell_x = (
        lattice.wavelength / (lattice.medium_index * n * d)
        for n, d in zip(lattice.shape[1:], lattice.pitch[1:], strict=True)
    )
    y, x = jnp.broadcast_arrays(sy + tilt[0], sx + tilt[1])
    radius = jnp.sqrt(jnp.maximum(y**2 + x**2, _LEAST_DIVISOR**2))
    width = jnp.maximum((jnp.abs(y) * cell_y + jnp.abs(x) * cell_x) / radius, _LEAST_DIVISOR)
    fraction = jnp.clip(0.5 + (rim - radius) / width, 0, 1)
    incident = (jnp.sum(tilt**2) <= (rim * (1 + RIM_TOLERANCE)) ** 2).astype(fraction.dtype)
    return jnp.where((sy == 0) & (sx == 0), incident, fraction)


def incident_transmission(
    lattice: Lattice, numerical_aperture: float, tilt: Float[Array, " 2"], aberrations: Float[Array, " j"]
) -> Complex[Array, ""]:
    """Compute the phase factor of the aberrations at the incident wave: of modulus 1 in dark field too."""
    rim = numerical_aperture / lattice.medium_index
    return _add_aberrations(jnp.ones((), tilt.dtype), tilt[0] / rim, tilt[1] / rim, aberrations)


def relative_brightness(
    lattice: Lattice,
    numerical_aperture: float,
    tilts: Float[Array, "*n source 2"],
    weights: Float[Array, "*n source"],
) -> Float[Array, "*n source"]:
    """Divide the brightness of each source by the empty field's, the sum over the sources within the pupil.

    In dark field, with no source within the pupil, divide by the sum over all sources.
    """
    rim = numerical_aperture / lattice.medium_index
    transmitted = jnp.where(jnp.sum(tilts**2, axis=-1) <= (rim * (1 + RIM_TOLERANCE)) ** 2, weights, 0)
    empty = jnp.sum(transmitted, axis=-1, keepdims=True)
    return weights / jnp.where(empty > 0, empty, jnp.sum(weights, axis=-1, keepdims=True))


def _add_aberrations(
    passes: Float[Array, "*n"], y: Float[Array, "*n"], x: Float[Array, "*n"], aberrations: Float[Array, " j"]
) -> Complex[Array, "*n"]:
    if not aberrations.shape[0]:
        return lax.complex(passes, jnp.zeros_like(passes))
    phase = sum(
        (aberrations[i] * zernike(FIRST_ZERNIKE + i, y, x) for i in range(aberrations.shape[0])), jnp.zeros_like(passes)
    )
    return cis(phase) * lax.complex(passes, jnp.zeros_like(passes))
