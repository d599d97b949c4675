"""What a fluorescence microscope shows of a cell: its stained membrane and inside, blurred, as one section of a stack.

    occupancy --stain--> fluorescence --blur--> stack --z = 0--> section --background, photons--> image
                                                stack > ½ --z = 0--> mask

Notation
--------
o      occupancy, 0…1; smooth enough that its slope stands for the membrane
F      fluorescence, a_i o + a_m t |∇o|: the inside gives a_i; a membrane that is seen edge on adds to it what t metres
       of a_m would (|∇o| integrates to 1 across a surface, so that t is the membrane's thickness)
P      point-spread function: a Gaussian σ_xy, σ_z with a wide halo of stray light, or an array; it sums to 1

Everything is differentiable in the occupancy, in the stain and in the widths. Arrays are (z, y, x), z = 0 at slice
``n // 2``; axes before the last three are a batch. Outside the array there is nothing: no light comes round the edges.
Lengths are in any unit, one for all of them; micrometres keep single precision well.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float
from scipy import ndimage

from .detector import Detector
from .psf import Scalar, convolve_gaussian_open, convolve_kernel

_NEAR = 1e-12


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stain:
    """What shines.

    Args:
        inside: a_i, brightness of the cell's inside.
        membrane: a_m · t [length]: brightness that a membrane adds, integrated across it.
    """

    inside: Scalar = 1.0
    membrane: Scalar = 0.4


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MicroscopePsf:
    """A point-spread function of Gaussians, in micrometres unless another length is given.

    Args:
        lateral: [length] σ_xy.
        axial: [length] σ_z.
        halo: Share of the light that goes into a halo: real images have light well outside their masks.
        halo_width: [length] σ of the halo, along all axes.
    """

    lateral: Scalar = 0.15
    axial: Scalar = 0.42
    halo: Scalar = 0.2
    halo_width: Scalar = 0.6


@dataclass(frozen=True)
class FluorescenceExposure:
    """How an image is taken.

    Args:
        photons: That a pixel counts at brightness 1; None for no noise.
        background: Brightness where there is no cell, relative to 1: 3 of 255.
        grain: [pixel] σ over which the noise is smoothed: real images are resampled after they are taken.
    """

    photons: float | None = 400.0
    background: float = 3 / 255
    grain: float = 0.7


def occupancy_from_distance(distance: Float[Array, "*n z y x"], width: Scalar) -> Float[Array, "*n z y x"]:
    """Filled share of voxels of a size, from the signed distance; smooth, so that all voxels near have a gradient.

    Args:
        distance: [length] Negative inside.
        width: [length] Of a voxel.
    """
    return 0.5 * (1 - erf(distance * (np.sqrt(3.0) * np.sqrt(2.0) / width)))


def fluorescence(
    occupancy: Float[Array, "*n z y x"], spacing: tuple[float, float, float], stain: Stain
) -> Float[Array, "*n z y x"]:
    """F of an occupancy.

    Args:
        occupancy: o.
        spacing: [length] Distance between samples (z, y, x).
        stain: What shines.
    """
    square = sum((_slope(occupancy, axis) / step) ** 2 for axis, step in zip((-3, -2, -1), spacing, strict=True))
    # The root of 0 has no gradient: a trace is added, and taken away again.
    slope = jnp.sqrt(square + _NEAR) - np.float32(np.sqrt(_NEAR))
    return stain.inside * occupancy + stain.membrane * slope


def apply_psf(
    stack: Float[Array, "*n z y x"],
    spacing: tuple[float, float, float],
    blur: MicroscopePsf | Float[Array, "a b c"],
    slices: slice | None = None,
) -> Float[Array, "*n w y x"]:
    """Blur a stack; darkness all around it.

    Args:
        stack: What shines.
        spacing: [length] Distance between samples (z, y, x).
        blur: Gaussians, or an odd-sized array on the same samples, its middle the focus. It is used as it is: let it
            sum to 1.
        slices: Those wanted; all if None. A section alone costs a fraction of the stack.
    """
    slices = slice(None) if slices is None else slices
    if not isinstance(blur, MicroscopePsf):
        return convolve_kernel(stack, blur)[..., slices, :, :]
    widths = ((blur.axial, blur.lateral, blur.lateral), (blur.halo_width,) * 3)
    core, halo = (
        convolve_gaussian_open(stack, [sigma / step for sigma, step in zip(sigmas, spacing, strict=True)], slices)
        for sigmas in widths
    )
    return (1 - blur.halo) * core + blur.halo * halo


def simulate_stack(
    occupancy: Float[Array, "*n z y x"],
    spacing: tuple[float, float, float],
    stain: Stain,
    blur: MicroscopePsf | Float[Array, "a b c"],
    slices: slice | None = None,
) -> Float[Array, "*n w y x"]:
    """The blurred stack relative to the inside's brightness: {½} is the surface that a threshold finds in it.

    Its middle slice is the section, and that, thresholded, is the mask. The surface lies outside the cell's own by what
    membrane and halo add.

    Args:
        occupancy: o.
        spacing: [length] Distance between samples (z, y, x).
        stain: What shines; its inside must.
        blur: As for :func:`apply_psf`.
        slices: Those wanted; all if None.
    """
    return apply_psf(fluorescence(occupancy, spacing, stain), spacing, blur, slices) / stain.inside


def expose_section(
    clean: Float[np.ndarray, "*n y x"], exposure: FluorescenceExposure, rng: np.random.Generator
) -> Float[np.ndarray, "*n y x"]:
    """Take an image, on the host: background and the noise of photons.

    Args:
        clean: Section without either.
        exposure: How.
        rng: Source of randomness.

    Returns:
        Brightness on the scale of the section, in float32.
    """
    light = np.maximum(clean + exposure.background, 0).astype(np.float32)
    if exposure.photons is None:
        return light
    counted = Detector(photons=exposure.photons, gain=1 / exposure.photons).expose(light, rng)
    widths = [0.0] * (light.ndim - 2) + [exposure.grain] * 2
    return np.asarray(np.maximum(light + ndimage.gaussian_filter(counted - light, widths), 0))


def _slope(values: Float[Array, "*n z y x"], axis: int) -> Float[Array, "*n z y x"]:
    """Change over a sample, central; nothing lies beyond the ends."""
    if values.shape[axis] < 2:
        return jnp.zeros_like(values)
    ahead, behind = jnp.roll(values, -1, axis), jnp.roll(values, 1, axis)
    inner = np.zeros(values.shape[axis], bool)
    inner[1:-1] = True
    shape = [1] * 3
    shape[axis] = -1
    return jnp.where(jnp.asarray(inner.reshape(shape)), (ahead - behind) / 2, 0)
