"""A simulated rocking curve of a known crystal: drawn, diffracted and counted, with its truth beside it.

The crystal is described in space. Its far field is computed on a grid finer than the reconstruction's and is sampled at
the q of the measured array, which is skewed as the angles of crystal and detector make it.
"""

import logging

import numpy as np
from jaxtyping import Float

from ....physics.detector import DetectorError, Exposure, expose_scan
from ....physics.diffraction.bragg_geometry import FrameError, real_space_steps, sample_positions, strain_from_density
from ....physics.diffraction.diffractometer import APS_34IDC, Reflection, compute_reflection
from ....physics.phantoms.crystals import Crystal, amplitudes, density, random_crystal
from ....physics.phantoms.crystals.polyhedron import ShapeError
from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...runs.context import Progress, silent
from ...volume import Volume, centred_axis
from .config import CrystalSettings
from .config_simulation import CrystalSimulation
from .laboratory import QUANTITIES

_NOISELESS = 1e7
"""Counts of a rocking curve without counting noise."""
_TRIAL = 1e-7
"""[m] Radius of the first drawing, by which the right one is found."""
_RIM = 3

_log = logging.getLogger(__name__)


def simulate(settings: CrystalSettings, progress: Progress = silent) -> Acquisition:
    """Simulate a rocking curve as the config's ``simulate:`` section says.

    Args:
        settings: The config; its seed decides crystal and noise.
        progress: Told of the steps.

    Returns:
        Counts with mask and geometry, and the crystal on orthogonal axes.

    Raises:
        ConfigError: If there is no such crystal, or no such detector.
    """
    try:
        return _simulated(settings, progress)
    except (DetectorError, FrameError, ShapeError) as error:
        remedy = "see simulate in the config; another seed draws another crystal"
        raise ConfigError(Diagnostic("simulate", str(error), remedy)) from error


def _simulated(settings: CrystalSettings, progress: Progress) -> Acquisition:
    wanted = settings.simulate
    curve = simulated_reflection(wanted)
    steps = real_space_steps(curve.basis, wanted.shape)
    crystal = draw_crystal(wanted, curve, steps, settings.seed)
    progress(1, 3)
    field = amplitudes(crystal, steps, wanted.shape)
    progress(2, 3)
    rng = np.random.default_rng([settings.seed, 1])
    taken = expose_scan(field, detector_exposure(wanted), rng)
    counts = taken.counts if wanted.detector.counts is not None else taken.modelled
    arrays = {
        "images": counts.astype(np.float32),
        "mask": taken.mask,
        "wavelength": np.array(wanted.wavelength),
        "detector_distance": np.array(wanted.detector_distance),
        "pixel_size": np.array(wanted.pixel_size),
        "reciprocal_basis": curve.basis,
        "bragg_vector": curve.bragg_vector,
    }
    truth = sample_truth(crystal, float(np.cbrt(abs(np.linalg.det(steps)))))
    progress(3, 3)
    facts: dict[str, float | str] = {"specimen": "simulated crystal", "seed": settings.seed}
    return Acquisition("crystal", arrays, "simulation", truth, facts)


def simulated_reflection(wanted: CrystalSimulation) -> Reflection:
    """The steps of q of the simulated angles, or of an idealised grid with steps as long."""
    angles = {"Theta": 0.0, "Chi": 0.0, "Phi": 0.0, "Delta": wanted.delta, "Gamma": wanted.gamma}
    found = compute_reflection(
        APS_34IDC,
        angles,
        "Theta",
        wanted.rocking_step,
        wavelength=wanted.wavelength,
        distance=wanted.detector_distance,
        pixel_size=wanted.pixel_size,
    )
    if wanted.frame == "skewed":
        return found
    return Reflection(np.diag(np.linalg.norm(found.basis, axis=1)), found.bragg_vector)


