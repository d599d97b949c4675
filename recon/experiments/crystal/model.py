"""Continuous model of a crystal from a fitted field: its frame, its quantities, and the branch of its phase."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import ndimage

from ....physics.diffraction.matrix_dft import SupportBox
from ...fields.base import grid_axes
from ...fields.density_head import PLANE, REFERENCE, SHARPNESS
from ...fields.numpy_fields import build_numpy_field
from ...frame import ModelFrame
from ...grid import Grid
from ...model import POINTS_AT_ONCE, Model, ModelQuantity
from ...optimize.likelihood import Weights
from ...volume import Volume
from .laboratory import (
    SURFACE,
    LaboratoryFrame,
    inside_level,
    phase_ramp,
    phase_slopes,
    remove_fragments,
    to_file_precision,
    unwrap_inside,
    volume_attributes,
    volume_quantities,
)

DIFFERENCE = 1e-4
"""[voxel] Length over which the slope of the phase along G is computed, in double precision."""
_SAFE = 0.8 * np.pi
"""[rad] Largest phase that needs no unwrapping."""
_COARSE = 2
"""Voxels per cell of the grid of the unwrapped phase."""
_NAMES = {
    "amplitude": ("1", "density of the crystal's grid; 1 is its median"),
    "phase": ("rad", "phase of the density, -G.u, unwrapped, without ramp and offset; 0 outside the crystal"),
    "occupancy": ("1", "0 outside the crystal, 1 inside"),
    "displacement": ("m", "displacement of the grid along G; 0 outside the crystal"),
    "strain": ("1", "change of the displacement along G; 0 outside the crystal"),
}


def build_model(
    architecture: Mapping[str, Any],
    weights: list[Weights],
    box: SupportBox,
    laboratory: LaboratoryFrame,
    steps: Float[np.ndarray, "3 3"],
    spacing: float | None,
    provenance: Mapping[str, Any],
    level: float | None = None,
) -> Model:
    """Build the model of a fitted field.

    Args:
        architecture: Architecture of the field.
        weights: Weights of each member of an ensemble, or of the only one.
        box: Box that the field fills.
        laboratory: Reciprocal basis and G, where they are known.
        steps: [m] Rows: steps between the conjugate array's voxels.
        spacing: [m] Distance between samples; None for the cube root of a voxel's volume.
        provenance: Description of the input and the config.
        level: Amplitude inside the crystal; None for the median of the fitted ones.
    """
    densities = [_occupied_density(architecture, each, box) for each in weights]
    if level is None:
        level = float(np.mean([inside_level(np.abs(density), occupied) for density, occupied in densities]))
    members = [
        dict(each) | _phase_branch(density, remove_fragments(occupied & (np.abs(density) > SURFACE * level)))
        for each, (density, occupied) in zip(weights, densities, strict=True)
    ]
    g = laboratory.bragg_vector if laboratory.is_known else None
    head: dict[str, Any] = {"type": "crystal", "version": 1, "sharpness": SHARPNESS, "surface": SURFACE * level}
    edges = steps * np.array(box.count)[:, None]
    voxel = float(np.cbrt(abs(np.linalg.det(steps))))
    if g is not None:
        length = DIFFERENCE * voxel
        half = 0.5 * length * g / np.linalg.norm(g)
        head |= {"step": np.linalg.solve(edges.T / 2, half).tolist(), "length": length}
    distance = spacing if spacing is not None and laboratory.is_known else voxel
    frame = ModelFrame.skewed(
        box.middle @ steps,
        edges,
        (distance, distance, distance),
        volume_attributes(laboratory, level),
        "m" if laboratory.is_known else "voxel",
    )
    plain = {**architecture, "head": head}
    return Model.ensemble(plain, members, frame, _quantities(level, g), "crystal", provenance)


def sample_volume(model: Model, grid: Grid) -> Volume:
    """Sample a crystal's model as a volume: its quantities, its support and its complex density."""
    sampled = model.volume(grid)
    values = dict(sampled.values)
    occupied = values.pop("occupancy")
    values.pop("uncertainty_occupancy", None)
    values["support"] = remove_fragments((values["amplitude"] >= SURFACE) & (occupied > 0)).astype(np.uint8)
    values["density"] = sample_density(model, grid).astype(np.complex64)
    quantities = tuple(q for q in volume_quantities() if q.name in values)
    return replace(
        sampled, values={q.name: to_file_precision(values[q.name]) for q in quantities}, quantities=quantities
    )


