"""Frames of a simulated rocking curve that is not even: their positions, and the angles that its file gives."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from ....physics.diffraction.beamlines import APS_34IDC
from ....physics.diffraction.diffractometer import Goniometer
from ...acquisition import Group
from ...config.value_types import view_indices
from .config_simulation import CrystalSeries, CrystalSimulation, SimulatedRocking
from .diffractometer import goniometer_group
from .uneven_curve import even_positions

_EDGE = 3
"""Number of frames at each end that are not lost, and of steps that do not go back."""
Positions = Float[np.ndarray, "frame 3"]


def frame_positions(section: CrystalSimulation, rng: np.random.Generator) -> Positions:
    """Draw the positions of the frames, in the order of their measurement.

    Args:
        section: Section ``simulate`` of the config.
        rng: Random generator.

    Returns:
        Position of each frame along the curve, in steps from its middle, and its shift (y, x) in pixels.
    """
    rocking, positions = section.rocking, even_positions(section.shape[0])
    if rocking.reversals:
        positions[:, 0] = _step_back(positions[:, 0], rocking.reversals, rng)
    course = positions[:, 0] / np.abs(positions[:, 0]).max()
    positions[:, 0] += rocking.drift * (1 - course**2)
    positions[:, 0] += rng.uniform(-rocking.jitter, rocking.jitter, len(positions))
    positions[:, 1:] = rng.normal(0, rocking.roll, (len(positions), 2))
    return positions[_measured_frames(len(positions), rocking, rng)]


def _step_back(along: Float[np.ndarray, " frame"], count: int, rng: np.random.Generator) -> Float[np.ndarray, " frame"]:
    """Step back at some frames, and forward by more at the others, to the same end."""
    steps = np.ones(len(along) - 1)
    back = rng.choice(np.arange(_EDGE, len(steps) - _EDGE), count, replace=False)
    steps[back] = -rng.uniform(0.2, 0.8, count)
    course = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(along[0] + course / course[-1] * (along[-1] - along[0]))


def _measured_frames(count: int, rocking: SimulatedRocking, rng: np.random.Generator) -> list[int]:
    """Indices of the frames without those that are lost, and twice those that are repeated."""
    lost = rng.choice(np.arange(_EDGE, count - _EDGE), rocking.lost, replace=False)
    others = np.setdiff1d(np.arange(count), lost)
    twice = rng.choice(others, rocking.repeated, replace=False)
    return [int(i) for i in np.sort(np.concatenate([others, twice]))]


def stated_circles(section: CrystalSimulation, positions: Positions) -> Group:
    """Circles of the diffractometer with the angles that the file gives for the frames."""
    along = positions[:, 0] if section.rocking.read_back else even_positions(len(positions))[:, 0]
    angles = {"Theta": section.rocking_step * along, "Delta": np.array(section.delta), "Gamma": np.array(section.gamma)}
    return goniometer_group(Goniometer(APS_34IDC, angles, "Theta"))


def mask_frames(arrays: Mapping[str, np.ndarray], series: CrystalSeries) -> dict[str, np.ndarray]:
    """Mask the frames that are not measured at this time of a series.

    Raises:
        ValueError: If there are no such frames.
    """
    counts, mask = np.zeros_like(arrays["images"]), np.ones_like(arrays["mask"])
    measured = view_indices(series.views, len(counts))
    counts[measured], mask[measured] = arrays["images"][measured], arrays["mask"][measured]
    return {**arrays, "images": counts, "mask": mask}
