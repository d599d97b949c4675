"""A crystal's rocking curve as the fit sees it: one view, of which some pixels are withheld.

The field gives three smooth outputs s, a, b. The density is level·o·(a + i b) with the occupancy o = 1/(1 + e^(−Ks)): a
support with a soft edge, and inside it a smooth complex wave. The wave is not held to unit modulus: a dislocation's
phase winds around a line, on which a smooth wave passes through 0 while a smooth phase cannot exist
(`recon.models.crystal`). The field fills a box around the crystal only, sampled finer than a voxel
(`physics.compact`), so that its continuous density is what diffracts.
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

from ....physics.diffraction.far_field import LEAST_COUNTS, deviance
from ....physics.diffraction.matrix_dft import SupportBox, far_field_matrices, far_field_of_box
from ....physics.psf import WIDEST_SIGMA, convolve_gaussian
from ...acquisition import Acquisition
from ...fields.base import FieldGrid
from ...fields.density_head import OUTPUTS, SHARPNESS
from ...model import Model
from ...optimize.likelihood import Batch, MetricNames, Nuisance, Split, Weights
from ...phase_retrieval.psf_fit import FIRST_SIGMA
from ...runs.context import RunContext
from .config import CrystalSettings
from .fit_output import write_fit_result
from .initial_guess import InitialGuess, find_initial_guess
from .laboratory import LaboratoryFrame, inside_level
from .model import build_model
from .preprocess import PreprocessedScan, preprocess

MARGIN = 3
"""Voxels of the box around the start's crystal, into which it may grow."""
DETAIL = 3.0
"""[voxel] Finest detail that the field is given nodes for: half of it, 1.5 voxels, lies between two."""
_EDGE = (0.5, 0.6)
"""Amplitude at which the start's crystal ends, and the blur [voxel] of its edge."""
_NARROW, _WIDE = 0.5, 2.0
"""[voxel] How far the start's wave is smoothed inside, and carried outside."""
_FAINTEST = 2.5e-3
_SPREAD = 0.5
"""Expected error of a width of the point-spread function, of its logarithm."""


def likelihood(
    settings: CrystalSettings, acquisition: Acquisition, work: RunContext | None = None
) -> "CrystalLikelihood":
    """Make the fit's view of an acquisition; its start may have to be phased first.

    Raises:
        Stopped: If it was asked to end before there was a start.
    """
    prepared = preprocess(settings, acquisition)
    return CrystalLikelihood(settings, prepared, find_initial_guess(settings, prepared, work))


def field_box(start: InitialGuess, fineness: int) -> SupportBox:
    """Draw the field's box around the start's crystal."""
    inside = np.argwhere(start.support)
    shape = np.array(start.support.shape)
    first = np.maximum(inside.min(axis=0) - MARGIN, 0)
    count = np.minimum(inside.max(axis=0) + MARGIN + 1, shape) - first
    (a, b, c), (d, e, f), (g, h, i) = (tuple(map(int, numbers)) for numbers in (first, count, shape))
    return SupportBox((a, b, c), (d, e, f), (g, h, i), fineness)


