"""Linear intensity diffraction tomography: transfer functions of a weak specimen, and their closed-form inverse.

To first order in the contrast the spectrum of I − 1 is Σ_q H_re(s, z_q) n̂_re(s, z_q) + H_im(s, z_q) n̂_im(s, z_q) with
    A(s, z) = i 2π Δz / (λ c(s + t)) · P(s + t)/P(t) · exp(2πi [c(s + t) − c(t)] (f − z) n_m/λ),
    H_re = A(s) + A*(−s),   H_im = i [A(s) − A*(−s)],
for the index n = n_m + n_re + i n_im, the incident tilt t, and focus at f. Source: Ling et al., Biomed. Opt. Express 9,
2130 (2018); Chen et al., Adv. Photonics 2, 056004 (2020).

The inverse is least squares over all views and slices at once, one small system for each transverse frequency,
(HᴴH + α) n̂ = Hᴴ Î, solved in whichever of its two forms, views or slices, is the smaller.
"""

from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .illumination import PlaneWaves
from .lattice import Lattice
from .microscope import RIM_TOLERANCE
from .propagation import cis, incident_cosine
from .pupil import pupil_edge_coverage, relative_brightness

LEAST_COSINE = 0.03
"""Floor of the cosine of grazing waves, which no objective passes."""


