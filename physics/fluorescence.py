"""Fluorescence image of a stained cell: membrane and inside, blurred, as one section of a stack.

    occupancy --stain--> fluorescence --blur--> stack --z = 0--> section --background, photons--> image
                                                stack > ½ --z = 0--> mask

Notation
--------
o      occupancy, 0…1; smooth enough that its slope stands for the membrane
F      fluorescence, a_i o + a_m t |∇o|: brightness a_i inside, and that of a membrane of brightness a_m and thickness
       t (|∇o| integrates to 1 across a surface)
P      point-spread function: a Gaussian σ_xy, σ_z with a wide halo of stray light, or an array; it sums to 1

Everything is differentiable in the occupancy, in the stain and in the widths. Arrays are (z, y, x), z = 0 at slice
``n // 2``; axes before the last three are a batch. Outside the array it is dark: nothing is periodic. Lengths are in
any one unit; micrometres suit single precision.
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

_SMALL_SQUARE = 1e-12


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stain:
    """Brightness of the stained parts of a cell.

    Args:
        inside: Brightness a_i of the inside.
        membrane: [length] Brightness of the membrane, integrated across it, a_m t.
    """

    inside: Scalar = 1.0
    membrane: Scalar = 0.4


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MicroscopePsf:
    """Point-spread function of two Gaussians, a core and a halo; defaults are in micrometres.

    Args:
        lateral: [length] σ_xy of the core.
        axial: [length] σ_z of the core.
        halo: Fraction of the light in the halo; real images have light well outside their masks.
        halo_width: [length] σ of the halo, along all axes.
    """

    lateral: Scalar = 0.15
    axial: Scalar = 0.42
    halo: Scalar = 0.2
    halo_width: Scalar = 0.6


@dataclass(frozen=True)
class FluorescenceExposure:
    """Exposure of a fluorescence image.

    Args:
        photons: [photons] Photons per pixel at brightness 1; None for no noise.
        background: Brightness without a cell; by default 3 of 255.
        grain: [pixel] σ of the smoothing of the noise; real images are resampled after their exposure.
    """

    photons: float | None = 400.0
    background: float = 3 / 255
    grain: float = 0.7


def occupancy_from_distance(distance: Float[Array, "*n z y x"], width: Scalar) -> Float[Array, "*n z y x"]:
    """Compute the filled fraction of voxels from the signed distance, smoothly: all voxels near have a gradient.

    Args:
        distance: [length] Signed distance, negative inside.
        width: [length] Size of a voxel.
    """
    return 0.5 * (1 - erf(distance * (np.sqrt(3.0) * np.sqrt(2.0) / width)))


def fluorescence(
    occupancy: Float[Array, "*n z y x"], spacing: tuple[float, float, float], stain: Stain
) -> Float[Array, "*n z y x"]:
    """Compute the fluorescence F of an occupancy.

    Args:
        occupancy: Occupancy o.
        spacing: [length] Distance between samples (z, y, x).
        stain: Brightness of inside and membrane.
    """
    square = sum((_slope(occupancy, axis) / step) ** 2 for axis, step in zip((-3, -2, -1), spacing, strict=True))
    # The root of 0 has no gradient: a small number is added before it and subtracted after.
    slope = jnp.sqrt(square + _SMALL_SQUARE) - np.float32(np.sqrt(_SMALL_SQUARE))
    return stain.inside * occupancy + stain.membrane * slope


def apply_psf(
    stack: Float[Array, "*n z y x"],
    spacing: tuple[float, float, float],
    psf: MicroscopePsf | Float[Array, "a b c"],
    slices: slice | None = None,
) -> Float[Array, "*n w y x"]:
    """Convolve a stack with a point-spread function; it is dark beyond its edges.

    Args:
        stack: Fluorescence.
        spacing: [length] Distance between samples (z, y, x).
        psf: Gaussians, or an array of odd sizes and sum 1 on the same samples, its focus in the middle.
        slices: Slices to compute; None for all. A section alone costs a fraction of the stack.

    Raises:
        ValueError: If the array has an even number of samples along an axis.
    """
    slices = slice(None) if slices is None else slices
    if not isinstance(psf, MicroscopePsf):
        return convolve_kernel(stack, psf)[..., slices, :, :]
    widths = ((psf.axial, psf.lateral, psf.lateral), (psf.halo_width,) * 3)
    core, halo = (
        convolve_gaussian_open(stack, [sigma / step for sigma, step in zip(sigmas, spacing, strict=True)], slices)
        for sigmas in widths
    )
    return (1 - psf.halo) * core + psf.halo * halo


def simulate_stack(
    occupancy: Float[Array, "*n z y x"],
    spacing: tuple[float, float, float],
    stain: Stain,
    psf: MicroscopePsf | Float[Array, "a b c"],
    slices: slice | None = None,
) -> Float[Array, "*n w y x"]:
    """Simulate the stack relative to the brightness of the inside; its surface at ½ is that of a segmentation.

    The middle slice is the section, and the section above ½ the mask. Membrane and halo move the surface outwards.

    Args:
        occupancy: Occupancy o.
        spacing: [length] Distance between samples (z, y, x).
        stain: Brightness of inside and membrane; that of the inside is not 0.
        psf: Point-spread function, as for :func:`apply_psf`.
        slices: Slices to compute; None for all.
    """
    return apply_psf(fluorescence(occupancy, spacing, stain), spacing, psf, slices) / stain.inside


def expose_section(
    clean: Float[np.ndarray, "*n y x"], exposure: FluorescenceExposure, rng: np.random.Generator
) -> Float[np.ndarray, "*n y x"]:
    """Add background and photon noise to a section, on the host.

    Args:
        clean: Section without background and noise.
        exposure: Exposure.
        rng: Random number generator.

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
    """Compute central differences per sample; 0 at the ends."""
    if values.shape[axis] < 2:
        return jnp.zeros_like(values)
    ahead, behind = jnp.roll(values, -1, axis), jnp.roll(values, 1, axis)
    inner = np.zeros(values.shape[axis], bool)
    inner[1:-1] = True
    shape = [1] * 3
    shape[axis] = -1
    return jnp.where(jnp.asarray(inner.reshape(shape)), (ahead - behind) / 2, 0)
