"""Accuracy of a crystal's density against the truth, without the ambiguities of diffraction.

A pattern determines neither the position of a crystal nor the offset of its phase; a crystal and its twin conj ρ(−r)
have the same pattern; and a phase ramp moves it by part of a pixel. The result is therefore aligned with the truth.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float

from ....physics.diffraction.bragg_geometry import resample, strain_from_density
from ...errors import DataError
from ...metrics import shell_correlation
from ...model import Model
from ...phase_retrieval.align import Alignment, align
from ...volume import Volume
from .laboratory import bragg_vector_from

_MARGIN = 4
"""[sample] Margin of the cube around both crystals."""
_INSIDE = 0.5
"""Amplitude of the crystal's surface, relative to its median."""

Density = Complex[np.ndarray, "z y x"]
Inside = Bool[np.ndarray, "z y x"]


def score(result: Any, truth: Volume, *, register: bool = False) -> dict[str, float]:
    """Compare a reconstruction with the truth.

    Args:
        result: A volume with a complex density, or a model.
        truth: True crystal.
        register: Ignored: diffraction does not determine the position of a crystal, and it is always aligned.

    Returns:
        Numbers by the names of `metrics.METRICS`.

    Raises:
        DataError: If a density is missing, or the samples of one of the two have no known size.
    """
    spacing, known, aligned = align_with(result, truth)
    inside, aligned_inside = _interior(known), _interior(aligned.density)
    both = inside & aligned_inside
    angles = np.angle(aligned.density * np.conj(known))[both]
    scale = float(np.median(np.abs(known[inside])))
    numbers = {
        "correlation": aligned.correlation,
        "support_overlap": float(both.sum() / max((inside | aligned_inside).sum(), 1)),
        "phase_error": _rms(angles) if both.any() else float("nan"),
        "amplitude_error": _rms((np.abs(aligned.density) - np.abs(known))[inside]) / scale,
        "twin": float(aligned.twin),
    }
    if truth.length_unit == "m":
        sizes = [np.abs(density).astype(np.float64) for density in (known, aligned.density)]
        shells = shell_correlation(sizes[0], sizes[1], (spacing,) * 3)
        numbers["resolution"] = shells.resolution()
    return numbers | _strain_accuracy(aligned.density, known, both, spacing, truth)


def align_with(result: Any, truth: Volume) -> tuple[float, Density, Alignment]:
    """Resample a result and the truth to one cube, and align the result.

    Args:
        result: A volume with a complex density, or a model.
        truth: True crystal.

    Returns:
        Distance of the cube's samples [m], the density of the truth, and that of the result.

    Raises:
        DataError: If a density is missing, or the samples of one of the two have no known size.
    """
    if isinstance(result, Model):
        from .model import sample_volume

        result = sample_volume(result, result.grid())
    if not isinstance(result, Volume):
        raise DataError("a crystal's score needs a model, or a volume with its complex density, such as RUN/volume.h5")
    spacing = _common_spacing(result, truth)
    density, known = (
        _resample_centred(volume, spacing, _edge_length(result, truth, spacing)) for volume in (result, truth)
    )
    return spacing, known, align(density, known)


def _strain_accuracy(density: Density, known: Density, both: Inside, spacing: float, truth: Volume) -> dict[str, float]:
    """Compute the error of the strain, and its correlation with the true strain."""
    g = bragg_vector_from(truth.attributes)
    if g is None or not both.any():
        return {}
    steps = np.eye(3) * spacing
    strain, estimated = (strain_from_density(each, steps, g, both) for each in (known, density))
    defined = np.isfinite(strain) & np.isfinite(estimated)
    if defined.sum() < 8:
        return {}
    # The mean strain is a change of the lattice constant, which only G determines.
    strain, estimated = strain[defined] - strain[defined].mean(), estimated[defined] - estimated[defined].mean()
    scale = float(np.sqrt((strain**2).sum() * (estimated**2).sum()))
    correlation = float((strain * estimated).sum() / scale) if scale > 0 else 0.0
    return {
        "strain_error": _rms(strain - estimated),
        "strain_truth": _rms(strain),
        "strain_correlation": correlation,
    }


def _common_spacing(result: Volume, truth: Volume) -> float:
    """Compute the spacing at which both are compared: that of the truth.

    Raises:
        DataError: If one has no density, or their lengths are in different units.
    """
    if "density" not in result.values or "density" not in truth.values:
        which = "result" if "density" not in result.values else "truth"
        held = ", ".join((result if which == "result" else truth).values)
        raise DataError(f"the {which} has no complex density: it holds {held}")
    if result.length_unit != truth.length_unit:
        raise DataError(
            f"the result is in {result.length_unit} and the truth in {truth.length_unit}: phase it again with the "
            "acquisition's reciprocal basis"
        )
    return float(np.cbrt(np.prod(truth.spacing)))


def _edge_length(result: Volume, truth: Volume, spacing: float) -> int:
    """Count the samples along the edge of a cube that holds both crystals, wherever they are in their boxes."""
    extents = [n * d for volume in (result, truth) for n, d in zip(volume.shape, volume.spacing, strict=True)]
    return 2 * (int(np.ceil(max(extents) / spacing)) // 2 + _MARGIN)


def _resample_centred(volume: Volume, spacing: float, edge: int) -> Density:
    """Resample the density to a cube, with its centre of mass in the middle."""
    density = np.asarray(volume.values["density"], np.complex128)
    weight = np.abs(density) ** 2
    if not weight.sum() > 0:
        raise DataError("a density is 0 everywhere")
    steps = np.diag(volume.spacing)
    middle = [float((index * weight).sum() / weight.sum()) for index in np.indices(density.shape)]
    offset = (np.array(middle) - np.array(density.shape) // 2) @ steps
    z, y, x = ((np.arange(edge) - edge // 2) * spacing + o for o in offset)
    return np.asarray(resample(density, steps, (z, y, x)))


def _interior(density: Density) -> Inside:
    """Mask the samples whose amplitude exceeds half of the median."""
    amplitude = np.abs(density)
    level = float(np.median(amplitude[amplitude > 0.3 * amplitude.max()]))
    return np.asarray(amplitude > _INSIDE * level)


def _rms(values: Float[np.ndarray, " n"]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