@dataclass(frozen=True)
class BornModel:
    """Linear model of the images of a weak specimen.

    Args:
        lattice: Samples of the specimen.
        numerical_aperture: NA of the objective.
        absorption: Whether the imaginary index is a second channel.
    """

    lattice: Lattice
    numerical_aperture: float
    absorption: bool = False

    def scattering_amplitudes(
        self, sy: Float[Array, "*f"], sx: Float[Array, "*f"], tilt: Float[Array, " 2"], defocus: Float[Array, ""]
    ) -> Complex[Array, "z *f"]:
        """Compute A(s, z) of every slice at frequencies s in units of n_m/λ; zero outside the pupil."""
        passes = pupil_edge_coverage(self.lattice, self.numerical_aperture, sy, sx, tilt)
        cosine = jnp.sqrt(jnp.maximum(1 - (sy + tilt[0]) ** 2 - (sx + tilt[1]) ** 2, LEAST_COSINE**2))
        depths = [self.lattice.cycles(float(z)) for z in self.lattice.planes]
        distance = (defocus - jnp.asarray(depths, tilt.dtype)).reshape(-1, *[1] * sy.ndim)
        phase = 2 * jnp.pi * (cosine - incident_cosine(tilt))[None] * distance
        strength = (passes * 2 * jnp.pi * self.lattice.pitch[0] / self.lattice.wavelength / cosine)[None]
        zero = jnp.zeros_like(phase)
        return cis(phase) * lax.complex(zero, zero + strength)

    def transfer(self, sy: Float[Array, "*f"], sx: Float[Array, "*f"], light: PlaneWaves) -> Complex[Array, "c z *f"]:
        """Compute H_re, and H_im with absorption, for one view; sources outside the pupil contribute nothing."""

        def one(tilt: Float[Array, " 2"], weight: Float[Array, ""]) -> Complex[Array, "c z *f"]:
            ahead = self.scattering_amplitudes(sy, sx, tilt, light.defocus)
            behind = jnp.conj(self.scattering_amplitudes(-sy, -sx, tilt, light.defocus))
            channels = [ahead + behind] + ([1j * (ahead - behind)] if self.absorption else [])
            rim = self.numerical_aperture / self.lattice.medium_index
            share = jnp.where(jnp.sum(tilt**2) <= (rim * (1 + RIM_TOLERANCE)) ** 2, weight, 0.0)
            return jnp.stack(channels) * lax.complex(share, jnp.zeros_like(share))

        weights = relative_brightness(self.lattice, self.numerical_aperture, light.tilts, light.weights)
        return jnp.sum(jax.vmap(one)(light.tilts, weights), axis=0)

    def images(self, contrast: Float[Array, "c z y x"], light: PlaneWaves) -> Float[Array, "view y x"]:
        """Compute the images by linear theory, 1 where there is no specimen."""
        sy, sx = self._frequencies(contrast.dtype)
        spectrum = jnp.fft.fft2(contrast)

        def one(view: PlaneWaves) -> Float[Array, "y x"]:
            return 1 + jnp.fft.ifft2(jnp.sum(self.transfer(sy, sx, view) * spectrum, axis=(0, 1))).real

        return cast(Array, lax.map(one, light))

    def inverse(
        self, images: Float[Array, "view y x"], light: PlaneWaves, strength: Float[Array, ""] | float
    ) -> Float[Array, "c z y x"]:
        """Compute the least-squares contrast of normalised images.

        Args:
            images: Measured images on the lattice, 1 where there is no specimen.
            light: Illumination of each view.
            strength: Tikhonov's α, relative to the largest gain Σ|H|² of any frequency.
        """
        _, height, width = images.shape
        half = width // 2 + 1
        spectra = jnp.moveaxis(jnp.fft.rfft2(images - 1), 0, -1)
        sy, sx = self._frequencies(images.dtype)

        def matrix(row: tuple[Array, Array]) -> Complex[Array, "x v m"]:
            each = jax.vmap(lambda view: self.transfer(*row, view))(light)
            return jnp.moveaxis(each, -1, 0).reshape(half, images.shape[0], -1)

        rows = (sy[:, :half], sx[:, :half])
        gains = lax.map(lambda row: jnp.max(jnp.sum(jnp.abs(matrix(row)) ** 2, axis=(1, 2))), rows)
        alpha = strength * jnp.max(gains) / min(images.shape[0], self.lattice.shape[0])

        def solve(item: tuple[tuple[Array, Array], Array]) -> Complex[Array, "x m"]:
            row, measured = item
            return _damped_solution(matrix(row), measured, alpha)

        solution = cast(Array, lax.map(solve, (rows, spectra)))
        channels = jnp.moveaxis(solution, -1, 0).reshape(-1, self.lattice.shape[0], height, half)
        return jnp.fft.irfft2(channels, s=(height, width))

    def determined_share(self, light: PlaneWaves, strength: Float[Array, ""] | float) -> Float[Array, "z y f"]:
        """Compute the share of each coefficient of the phase's spectrum that `inverse` would return.

        It is the diagonal of (HᴴH + α)⁻¹HᴴH: 1 where the views determine a coefficient, 0 in the missing cone.

        Args:
            light: Illumination of each view.
            strength: Tikhonov's α, as for `inverse`.

        Returns:
            Shares from 0 to 1, in the order of ``numpy.fft.rfftn``.
        """
        slices, _, width = self.lattice.shape
        half = width // 2 + 1
        views = light.defocus.shape[0]
        sy, sx = (s[:, :half] for s in self._frequencies(light.defocus.dtype))

        def matrix(row: tuple[Array, Array]) -> Complex[Array, "x v m"]:
            each = jax.vmap(lambda view: self.transfer(*row, view)[0])(light)
            # Over the spectrum along z in place of the slices: unitary, which leaves all gains as they are.
            return jnp.moveaxis(jnp.fft.ifft(each, axis=1, norm="ortho"), -1, 0)

        gains = lax.map(lambda row: jnp.max(jnp.sum(jnp.abs(matrix(row)) ** 2, axis=(1, 2))), (sy, sx))
        alpha = strength * jnp.max(gains) / min(views, slices)

        def shares(row: tuple[Array, Array]) -> Float[Array, "x m"]:
            transfer = matrix(row)
            adjoint = jnp.conj(jnp.swapaxes(transfer, 1, 2))
            damping = alpha.astype(transfer.dtype) * jnp.eye(min(views, slices), dtype=transfer.dtype)[None]
            if views <= slices:
                solved = jnp.linalg.solve(transfer @ adjoint + damping, transfer)
                explained: Array = jnp.sum(adjoint * jnp.swapaxes(solved, 1, 2), axis=2).real
                return explained
            inverse = jnp.linalg.inv(adjoint @ transfer + damping)
            return cast(Array, 1 - alpha * jnp.diagonal(inverse, axis1=1, axis2=2).real)

        shared = cast(Array, lax.map(shares, (sy, sx)))
        return jnp.clip(jnp.moveaxis(shared, -1, 0), 0, 1)

    def _frequencies(self, dtype: jnp.dtype) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
        sy, sx = jnp.broadcast_arrays(*(jnp.asarray(s, dtype) for s in self.lattice.sines))
        return sy, sx


def _damped_solution(
    matrix: Complex[Array, "x v m"], measured: Complex[Array, "x v"], alpha: Float[Array, ""]
) -> Complex[Array, "x m"]:
    """Compute (HᴴH + α)⁻¹Hᴴ y, in the smaller of its two forms."""
    views, unknowns = matrix.shape[1:]
    adjoint = jnp.conj(jnp.swapaxes(matrix, 1, 2))
    size = min(views, unknowns)
    damping = alpha.astype(matrix.dtype) * jnp.eye(size, dtype=matrix.dtype)
    if views <= unknowns:
        solution = adjoint @ jnp.linalg.solve(matrix @ adjoint + damping[None], measured[..., None])
    else:
        solution = jnp.linalg.solve(adjoint @ matrix + damping[None], adjoint @ measured[..., None])
    return jnp.squeeze(solution, axis=-1)
