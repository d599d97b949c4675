"""Numbers of a result that its verdict needs beside the misfit: light and specimen."""

import numpy as np
from jaxtyping import Float, Int

from ....physics.optics.microscope import Illumination
from ...model import UNCERTAINTY
from ...volume import Volume
from .caps import axial_resolution
from .coarse_structure import determined_phase, least_coarse_period
from .forward_model import CellForwardModel
from .schema import REFRACTIVE_INDEX, measured_views
from .tiling import reach_of

RIM = 0.03
"""Distance of light from the rim of the pupil, relative to the aperture, within which it may be cut off."""


def light_numbers(forward_model: CellForwardModel, fitted: Int[np.ndarray, " view"]) -> dict[str, float]:
    """Compute what the light alone tells of the result.

    Returns:
        ``light_at_rim``: share of the light at the rim of the pupil, which a small error of its direction cuts off; of
        images of a specimen at rest ``phase_determined``: share of the coarse structure of the phase delay that the
        fitted views determine, with ``coarse_period`` [m], the least period of what is coarse.
    """
    light, microscope = forward_model.illumination, forward_model.microscope
    relative = np.hypot(light.na[..., 0], light.na[..., 1]) / microscope.numerical_aperture
    numbers = {"light_at_rim": float(light.weights[np.abs(relative - 1) < RIM].sum() / light.weights.sum())}
    if forward_model.is_field or "rotation" in forward_model.acquisition:
        return numbers
    own = Illumination(light.na[fitted], light.weights[fitted], light.defocus[fitted])
    share = determined_phase(microscope, own, forward_model.geometry.lattice.thickness)
    if np.isfinite(share):
        numbers |= {"phase_determined": share, "coarse_period": least_coarse_period(microscope)}
    return numbers


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
        if contrast[0].std() > 0 and contrast[-1].std() > 0:
            numbers["faces_correlation"] = float(np.corrcoef(contrast[0].ravel(), contrast[-1].ravel())[0, 1])
    numbers |= _side_numbers(forward_model, contrast)
    spread = volume.values.get(UNCERTAINTY + REFRACTIVE_INDEX.name)
    if spread is not None and np.any(contrast):
        numbers["ensemble_spread"] = float(np.sqrt(np.mean(spread.astype(np.float64) ** 2) / np.mean(contrast**2)))
    return numbers


def _side_numbers(forward_model: CellForwardModel, contrast: Float[np.ndarray, "z y x"]) -> dict[str, float]:
    """Compute how the specimen reaches the sides of a box as wide as the images, and how far light spreads sideways.

    Nothing of a box that is wider than the images, where the light of a specimen beyond them is accounted for, nor of a
    turning specimen.
    """
    acquisition, lattice = forward_model.acquisition, forward_model.geometry.lattice
    images = measured_views(acquisition).shape[1:]
    if "rotation" in acquisition or lattice.shape[1:] != tuple(n * lattice.binning for n in images):
        return {}
    squares = contrast**2
    lines = [np.sqrt(squares.mean(axis=axes)) for axes in ((0, 2), (0, 1))]
    shares = [max(line[0], line[-1]) / line.max() for line in lines if line.max() > 0]
    return {
        "contrast_at_sides": float(max(shares, default=0.0)),
        "light_reach": reach_of(acquisition, forward_model.geometry),
    }
