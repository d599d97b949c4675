"""What a fit of a field leaves beside its model: a volume and predictions as phasing leaves them, and their numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from ....physics.diffraction.bragg_geometry import laboratory_grid
from ....physics.diffraction.far_field import chi_rms, deviance
from ....physics.psf import gaussian_kernel
from ...grid import Grid
from ...model import Model
from .laboratory import SURFACE, Solution, remove_fragments
from .model import sample_volume
from .output import MeasurementModel, write_result
from .phase import psf_numbers, sampling_numbers, size_numbers, write_predictions

if TYPE_CHECKING:
    from .likelihood import CrystalLikelihood


def write_fit_result(
    problem: "CrystalLikelihood",
    folder: Path,
    model: Model,
    field: Complex[np.ndarray, "frame y x"],
    modelled: Float[np.ndarray, "frame y x"],
    widths: Float[np.ndarray, " 3"],
    background: float,
    facts: Mapping[str, Any],
) -> dict[str, float]:
    """Write ``volume.h5`` and ``predictions.h5``.

    Args:
        problem: The measurement.
        folder: Of the run.
        model: What is sampled.
        field: Diffracted amplitudes, centred.
        modelled: Counts.
        widths: [pixel] Of the point-spread function.
        background: Counts.
        facts: The model's provenance.
    """
    prepared, path = problem.prepared, folder / "volume.h5"
    inside = _occupied(problem, model)
    volume = sample_volume(model, Grid(*laboratory_grid(problem.steps, inside.shape, model.spacing[0], inside, 3.0)))
    # The far field as it is, seen from the detector: its |FFT|² is modelled to the last digit. Its transform is the
    # crystal's density as far as the measured window resolves it.
    density = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(field.astype(np.complex128))))
    kernel = gaussian_kernel(widths)
    seen = MeasurementModel(
        kernel, background, prepared.good, prepared.exposure, problem.weights[1] > 0, prepared.crop_box.first
    )
    write_result(path, volume, Solution(density, inside), problem.place, seen, facts)
    write_predictions(folder, prepared, modelled, {})
    numbers = _likelihoods(problem, modelled) | psf_numbers(list(widths), background)
    numbers |= sampling_numbers(prepared, inside) | {"voxels": float(volume.main.size)}
    numbers |= {"support_voxels": float(inside.sum()), "box_voxels": float(np.prod(problem.box.count))}
    return numbers | size_numbers(prepared, volume, numbers) | {"volume_bytes": float(path.stat().st_size)}


def _occupied(problem: "CrystalLikelihood", model: Model) -> np.ndarray:
    """The crystal at the voxels of the conjugate array."""
    box = problem.box
    places = [middle + np.arange(n) - (n - 1) / 2 for middle, n in zip(box.middle, box.count, strict=True)]
    points = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1).reshape(-1, 3) @ problem.steps
    amplitude = model(points, "amplitude").reshape(box.count)
    inside = np.zeros(box.shape, bool)
    inside[box.slices] = remove_fragments(amplitude >= SURFACE)
    return inside


def _likelihoods(problem: "CrystalLikelihood", modelled: Float[np.ndarray, "frame y x"]) -> dict[str, float]:
    """What the loop does not tell: by all pixels, and by amplitudes."""
    fitted, free = problem.weights
    good = fitted + free
    counts, expected = jnp.asarray(problem.prepared.counts), jnp.asarray(modelled)
    return {
        "llk_all": float(deviance(counts, expected, jnp.asarray(good))),
        "chi_rms": float(chi_rms(jnp.sqrt(expected), counts, jnp.asarray(fitted))),
        "chi_rms_all": float(chi_rms(jnp.sqrt(expected), counts, jnp.asarray(good))),
        "free_fraction": float(free.sum() / good.sum()),
    }