@dataclass(frozen=True, eq=False)
class CrystalLikelihood:
    """A crystal's measurement.

    Args:
        settings: The config.
        prepared: The measurement, scaled and cleaned.
        origin: Where the fit begins.
    """

    settings: CrystalSettings
    prepared: PreprocessedScan
    origin: InitialGuess

    @cached_property
    def box(self) -> SupportBox:
        """The field's box."""
        return field_box(self.origin, self.settings.fit.fineness)

    @property
    def place(self) -> LaboratoryFrame:
        """Where the array lies."""
        return LaboratoryFrame(self.prepared.reciprocal_basis, self.prepared.bragg_vector)

    @property
    def steps(self) -> Float[np.ndarray, "3 3"]:
        """[m] Rows: steps between voxels; [voxel] where their size is unknown."""
        z, y, x = self.prepared.counts.shape
        return self.place.steps((z, y, x))

    @property
    def grid(self) -> FieldGrid:
        """The box's samples."""
        z, y, x = (float(np.linalg.norm(step)) for step in self.steps)
        fine = self.box.fineness
        return FieldGrid(self.box.samples, (z / fine, y / fine, x / fine), (DETAIL * z, DETAIL * y, DETAIL * x))

    @property
    def scales(self) -> tuple[float, ...]:
        """Outputs are of order 1: the start's level is the unit of the density."""
        return (1.0,) * OUTPUTS

    @property
    def sign(self) -> str:
        """Outputs may have any sign."""
        return "any"

    @property
    def views(self) -> int:
        """The rocking curve is one view: its frames are slices of one transform."""
        return 1

    @property
    def batch_size(self) -> int:
        """Views in a step."""
        return 1

    @property
    def metric_names(self) -> MetricNames:
        """Likelihoods."""
        return MetricNames("llk", "llk_free", "llk_free_start")

    @cached_property
    def level(self) -> float:
        """The start's amplitude inside the crystal: unit of the density."""
        return inside_level(np.abs(self.origin.density), self.origin.support)

    @cached_property
    def weights(self) -> tuple[Float[np.ndarray, "frame y x"], Float[np.ndarray, "frame y x"]]:
        """1 for the pixels that are fitted, and for those that are withheld."""
        good = self.prepared.good.astype(np.float32)
        free = self.prepared.measured.withheld(self.settings.phase.free, self.settings.seed).astype(np.float32)
        return good - free, free

    @property
    def nuisance_parameters(self) -> dict[str, np.ndarray]:
        """Logarithms of widths and background, relative to the start's."""
        refine = self.settings.fit.refine
        found = {"widths": np.zeros(3, np.float32)} if refine.psf else {}
        return found | ({"background": np.zeros((), np.float32)} if refine.background else {})

    def split(self) -> Split:
        """The one view is fitted, and judges by its withheld pixels."""
        only = np.zeros(1, int)
        return Split(only, only if self.weights[1].any() else only[:0])

    def initial_guess(self, views: np.ndarray) -> Float[np.ndarray, "k _z _y _x"]:
        """The start's occupancy and wave on the box's samples."""
        density = self.origin.density / self.level
        inside = self.origin.support & (np.abs(density) > _EDGE[0])
        soft = np.clip(ndimage.gaussian_filter(inside.astype(np.float64), _EDGE[1]), _FAINTEST, 1 - _FAINTEST)
        narrow, wide = (_smoothed(density, soft, width) for width in (_NARROW, _WIDE))
        wave = np.where(soft > 0.3, narrow, wide)
        outputs = (np.log(soft / (1 - soft)) / SHARPNESS, wave.real, wave.imag)
        places = [axis + n // 2 for axis, n in zip(self.box.axes, inside.shape, strict=True)]
        grid = np.meshgrid(*places, indexing="ij")
        return np.stack([ndimage.map_coordinates(output, grid, order=3, mode="nearest") for output in outputs]).astype(
            np.float32
        )

    def batch(self, views: np.ndarray, *, withheld: bool = False) -> Batch:
        """The counts, and which of them take part."""
        counts, pair = self._on_device
        return {"measured": counts, "weights": pair[int(withheld)]}

    def losses(self, values: Float[Array, "k _z _y _x"], nuisance: Nuisance, batch: Batch) -> Float[Array, " view"]:
        """Poisson deviance per pixel; 1 is counting noise alone."""
        modelled = self.counts(self.far_field(values), nuisance)
        return deviance(batch["measured"][0], modelled, batch["weights"][0])[None]

    def metric(self, losses: Float[np.ndarray, " view"]) -> float:
        """The deviance itself."""
        return float(np.mean(losses))

    def far_field(self, values: Float[Array, "k _z _y _x"]) -> Complex[Array, "frame y x"]:
        """Diffracted amplitudes of the field's outputs, centred."""
        occupancy = self.level * jax.nn.sigmoid(SHARPNESS * values[0])
        return far_field_of_box(occupancy * values[1], occupancy * values[2], self._matrices)

    def counts(self, field: Complex[Array, "frame y x"], nuisance: Nuisance) -> Float[Array, "frame y x"]:
        """Modelled counts of diffracted amplitudes, under the flux that each frame had."""
        widths, background = self.blur(nuisance)
        exposure = jnp.asarray(self.prepared.exposure[:, None, None], jnp.float32)
        return exposure * (convolve_gaussian(field.real**2 + field.imag**2, widths) + background)

    def blur(self, nuisance: Nuisance) -> tuple[Float[Array, "3"], Float[Array, ""]]:
        """[pixel] Widths of the point-spread function, and the background, as the fit believes them to be."""
        widths = jnp.asarray(self.origin.sigmas, jnp.float32)
        background = jnp.asarray(self.origin.background, jnp.float32)
        if "widths" in nuisance:
            first = jnp.where(jnp.sum(widths) > 0, jnp.maximum(widths, 0.1), FIRST_SIGMA)
            widths = jnp.clip(first * jnp.exp(_SPREAD * nuisance["widths"]), 0.0, WIDEST_SIGMA)
        if "background" in nuisance:
            background = jnp.maximum(background, LEAST_COUNTS) * jnp.exp(nuisance["background"])
        return widths, background

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """Amplitude, phase, occupancy, displacement and strain as functions of space."""
        wanted = self.settings.volume.spacing
        spacing = None if isinstance(wanted, str) else wanted
        return build_model(architecture, weights, self.box, self.place, self.steps, spacing, provenance)

    def write(
        self,
        folder: Path,
        model: Model,
        values: Float[np.ndarray, "k _z _y _x"],
        nuisance: Nuisance,
        facts: Mapping[str, Any],
    ) -> dict[str, float]:
        """Write the volume with the detector's frame, and measured and predicted counts."""
        field = np.asarray(jax.jit(self.far_field)(jnp.asarray(values)))
        modelled = np.asarray(jax.jit(self.counts)(jnp.asarray(field), nuisance))
        widths, background = (np.asarray(part, np.float64) for part in self.blur(nuisance))
        return write_fit_result(self, folder, model, field, modelled, widths, float(background), facts)

    @cached_property
    def _matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return far_field_matrices(self.box, self.origin.offset)

    @cached_property
    def _on_device(self) -> tuple[Array, tuple[Array, Array]]:
        fitted, free = (jnp.asarray(w[None]) for w in self.weights)
        return jnp.asarray(self.prepared.counts[None]), (fitted, free)


def _smoothed(
    density: Complex[np.ndarray, "z y x"], occupancy: Float[np.ndarray, "z y x"], width: float
) -> Complex[np.ndarray, "z y x"]:
    """The wave whose product with the occupancy comes near the density, smooth over a width [voxel]."""
    inner = density * occupancy
    parts = (ndimage.gaussian_filter(part, width) for part in (inner.real, inner.imag, occupancy**2))
    real, imaginary, weight = parts
    return np.asarray((real + 1j * imaginary) / (weight + 1e-2))