def draw_crystal(wanted: CrystalSimulation, curve: Reflection, steps: Float[np.ndarray, "3 3"], seed: int) -> Crystal:
    """Draw the crystal; where no radius is given it is as large as the oversampling lets it be."""

    def drawn(radius: float) -> Crystal:
        return random_crystal(
            np.random.default_rng([seed, 0]),
            radius=radius,
            bragg_vector=curve.bragg_vector,
            phase=wanted.phase,
            strains=None if isinstance(wanted.strains, str) else wanted.strains,
            flaws=None if isinstance(wanted.flaws, str) else wanted.flaws,
        )

    if not isinstance(wanted.radius, str):
        crystal = drawn(wanted.radius)
        _require_room(crystal, steps, wanted)
        return crystal
    widths = _widths(drawn(_TRIAL), steps)
    return drawn(_TRIAL * float(np.min(np.array(wanted.shape) / (wanted.oversampling * widths))))


def _widths(crystal: Crystal, steps: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 3"]:
    """[voxel] How wide a crystal is along the axes of the conjugate array."""
    return np.asarray(np.ptp(crystal.shape.body.vertices() @ np.linalg.inv(steps), axis=0))


def _require_room(crystal: Crystal, steps: Float[np.ndarray, "3 3"], wanted: CrystalSimulation) -> None:
    """Refuse a crystal that would be cut off at the edges of its array.

    Raises:
        ConfigError: If it is larger than the array along an axis.
    """
    share = _widths(crystal, steps) / np.array(wanted.shape)
    axis = int(np.argmax(share))
    if share[axis] < 1:
        return
    name, radius = ("frame", "y", "x")[axis], float(f"{wanted.radius}")
    message = f"a crystal of {1e9 * radius:.4g} nm is {share[axis]:.3g} times as wide as its array along {name}"
    remedy = f"take less than {1e9 * radius / share[axis]:.3g} nm, a smaller rocking_step or pixel_size, or auto"
    raise ConfigError(Diagnostic("simulate.radius", message, remedy))


def detector_exposure(wanted: CrystalSimulation) -> Exposure:
    """What the detector adds."""
    detector = wanted.detector
    frames, rows, _ = wanted.shape
    gaps = []
    if detector.gap:
        gaps.append((1, rows // 2 + 1, rows // 2 + 1 + detector.gap))
    if detector.missing:
        gaps.append((0, frames - round(detector.missing * frames), frames))
    return Exposure(
        total=detector.counts or _NOISELESS,
        background=detector.background,
        sigmas=detector.psf,
        saturation=detector.saturation,
        gaps=tuple(gaps),
        hot_pixels=detector.hot_pixels,
        aliens=detector.aliens,
    )


def sample_truth(crystal: Crystal, spacing: float) -> Volume:
    """Sample the crystal on orthogonal axes around it.

    Args:
        crystal: What to sample.
        spacing: [m] Between samples.
    """
    reach = np.abs(crystal.shape.body.vertices()).max(axis=0)
    counts = [2 * (int(np.ceil(r / spacing)) + _RIM) + 1 for r in reach]
    shape, steps = (counts[0], counts[1], counts[2]), np.eye(3) * spacing
    sampled = density(crystal, steps, shape)
    inside = np.abs(sampled) >= 0.5
    phase = np.zeros(shape)
    phase[inside] = crystal.phase(sample_positions(steps, shape)[inside])
    g = crystal.bragg_vector
    values: dict[str, np.ndarray] = {
        "amplitude": np.abs(sampled),
        "phase": phase.astype(np.float32),
        "displacement": (-phase / np.linalg.norm(g)).astype(np.float32),
        "strain": np.nan_to_num(strain_from_density(sampled, steps, g, inside)).astype(np.float32),
        "support": inside.astype(np.uint8),
        "density": sampled,
    }
    z, y, x = (centred_axis(n, spacing) for n in shape)
    facts: dict[str, float | str] = {f"bragg_vector_{a}": float(c) for a, c in zip("zyx", g, strict=True)}
    return Volume("crystal", z, y, x, values, QUANTITIES, facts | {"convention": "forward FFT: phase = -G.u"})
