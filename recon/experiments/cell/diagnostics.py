"""Numbers of a result that its verdict needs beside the misfit: light and specimen."""

import numpy as np

from ...model import UNCERTAINTY
from ...volume import Volume
from .caps import axial_resolution
from .forward_model import CellForwardModel
from .schema import REFRACTIVE_INDEX

RIM = 0.03
"""Distance of light from the rim of the pupil, relative to the aperture, within which it may be cut off."""


def light_numbers(forward_model: CellForwardModel) -> dict[str, float]:
    """Compute the share of the light at the rim of the pupil, which a small error of its direction cuts off."""
    light = forward_model.illumination
    relative = np.hypot(light.na[..., 0], light.na[..., 1]) / forward_model.microscope.numerical_aperture
    return {"light_at_rim": float(light.weights[np.abs(relative - 1) < RIM].sum() / light.weights.sum())}


def specimen_numbers(forward_model: CellForwardModel, volume: Volume) -> dict[str, float]:
    """Compute the largest delay of light along z, how the specimen fills the box's depth, and the members' spread."""
    contrast = volume.values[REFRACTIVE_INDEX.name].astype(np.float64) - forward_model.microscope.medium_index
    delay = 2 * np.pi / forward_model.microscope.wavelength * volume.spacing[0] * np.abs(contrast.sum(axis=0)).max()
    axial = axial_resolution(forward_model.acquisition)
    depth_resolved = forward_model.geometry.lattice.thickness / axial
    numbers = {"phase_delay": float(delay), "axial_resolution": axial, "depth_resolved": depth_resolved}
    squares = float(np.sum(contrast**2))
    if squares > 0:
        numbers["contrast_above"] = float(np.sum(np.maximum(contrast, 0) ** 2)) / squares
    planes = np.sqrt((contrast**2).mean(axis=(1, 2)))
    if len(planes) > 2 and planes.max() > 0:
        numbers["contrast_at_faces"] = float(max(planes[0], planes[-1]) / planes.max())
    spread = volume.values.get(UNCERTAINTY + REFRACTIVE_INDEX.name)
    if spread is not None and np.any(contrast):
        numbers["ensemble_spread"] = float(np.sqrt(np.mean(spread.astype(np.float64) ** 2) / np.mean(contrast**2)))
    return numbers