def sample_density(model: Model, grid: Grid) -> Complex[np.ndarray, "z y x"]:
    """Sample the complex density, the mean over an ensemble; its median amplitude is 1, and 0 outside the box."""
    points = np.stack(np.meshgrid(*grid.axes, indexing="ij"), axis=-1).reshape(-1, 3)
    density = np.zeros(len(points), complex)
    for start in range(0, len(points), POINTS_AT_ONCE):
        part = points[start : start + POINTS_AT_ONCE]
        within = model.frame.contains(part)
        s = model.frame.points(part[within])
        each = [head.density(field.at, s) for head, field in zip(model.heads, model.members, strict=True)]
        density[start : start + len(part)][within] = np.mean(each, axis=0)
    return np.asarray(density.reshape(grid.shape) * model.outputs[0].scale)


def occupied_voxels(model: Model, box: SupportBox, steps: Float[np.ndarray, "3 3"]) -> Bool[np.ndarray, "z y x"]:
    """Find the voxels of the conjugate array that the crystal occupies.

    Args:
        model: Model of the crystal.
        box: Box that the field fills.
        steps: [m] Rows: steps between the array's voxels; [voxel] where their size is unknown.
    """
    axes = [middle + np.arange(n) - (n - 1) / 2 for middle, n in zip(box.middle, box.count, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) @ steps
    amplitude = model(points, "amplitude").reshape(box.count)
    inside = np.zeros(box.shape, bool)
    inside[box.slices] = remove_fragments(amplitude >= SURFACE)
    return inside


def _quantities(level: float, g: Float[np.ndarray, " 3"] | None) -> tuple[ModelQuantity, ...]:
    """List the quantities; displacement and strain are −1/|G| times the phase and its slope."""
    along = -1 / float(np.linalg.norm(g)) if g is not None else 1.0
    scales = {"amplitude": 1 / level, "phase": 1.0, "occupancy": 1.0, "displacement": along, "strain": along}
    names = list(scales) if g is not None else list(scales)[:3]
    return tuple(ModelQuantity(name, *_NAMES[name], 0.0, scales[name]) for name in names)


def _occupied_density(
    architecture: Mapping[str, Any], weights: Weights, box: SupportBox
) -> tuple[Complex[np.ndarray, "z y x"], Bool[np.ndarray, "z y x"]]:
    """Sample a field's density at the voxels of the box, and the mask of the occupied ones."""
    s, a, b = build_numpy_field(architecture, weights).on_grid(*grid_axes(box.count))
    return (a + 1j * b) / (1 + np.exp(-SHARPNESS * s)), s > 0


def _phase_branch(density: Complex[np.ndarray, "z y x"], inside: Bool[np.ndarray, "z y x"]) -> dict[str, np.ndarray]:
    """Compute the plane of the phase, and its unwrapped grid where it goes beyond ±π: weights of the head.

    Args:
        density: Density at the voxels of the box.
        inside: Mask of the crystal.
    """
    slopes = phase_slopes(density, inside)
    coefficients, phase = unwrap_inside(density * np.conj(phase_ramp(slopes, density.shape)), inside)
    slopes, counts = slopes + coefficients[1:], np.array(density.shape)
    # Voxel i stands at the normalised coordinate s = (2i + 1)/n − 1.
    offset = coefficients[0] + float(slopes @ ((counts - 1) / 2 - counts // 2))
    branch = {PLANE: np.array([offset, *(slopes * counts / 2)])}
    if np.abs(phase).max() > _SAFE:
        branch[REFERENCE] = _coarsen(phase, inside)[None].astype(np.float32)
    return branch


def _coarsen(phase: Float[np.ndarray, "z y x"], inside: Bool[np.ndarray, "z y x"]) -> Float[np.ndarray, "_z _y _x"]:
    """Extrapolate the phase beyond the crystal and sample it at the centres of coarse cells."""
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    extrapolated = ndimage.gaussian_filter(phase[tuple(nearest)], _COARSE / 2)
    counts = [max(-(-n // _COARSE), 1) for n in phase.shape]
    indices = [(np.arange(c) + 0.5) * n / c - 0.5 for c, n in zip(counts, phase.shape, strict=True)]
    return np.asarray(
        ndimage.map_coordinates(extrapolated, np.meshgrid(*indices, indexing="ij"), order=1, mode="nearest")
    )
