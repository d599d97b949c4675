"""Simulation of a rocking curve: a random crystal, its diffraction and its counts, with the truth.

The crystal is defined in space. Its far field is computed on a grid finer than the reconstruction's and is sampled at
the q of the measured array, which is skewed by the angles of crystal and detector.
"""

import logging

import numpy as np
from jaxtyping import Complex, Float

from ....physics.detector import DetectorError, Exposure, expose_scan
from ....physics.diffraction.bragg_geometry import (
    GeometryError,
    real_space_steps,
    sample_positions,
    strain_from_density,
)
from ....physics.diffraction.diffractometer import Reflection
from ....physics.phantoms.crystals import Crystal, density, far_field, far_field_of_frames, random_crystal
from ....physics.phantoms.crystals.polyhedron import ShapeError
from ...acquisition import Acquisition, Group
from ...config.advice import at_most
from ...errors import ConfigError, Diagnostic
from ...runs.context import Progress, silent
from ...volume import Volume, centred_axis
from .config import CrystalSettings
from .config_simulation import CrystalSimulation
from .diffractometer import GROUP
from .laboratory import QUANTITIES
from .simulated_frames import frame_positions, mask_frames, stated_circles
from .simulated_geometry import simulated_reflection

_NOISELESS = 1e7
"""Total counts of a rocking curve without counting noise."""
_TRIAL = 1e-7
"""[m] Radius of the crystal that is drawn first, to find the scale that fits the array."""
_MARGIN = 3
"""[sample] Margin of the truth around the crystal."""

_log = logging.getLogger(__name__)


def simulate(settings: CrystalSettings, progress: Progress = silent) -> Acquisition:
    """Simulate a rocking curve by the config's section ``simulate``.

    Args:
        settings: Settings of the run; the seed determines crystal and noise.
        progress: Callback after each step.

    Returns:
        Counts with mask and geometry, and the true crystal on orthogonal axes.

    Raises:
        ConfigError: If there is no such crystal, or no such detector.
    """
    try:
        return _simulate(settings, progress)
    except (DetectorError, GeometryError, ShapeError) as error:
        remedy = "see simulate in the config; another seed draws another crystal"
        raise ConfigError(Diagnostic("simulate", str(error), remedy)) from error


def _simulate(settings: CrystalSettings, progress: Progress) -> Acquisition:
    section = settings.simulate
    curve = simulated_reflection(section)
    steps = real_space_steps(curve.basis, section.shape)
    crystal = draw_crystal(section, curve, steps, settings.seed)
    if section.series:
        crystal = crystal.scale_displacement(section.series.factor)
    progress(1, 3)
    field, geometry, groups = _diffract(crystal, curve, section, np.random.default_rng([settings.seed, 2]))
    progress(2, 3)
    rng = np.random.default_rng([settings.seed, 1, *(section.series.noise_stream if section.series else ())])
    exposed = expose_scan(field, detector_exposure(section), rng)
    counts = exposed.counts if section.detector.counts is not None else exposed.modelled
    arrays = {
        "images": counts.astype(np.float32),
        "mask": exposed.mask,
        "wavelength": np.array(section.wavelength),
        "detector_distance": np.array(section.detector_distance),
        "pixel_size": np.array(section.pixel_size),
        **geometry,
    }
    truth = sample_truth(crystal, float(np.cbrt(abs(np.linalg.det(steps)))))
    progress(3, 3)
    attributes: dict[str, float | str] = {"specimen": "simulated crystal", "seed": settings.seed}
    if section.series:
        attributes |= section.series.attributes
        arrays = mask_frames(arrays, section.series)
    return Acquisition("crystal", arrays, "simulation", truth, attributes, groups=groups)


def _diffract(
    crystal: Crystal, curve: Reflection, section: CrystalSimulation, rng: np.random.Generator
) -> tuple[Complex[np.ndarray, "frame y x"], dict[str, np.ndarray], dict[str, Group]]:
    """Compute the far field of the frames, and the arrays and groups that give their q in the file."""
    steps = real_space_steps(curve.basis, section.shape)
    if section.rocking.is_even:
        geometry = {"reciprocal_basis": curve.basis, "bragg_vector": curve.bragg_vector}
        return far_field(crystal, steps, section.shape), geometry, {}
    positions = frame_positions(section, rng)
    field = far_field_of_frames(crystal, steps, section.shape, positions)
    return field, {}, {GROUP: stated_circles(section, positions)}


def draw_crystal(section: CrystalSimulation, curve: Reflection, steps: Float[np.ndarray, "3 3"], seed: int) -> Crystal:
    """Draw a random crystal; without a radius it is as large as the oversampling allows."""

    def draw(radius: float) -> Crystal:
        return random_crystal(
            np.random.default_rng([seed, 0]),
            radius=radius,
            bragg_vector=curve.bragg_vector,
            phase=section.phase,
            strains=None if isinstance(section.strains, str) else section.strains,
            flaws=None if isinstance(section.flaws, str) else section.flaws,
        )

    if not isinstance(section.radius, str):
        crystal = draw(section.radius)
        _require_room(crystal, steps, section)
        return crystal
    widths = _widths(draw(_TRIAL), steps)
    return draw(_TRIAL * float(np.min(np.array(section.shape) / (section.oversampling * widths))))


def _widths(crystal: Crystal, steps: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 3"]:
    """Compute the widths [voxel] of a crystal along the axes of the conjugate array."""
    return np.asarray(np.ptp(crystal.shape.body.vertices() @ np.linalg.inv(steps), axis=0))


def _require_room(crystal: Crystal, steps: Float[np.ndarray, "3 3"], section: CrystalSimulation) -> None:
    """Refuse a crystal that would be cut off at the edges of its array.

    Raises:
        ConfigError: If it is larger than the array along an axis.
    """
    fraction = _widths(crystal, steps) / np.array(section.shape)
    axis = int(np.argmax(fraction))
    if fraction[axis] < 1:
        return
    name, radius = ("frame", "y", "x")[axis], float(f"{section.radius}")
    message = f"a crystal of {1e9 * radius:.4g} nm is {fraction[axis]:.3g} times as wide as its array along {name}"
    limit = at_most(0.999e9 * radius / fraction[axis])
    remedy = f"take at most {limit} nm, a smaller rocking_step or pixel_size, or auto"
    raise ConfigError(Diagnostic("simulate.radius", message, remedy))


def detector_exposure(section: CrystalSimulation) -> Exposure:
    """Build the detector: noise, background, point-spread function and bad pixels."""
    detector = section.detector
    frames, rows, _ = section.shape
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
        crystal: Crystal to sample.
        spacing: [m] Distance between samples.
    """
    extent = np.abs(crystal.shape.body.vertices()).max(axis=0)
    counts = [2 * (int(np.ceil(r / spacing)) + _MARGIN) + 1 for r in extent]
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
    attributes: dict[str, float | str] = {f"bragg_vector_{a}": float(c) for a, c in zip("zyx", g, strict=True)}
    return Volume("crystal", z, y, x, values, QUANTITIES, attributes | {"convention": "forward FFT: phase = -G.u"})
