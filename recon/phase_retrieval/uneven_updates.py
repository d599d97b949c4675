"""Updates of iterative projections on a rocking curve that is not even.

The transform to the frames is not unitary: an update of the density diverges along what the frames hardly determine.
Updates are therefore made in the planes u whose 2D FFTs are the frames, u = R E ρ (`diffraction.uneven_frames`). There
the projection P onto the measured moduli is exact, and that onto the support is Q = R E S E⁺ R*, with E⁺ over the
planes that the support fills. An update with coefficients (a, b) inside and (c, d) outside the support
(`projections.UPDATES`) becomes

    u ← cPu + du + Q[(a − c)Pu + (b − d)u],

the same as for an even curve, where E is unitary. Arrays are (z, y, x) in FFT order (origin at index 0).
"""

from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from ...physics.diffraction.uneven_frames import (
    PROJECTION_REGULARIZATION,
    density_of_planes,
    planes_of_frames,
    restrict_planes,
)
from .curve import Curve, UnevenCurve
from .pattern import DevicePattern, PointSpread
from .projections import Coefficient, UpdateCoefficients, abs2, cap_amplitude, modulus_factor, multiply_real

LEAST_BLURRED = 0.1
"""Least blurred intensity of a pixel, relative to its own: what frames at one q disagree on may push it lower."""

Density: TypeAlias = Complex[Array, "z y x"]


def enter_planes(density: Density, curve: Curve) -> Density:
    """Convert a density to an iterate: on a curve that is not even, to the planes of its frames."""
    return planes_of_frames(density, curve.matrices) if isinstance(curve, UnevenCurve) else density


def leave_planes(iterate: Density, support: Float[Array, "z y x"], curve: Curve, margin: int = 0) -> Density:
    """Convert an iterate to a density, which on a curve that is not even fills the planes of a support alone.

    Args:
        iterate: Iterate.
        support: 1 inside.
        curve: Transforms of the curve.
        margin: Planes beside the support that the density may fill as well.
    """
    if not isinstance(curve, UnevenCurve):
        return iterate
    filled = jnp.max(support, axis=(1, 2))
    for shift in range(1, margin + 1):
        filled = jnp.maximum(filled, jnp.maximum(jnp.roll(filled, shift), jnp.roll(filled, -shift)))
    return density_of_planes(iterate, restrict_planes(curve.matrices, filled))


class SupportedPlanes:
    """Planes of the frames of a density within a support.

    Args:
        curve: Transforms of the curve.
        support: 1 inside.
    """

    def __init__(self, curve: UnevenCurve, support: Float[Array, "z y x"]) -> None:
        self.curve, self.support = curve, support
        planes = jnp.max(support, axis=(1, 2))
        self.matrices = restrict_planes(curve.matrices, planes, PROJECTION_REGULARIZATION)

    def density(self, planes: Density) -> Density:
        """Compute the density inside the support."""
        return multiply_real(density_of_planes(planes, self.matrices), self.support)

    def within(self, planes: Density) -> Density:
        """Apply Q."""
        return planes_of_frames(self.density(planes), self.matrices)

    def capped(self, planes: Density, ceiling: Float[Array, ""]) -> Density:
        """Limit the amplitude of the density inside the support."""
        density = self.density(planes)
        change = cap_amplitude(density, self.support, ceiling) - density
        return planes + planes_of_frames(change, self.matrices)


def project_planes(
    planes: Density, pattern: DevicePattern, point_spread: PointSpread, curve: UnevenCurve, *, coherent: bool
) -> Density:
    """Project planes onto the measured moduli of their frames."""
    wave = jnp.fft.fftn(planes, axes=(1, 2))
    modelled = abs2(wave)
    if not coherent:
        blurred = curve.convolve(modelled, point_spread.sigmas) + point_spread.background
        modelled = jnp.maximum(blurred, LEAST_BLURRED * modelled)
    return jnp.fft.ifftn(multiply_real(wave, modulus_factor(pattern.amplitude, modelled)), axes=(1, 2))


def iterate_uneven(
    iterate: Density,
    support: Float[Array, "z y x"],
    curve: UnevenCurve,
    project: Callable[[Density], Density],
    update: UpdateCoefficients,
    count: Int[Array, ""],
    ceiling: Float[Array, ""] | None = None,
) -> Density:
    """Apply an update, linear in the iterate and its projection, a number of times.

    Args:
        iterate: Planes of the frames.
        support: 1 inside.
        curve: Transforms of the curve.
        project: Projection of planes onto the measured moduli.
        update: Coefficients of the method.
        count: Number of iterations.
        ceiling: Largest amplitude inside the support; None for no limit.
    """
    supported = SupportedPlanes(curve, support)
    inside_projected = update.inside_projected - update.outside_projected
    inside_iterate = update.inside_iterate - update.outside_iterate

    def step(_: Array, planes: Density) -> Density:
        projected = project(planes)
        if ceiling is not None:
            projected = supported.capped(projected, ceiling)
        beyond = _scaled(projected, update.outside_projected) + _scaled(planes, update.outside_iterate)
        within = _scaled(projected, inside_projected) + _scaled(planes, inside_iterate)
        return beyond + supported.within(within)

    planes: Array = lax.fori_loop(0, count, step, iterate)
    return planes


def _scaled(field: Density, factor: Coefficient) -> Density:
    return lax.complex(factor * field.real, factor * field.imag)


def iterate_uneven_gps(
    both: tuple[Density, Density],
    support: Float[Array, "z y x"],
    curve: UnevenCurve,
    project: Callable[[Density], Density],
    update_dual: Callable[[Density, Density, Density], Density],
    count: Int[Array, ""],
) -> tuple[Density, Density]:
    """Run generalised proximal smoothing; see `projections.update_gps_dual`.

    Args:
        both: Iterate and dual variable, as planes of the frames.
        support: 1 inside.
        curve: Transforms of the curve.
        project: Projection of planes onto the measured moduli.
        update_dual: Dual variable without a support, from the former one, the projection and the iterate.
        count: Number of iterations.
    """
    supported = SupportedPlanes(curve, support)

    def step(_: Array, both: tuple[Array, Array]) -> tuple[Array, Array]:
        planes, dual = both
        projected = project(planes - dual)
        changed = update_dual(dual, projected, planes)
        return projected, changed - supported.within(changed)

    planes, dual = lax.fori_loop(0, count, step, both)
    return planes, dual
