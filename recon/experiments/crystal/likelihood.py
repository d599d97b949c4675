"""Likelihood of a crystal's rocking curve: one view, of which some pixels are withheld.

The field gives three smooth outputs s, a, b. The density is level·o·(a + i b) with the occupancy o = 1/(1 + e^(−Ks)): a
support with a soft edge, and inside it a smooth complex wave. The wave is not held to unit modulus: a dislocation's
phase winds around a line, on which a smooth wave passes through 0 while a smooth phase cannot exist
(`recon.fields.density_head`). The field fills a box around the crystal only, sampled finer than a voxel
(`physics.diffraction.matrix_dft`), so that the continuous density diffracts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from scipy import ndimage

from ....physics.diffraction.bragg_geometry import laboratory_grid
from ....physics.diffraction.far_field import LEAST_COUNTS, chi_rms, deviance, fftshift3, ifftshift3
from ....physics.diffraction.matrix_dft import (
    SupportBox,
    far_field_matrices,
    far_field_of_box,
    far_field_of_frames,
    frame_ramps,
)
from ....physics.psf import WIDEST_SIGMA, convolve_gaussian
from ...acquisition import Acquisition
from ...fields.base import FieldGrid
from ...fields.density_head import OUTPUTS, SHARPNESS
from ...grid import Grid
from ...model import Model
from ...optimize.likelihood import Batch, MetricNames, Nuisance, Split, Weights
from ...phase_retrieval.curve import curve_of
from ...phase_retrieval.psf_fit import FIRST_SIGMA
from ...runs.context import RunContext
from .config import CrystalSettings
from .frame_consistency import consistency_numbers
from .frame_nuisance import FrameNuisance
from .guess_density import InitialGuess
from .initial_guess import find_initial_guess
from .laboratory import LaboratoryFrame, Solution, inside_level
from .model import build_model, occupied_voxels, sample_volume
from .output import MeasurementModel, psf_numbers, sampling_numbers, size_numbers, write_predictions, write_volume_file
from .preprocess import PreprocessedScan, preprocess
from .quality import quality_numbers
from .strain_noise import strain_noise_numbers

MARGIN = 3
"""[voxel] Margin of the box around the crystal of the initial guess, into which it may grow."""
DETAIL = 3.0
"""[voxel] Finest detail of the field: twice the distance of its nodes."""
_SURFACE_AMPLITUDE = 0.5
"""Amplitude at the surface of the initial guess, in units of its level."""
_SURFACE_BLUR = 0.6
"""[voxel] Width of the Gaussian that blurs the occupancy of the initial guess."""
_MIN_OCCUPANCY = 2.5e-3
"""Least occupancy of the initial guess, and least distance from 1, so that the logit is finite."""
_INNER_OCCUPANCY = 0.3
"""Occupancy above which the wave of the initial guess is the density's own, and below which it is extrapolated."""
_INNER_BLUR, _OUTER_BLUR = 0.5, 2.0
"""[voxel] Widths of the Gaussians that smooth the wave of the initial guess inside, and extrapolate it outside."""
_WAVE_REGULARIZATION = 1e-2
"""Addend to the smoothed squared occupancy that divides the wave: far outside the wave goes to 0."""
_MIN_SIGMA = 0.1
"""[pixel] Least initial width where another is above 0: at 0 the model does not depend on a width to first order."""
_LOG_WIDTH_ERROR = 0.5
"""Expected error of the logarithm of a width of the point-spread function."""
_VOLUME_MARGIN = 3.0
"""[sample] Margin around the crystal of the volume in the laboratory."""


def likelihood(
    settings: CrystalSettings, acquisition: Acquisition, context: RunContext | None = None
) -> "CrystalLikelihood":
    """Build the likelihood of an acquisition; its initial guess may have to be phased first.

    Args:
        settings: Settings of the run.
        acquisition: Rocking curve as read.
        context: Run folder, progress callback and stop request of the phasing; None to write nothing.

    Raises:
        Stopped: If the run was asked to end before there was an initial guess.
    """
    scan = preprocess(settings, acquisition)
    guess = find_initial_guess(settings, scan, context)
    return CrystalLikelihood(settings, scan.corrected(guess.frames), guess)


