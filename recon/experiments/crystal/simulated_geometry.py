"""Geometry of the rocking curve that the ``simulate:`` section of a crystal's config describes, without jax."""

import numpy as np

from ....physics.diffraction.beamlines import APS_34IDC
from ....physics.diffraction.diffractometer import DetectorView, Reflection, compute_reflection
from .config_simulation import CrystalSimulation


def simulated_reflection(section: CrystalSimulation) -> Reflection:
    """Compute the steps of q of the simulated angles, or of an orthogonal grid with steps as long."""
    angles = {"Theta": 0.0, "Chi": 0.0, "Phi": 0.0, "Delta": section.delta, "Gamma": section.gamma}
    view = DetectorView(section.wavelength, section.detector_distance, section.pixel_size)
    geometry = compute_reflection(APS_34IDC, angles, {"Theta": section.rocking_step}, view)
    if section.frame == "skewed":
        return geometry
    return Reflection(np.diag(np.linalg.norm(geometry.basis, axis=1)), geometry.bragg_vector)