def field_box(guess: InitialGuess, fineness: int) -> SupportBox:
    """Compute the box that the field fills around the crystal of the initial guess.

    Args:
        guess: Initial guess.
        fineness: Samples of the field per voxel along each axis.
    """
    inside = np.argwhere(guess.support)
    shape = np.array(guess.support.shape)
    first = np.maximum(inside.min(axis=0) - MARGIN, 0)
    count = np.minimum(inside.max(axis=0) + MARGIN + 1, shape) - first
    (a, b, c), (d, e, f), (g, h, i) = (tuple(map(int, numbers)) for numbers in (first, count, shape))
    return SupportBox((a, b, c), (d, e, f), (g, h, i), fineness)


@dataclass(frozen=True, eq=False)
class CrystalLikelihood:
    """Poisson likelihood of a crystal's rocking curve.

    Args:
        settings: Settings of the run.
        scan: Preprocessed measurement.
        guess: Initial guess of the density.
    """

    settings: CrystalSettings
    scan: PreprocessedScan
    guess: InitialGuess

    @cached_property
    def box(self) -> SupportBox:
        """Box that the field fills."""
        return field_box(self.guess, self.settings.fit.fineness)

    @property
    def frame(self) -> LaboratoryFrame:
        """Position of the array in the laboratory."""
        return LaboratoryFrame(self.scan.reciprocal_basis, self.scan.bragg_vector)

    @property
    def steps(self) -> Float[np.ndarray, "3 3"]:
        """[m] Rows: steps between voxels; [voxel] where their size is unknown."""
        z, y, x = self.scan.counts.shape
        return self.frame.steps((z, y, x))

    @property
    def grid(self) -> FieldGrid:
        """Samples of the box."""
        z, y, x = (float(np.linalg.norm(step)) for step in self.steps)
        fine = self.box.fineness
        return FieldGrid(self.box.samples, (z / fine, y / fine, x / fine), (DETAIL * z, DETAIL * y, DETAIL * x))

    @property
    def scales(self) -> tuple[float, ...]:
        """Scales of the outputs: 1, for the level of the initial guess is the unit of the density."""
        return (1.0,) * OUTPUTS

    @property
    def sign(self) -> str:
        """Sign of the outputs: any."""
        return "any"

    @property
    def views(self) -> int:
        """Number of views: one, for the frames of a rocking curve are slices of one transform."""
        return 1

    @property
    def batch_size(self) -> int:
        """Number of views in a step."""
        return 1

    @property
    def metric_names(self) -> MetricNames:
        """Names of the likelihoods in ``metrics.json``."""
        return MetricNames("llk", "llk_free", "llk_free_start")

    @cached_property
    def level(self) -> float:
        """Amplitude of the initial guess inside the crystal: unit of the density."""
        return inside_level(np.abs(self.guess.density), self.guess.support)

    @cached_property
    def pixel_weights(self) -> tuple[Float[np.ndarray, "frame y x"], Float[np.ndarray, "frame y x"]]:
        """Masks of the fitted and of the withheld pixels: 1 or 0."""
        good = self.scan.good.astype(np.float32)
        free = self.scan.data.free_pixels(self.settings.phase.free, self.settings.seed).astype(np.float32)
        return good - free, free

    @property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Parameters of the point-spread function and the background, 0 at the initial guess.

        ``widths`` are log(width / initial width) / `_LOG_WIDTH_ERROR`, where the initial width is that of the guess, at
        least `_MIN_SIGMA`, or `FIRST_SIGMA` if all of the guess are 0. ``background`` is log(background / initial
        background), where the initial background is that of the guess, at least `LEAST_COUNTS`.
        """
        refine = self.settings.fit.refine
        widths = {"widths": np.zeros(3, np.float32)} if refine.psf else {}
        background = {"background": np.zeros((), np.float32)} if refine.background else {}
        return widths | background | self._frames.parameters

    def split(self) -> Split:
        """Fit the one view, and validate by its withheld pixels."""
        only = np.zeros(1, int)
        return Split(only, only if self.pixel_weights[1].any() else only[:0])

    def initial_guess(self, views: np.ndarray) -> Float[np.ndarray, "k _z _y _x"]:
        """Sample the field's outputs for the initial guess in the box.

        Returns:
            s, the logit of the occupancy over K, and real part a and imaginary part b of the wave.
        """
        density = self.guess.density / self.level
        inside = self.guess.support & (np.abs(density) > _SURFACE_AMPLITUDE)
        blurred = ndimage.gaussian_filter(inside.astype(np.float64), _SURFACE_BLUR)
        occupancy = np.clip(blurred, _MIN_OCCUPANCY, 1 - _MIN_OCCUPANCY)
        inner, outer = (_smooth_wave(density, occupancy, blur) for blur in (_INNER_BLUR, _OUTER_BLUR))
        wave = np.where(occupancy > _INNER_OCCUPANCY, inner, outer)
        outputs = (np.log(occupancy / (1 - occupancy)) / SHARPNESS, wave.real, wave.imag)
        indices = [axis + n // 2 for axis, n in zip(self.box.axes, inside.shape, strict=True)]
        grid = np.meshgrid(*indices, indexing="ij")
        sampled = [ndimage.map_coordinates(output, grid, order=3, mode="nearest") for output in outputs]
        return np.stack(sampled).astype(np.float32)

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """Collect the counts and the weights of the fitted or the withheld pixels."""
        counts, pixel_weights = self._on_device
        return {"measured": counts, "weights": pixel_weights[int(withheld)]}

    def losses(self, values: Float[Array, "k _z _y _x"], nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Compute the Poisson deviance per pixel.

        It is about 1 for a perfect model where counts exceed about 1; less where most pixels are dark.
        """
        modelled = self.counts(self.far_field(values, nuisance), nuisance)
        return deviance(batch["measured"][0], modelled, batch["weights"][0])[None]

    def metric(self, losses: Float[np.ndarray, " view"]) -> float:
        """Average the deviances of views."""
        return float(np.mean(losses))

    def far_field(
        self, values: Float[Array, "k _z _y _x"], nuisance: Nuisance | None = None
    ) -> Complex[Array, "frame y x"]:
        """Compute the diffracted amplitudes of the field's outputs, centred."""
        parts, positions = self._density(values), self._frames.positions(nuisance or {})
        if positions is None:
            return far_field_of_box(*parts, self._matrices)
        return far_field_of_frames(*parts, self._matrices, frame_ramps(self.box, positions, self.guess.offset))

    def _even_far_field(self, values: Float[Array, "k _z _y _x"]) -> Complex[Array, "frame y x"]:
        """Compute the diffracted amplitudes at even steps, whose inverse FFT is the density."""
        return far_field_of_box(*self._density(values), self._matrices)

    def _density(self, values: Float[Array, "k _z _y _x"]) -> tuple[Float[Array, "_z _y _x"], Float[Array, "_z _y _x"]]:
        """Compute real and imaginary part of the density."""
        occupancy = self.level * jax.nn.sigmoid(SHARPNESS * values[0])
        return occupancy * values[1], occupancy * values[2]

    def counts(self, amplitudes: Complex[Array, "frame y x"], nuisance: Nuisance) -> Float[Array, "frame y x"]:
        """Predict the counts of diffracted amplitudes, under the flux of each frame."""
        widths, background = self.psf(nuisance)
        exposure = self._frames.exposure(nuisance)[:, None, None]
        intensity = amplitudes.real**2 + amplitudes.imag**2
        return exposure * (self._blur(intensity, widths, nuisance) + background)

    def _blur(
        self, intensity: Float[Array, "frame y x"], widths: Float[Array, "3"], nuisance: Nuisance
    ) -> Float[Array, "frame y x"]:
        """Convolve an intensity with the point-spread function."""
        positions = self._frames.positions(nuisance)
        if positions is None:
            return convolve_gaussian(intensity, widths)
        curve = curve_of(jnp.fft.ifftshift(positions, axes=0), intensity.shape)
        return jnp.maximum(fftshift3(curve.convolve(ifftshift3(intensity), widths)), 0.0)

    def psf(self, nuisance: Nuisance) -> tuple[Float[Array, "3"], Float[Array, ""]]:
        """Compute the widths [pixel] of the point-spread function and the background [counts]."""
        widths = jnp.asarray(self.guess.sigmas, jnp.float32)
        background = jnp.asarray(self.guess.background, jnp.float32)
        if "widths" in nuisance:
            initial = jnp.where(jnp.sum(widths) > 0, jnp.maximum(widths, _MIN_SIGMA), FIRST_SIGMA)
            widths = jnp.clip(initial * jnp.exp(_LOG_WIDTH_ERROR * nuisance["widths"]), 0.0, WIDEST_SIGMA)
        if "background" in nuisance:
            background = jnp.maximum(background, LEAST_COUNTS) * jnp.exp(nuisance["background"])
        return widths, background

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """Build the model: amplitude, phase, occupancy, displacement and strain as functions of space."""
        spacing = self.settings.volume.spacing
        metres = None if isinstance(spacing, str) else spacing
        return build_model(architecture, weights, self.box, self.frame, self.steps, metres, provenance)

    def write(
        self,
        folder: Path,
        model: Model,
        values: Float[np.ndarray, "k _z _y _x"],
        nuisance: Nuisance,
        provenance: Mapping[str, Any],
    ) -> dict[str, float]:
        """Write ``volume.h5`` and ``predictions.h5``.

        ``volume.h5`` holds the crystal sampled in the laboratory, and the density in the detector's frame with the
        parameters that predict the counts from it.

        Args:
            folder: Folder of the run.
            model: Fitted model.
            values: Outputs of the field on the grid.
            nuisance: Fitted widths and background.
            provenance: Provenance of the model.

        Returns:
            Further numbers of ``metrics.json``.
        """
        amplitudes = np.asarray(jax.jit(self.far_field)(jnp.asarray(values), nuisance))
        positions = self._frames.positions(nuisance)
        even = amplitudes if positions is None else np.asarray(jax.jit(self._even_far_field)(jnp.asarray(values)))
        modelled = np.asarray(jax.jit(self.counts)(jnp.asarray(amplitudes), nuisance))
        sigmas, background = (np.asarray(part, np.float64) for part in self.psf(nuisance))
        inside = occupied_voxels(model, self.box, self.steps)
        axes = laboratory_grid(self.steps, inside.shape, model.spacing[0], inside, _VOLUME_MARGIN)
        volume = sample_volume(model, Grid(*axes))
        solution = Solution(_conjugate_density(even), inside)
        withheld = self.pixel_weights[1] > 0
        scan = self._frames.corrected(nuisance)
        measurement = MeasurementModel.of_scan(scan, list(sigmas), float(background), withheld)
        path = folder / "volume.h5"
        write_volume_file(path, volume, solution, self.frame, measurement, provenance)
        write_predictions(folder, self.scan, modelled, {})
        numbers = self._agreement(modelled) | psf_numbers(list(sigmas), float(background))
        numbers |= quality_numbers(self.scan, modelled, withheld, solution) | consistency_numbers(scan)
        numbers |= sampling_numbers(self.scan, inside) | {"voxels": float(volume.main.size)}
        numbers |= self._frames.numbers(nuisance, self.guess.frames)
        numbers |= {"support_voxels": float(inside.sum()), "box_voxels": float(np.prod(self.box.count))}
        numbers |= strain_noise_numbers(self.scan, float(background), solution.density, volume)
        numbers |= size_numbers(self.scan, volume, numbers)
        return numbers | {"volume_bytes": float(path.stat().st_size)}

    def _agreement(self, modelled: Float[np.ndarray, "frame y x"]) -> dict[str, float]:
        """Compute the agreement of modelled and measured counts.

        Returns:
            Deviance per pixel of all good pixels, relative errors of the amplitudes of the fitted and of all good
            pixels, and withheld fraction of the good pixels.
        """
        fitted, free = self.pixel_weights
        good = fitted + free
        counts, expected = jnp.asarray(self.scan.counts), jnp.asarray(modelled)
        return {
            "llk_all": float(deviance(counts, expected, jnp.asarray(good))),
            "chi_rms": float(chi_rms(jnp.sqrt(expected), counts, jnp.asarray(fitted))),
            "chi_rms_all": float(chi_rms(jnp.sqrt(expected), counts, jnp.asarray(good))),
            "free_fraction": float(free.sum() / good.sum()),
        }

    @cached_property
    def _frames(self) -> FrameNuisance:
        return FrameNuisance(self.scan, self.settings.fit.refine)

    @cached_property
    def _matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return far_field_matrices(self.box, self.guess.offset)

    @cached_property
    def _on_device(self) -> tuple[Array, tuple[Array, Array]]:
        fitted, free = (jnp.asarray(mask[None]) for mask in self.pixel_weights)
        return jnp.asarray(self.scan.counts[None]), (fitted, free)


def _conjugate_density(amplitudes: Complex[np.ndarray, "frame y x"]) -> Complex[np.ndarray, "z y x"]:
    """Compute the density as far as the detector resolves it: its |FFT|² is |F|² up to float32 rounding."""
    return np.asarray(np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(amplitudes.astype(np.complex128)))))


def _smooth_wave(
    density: Complex[np.ndarray, "z y x"], occupancy: Float[np.ndarray, "z y x"], width: float
) -> Complex[np.ndarray, "z y x"]:
    """Estimate the wave, smooth over a width [voxel], whose product with the occupancy approximates the density."""
    product = density * occupancy
    parts = (product.real, product.imag, occupancy**2)
    real, imaginary, weight = (ndimage.gaussian_filter(part, width) for part in parts)
    return np.asarray((real + 1j * imaginary) / (weight + _WAVE_REGULARIZATION))
