"""A simulated acquisition of a known cell: drawn, lit, imaged and counted, with its truth beside it.

The specimen is sampled on voxels finer than the camera's pixel, light crosses them by SSNP, and each pixel counts the
mean intensity of the samples that it covers. A turning specimen is drawn anew at every angle, with no interpolation.
Axes ``z y x``, metres.
"""

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ....physics.detector import Detector
from ....physics.optics.illumination import PATTERNS
from ....physics.optics.lattice import Lattice, lateral_padding
from ....physics.optics.microscope import Illumination, Microscope
from ....physics.phantoms.cells import CellOptics, Specimen, bead_specimen, cell_specimen, cluster_specimen
from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...runs.context import Progress, silent
from ...volume import Volume, centred_axis
from .config import CellSettings
from .config_simulation import CellSimulation
from .illumination import rotation_matrices
from .imaging import simulate_images
from .schema import ABSORPTION, REFRACTIVE_INDEX

_FILL = 0.65
"""Part of the box that a cell takes whose size is not given."""

_WAVES_PER_SLICE = 1 / 3
"""Thickest slice, in wavelengths of the medium."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SimulatedViews:
    """What differs from view to view.

    Args:
        directions: Apertures (y, x) of all sources.
        pattern: Brightness of each source in each view.
        defocus: [m] Plane of focus of each view.
        angles: [rad] Turn of the specimen in each view; None if it stays.
    """

    directions: Float[np.ndarray, "source 2"]
    pattern: Float[np.ndarray, "view source"]
    defocus: Float[np.ndarray, " view"]
    angles: Float[np.ndarray, " view"] | None

    def light(self, chosen: slice) -> Illumination:
        """The light of some of the views; sources that are dark in a view are left out of it."""
        pattern = self.pattern[chosen]
        most = int((pattern > 0).sum(axis=1).max())
        lit = np.argsort(-pattern, axis=1, kind="stable")[:, :most]
        return Illumination(self.directions[lit], np.take_along_axis(pattern, lit, axis=1), self.defocus[chosen])


def simulate(settings: CellSettings, progress: Progress = silent) -> Acquisition:
    """Simulate an acquisition as the config's ``simulate:`` section says.

    Args:
        settings: The config; its seed decides specimen, pattern and noise.
        progress: Told of each image.

    Returns:
        Images in counts, the instrument, and the truth on the camera's pixels.

    Raises:
        ConfigError: If the voxels are too coarse for the light.
    """
    wanted = settings.simulate
    draw_rng, light_rng, noise_rng = (np.random.default_rng([settings.seed, stream]) for stream in range(3))
    microscope = Microscope(wanted.wavelength, wanted.numerical_aperture, wanted.medium_index, wanted.pixel_size)
    specimen = draw_specimen(wanted, draw_rng)
    views = _views(wanted, light_rng)
    lattice = simulation_lattice(wanted)
    rotations = (
        None if views.angles is None or wanted.turn is None else rotation_matrices(views.angles, wanted.turn.axis)
    )
    clean = _images(specimen, lattice, microscope, views, rotations, wanted, progress)
    detector = Detector(wanted.photons, wanted.read_noise, wanted.background)
    arrays: dict[str, np.ndarray] = {"images": detector.expose(clean, noise_rng)}
    if wanted.empty_view:
        arrays["background"] = detector.expose(np.ones_like(clean), noise_rng)
    arrays |= _instrument(microscope, views, rotations)
    facts: dict[str, float | str] = {"specimen": f"simulated {wanted.specimen}", "seed": settings.seed}
    return Acquisition("cell", arrays, "simulation", sample_truth(specimen, wanted), facts)


def draw_specimen(wanted: CellSimulation, rng: np.random.Generator) -> Specimen:
    """Draw the specimen that the config names, as large as fits unless it says how large."""
    width = min(n * d for n, d in zip(wanted.shape, wanted.pixel_size, strict=True))
    optics, n = CellOptics(absorption=wanted.absorption), wanted.medium_index
    given = None if wanted.radius == "auto" else wanted.radius
    if wanted.specimen == "beads":
        largest = given or min(1.2e-6, 0.2 * min(wanted.depth, width))
        size = (_FILL * wanted.depth, 0.7 * width, 0.7 * width)
        specimen = bead_specimen(
            rng, radius=(largest / 2, largest), size=size, medium_index=n, absorption=wanted.absorption
        )
    elif wanted.specimen == "cluster":
        radius = given or _FILL * min(width / 4.4, wanted.depth / 1.6)
        specimen = cluster_specimen(rng, radius=radius, medium_index=n, optics=optics)
    else:
        radius = given or _FILL * min(width / 2, wanted.depth / 1.44)
        specimen = cell_specimen(rng, radius=radius, medium_index=n, optics=optics)
    return specimen.scale_contrast(wanted.contrast)


def simulation_lattice(wanted: CellSimulation) -> Lattice:
    """Lay the voxels of the simulation: cubes, or flatter where the pixel is not small against the wave.

    The voxels reach beyond the camera's frame: nature is not periodic, and light from there comes into the image.

    Raises:
        ConfigError: If they cannot carry the waves that the objective takes in.
    """
    k = wanted.oversampling
    y, x = (d / k for d in wanted.pixel_size)
    limit = wanted.wavelength / (2 * (wanted.numerical_aperture + wanted.illumination.na))
    if max(y, x) > limit:
        needed = int(np.ceil(max(wanted.pixel_size) / limit))
        message = f"voxels of {max(y, x) * 1e9:.0f} nm are too coarse: this light needs at most {limit * 1e9:.0f} nm"
        raise ConfigError(Diagnostic("simulate.oversampling", message, f"--set simulate.oversampling={needed}"))
    # Slices half a wave apart would reflect like a Bragg mirror, to which SSNP is as open as nature is.
    thickest = _WAVES_PER_SLICE * wanted.wavelength / wanted.medium_index
    z = min(y, x) / np.ceil(min(y, x) / thickest)
    way = wanted.depth + 2 * max(map(abs, wanted.defocus))
    steepest = max(wanted.numerical_aperture, wanted.illumination.na) / wanted.medium_index
    margins = (
        max(n * d / 2, 2 * lateral_padding(way, steepest)) for n, d in zip(wanted.shape, wanted.pixel_size, strict=True)
    )
    height, width = (n + int(np.ceil(m / d)) for n, m, d in zip(wanted.shape, margins, wanted.pixel_size, strict=True))
    shape = (max(1, round(wanted.depth / z)), k * height, k * width)
    return Lattice(shape, (float(z), y, x), wanted.wavelength, wanted.medium_index, binning=k)


def sample_truth(specimen: Specimen, wanted: CellSimulation) -> Volume:
    """Sample the specimen on the camera's pixels, and as finely along z: each voxel holds its mean index."""
    spacing = (min(wanted.pixel_size), *wanted.pixel_size)
    counts = (max(1, round(wanted.depth / spacing[0])), *wanted.shape)
    z, y, x = (centred_axis(n, d) for n, d in zip(counts, spacing, strict=True))
    contrast = specimen.sample(z, y, x)
    faces = (contrast[0], contrast[-1], contrast[:, 0], contrast[:, -1], contrast[:, :, 0], contrast[:, :, -1])
    if any(np.any(face) for face in faces):
        _log.warning("the specimen does not fit into the box: raise simulate.depth or shape, or lower simulate.radius")
    values = {"refractive_index": contrast + np.float32(wanted.medium_index)}
    quantities = [REFRACTIVE_INDEX]
    if specimen.absorbs:
        values["absorption"] = specimen.absorption(z, y, x)
        quantities.append(ABSORPTION)
    return Volume("cell", z, y, x, values, tuple(quantities), {"medium_index": wanted.medium_index})


def _views(wanted: CellSimulation, rng: np.random.Generator) -> SimulatedViews:
    """List the views: at each turn of the specimen each plane of focus, in each of them all directions."""
    light = wanted.illumination
    directions = PATTERNS[light.pattern](light.count, light.na)
    one = np.eye(light.count)
    if light.sources > 1:
        # Each view has a direction of its own and some at random, so that every direction is used.
        for row in one:
            others = rng.permutation(np.flatnonzero(row == 0))[: light.sources - 1]
            row[others] = 1
    turns = wanted.turn.count if wanted.turn else 1
    defocus = np.tile(np.repeat(wanted.defocus, light.count), turns)
    pattern = np.tile(one, (turns * len(wanted.defocus), 1))
    angles = None
    if wanted.turn:
        angles = np.repeat(np.arange(turns) * wanted.turn.range / turns, light.count * len(wanted.defocus))
    return SimulatedViews(directions, pattern, defocus, angles)


def _images(
    specimen: Specimen,
    lattice: Lattice,
    microscope: Microscope,
    views: SimulatedViews,
    rotations: Float[np.ndarray, "view 3 3"] | None,
    wanted: CellSimulation,
    progress: Progress,
) -> Float[np.ndarray, "view y x"]:
    """Compute noise-free images; views between which the specimen stays are computed together."""
    count = len(views.defocus)
    together = count if rotations is None or wanted.turn is None else count // wanted.turn.count
    parts = []
    for first in range(0, count, together):
        posed = specimen if rotations is None else specimen.rotate(rotations[first])
        contrast = [posed.sample(*lattice.axes)]
        if posed.absorbs:
            contrast.append(posed.absorption(*lattice.axes))
        light, told = views.light(slice(first, first + together)), _onward(progress, first, count)
        parts.append(
            simulate_images(
                np.stack(contrast), lattice, microscope, light, wanted.shape, scattering=wanted.model, progress=told
            )
        )
    return np.concatenate(parts)


def _onward(progress: Progress, done: int, count: int) -> Progress:
    """Tell of some of the images as a part of all."""

    def told(step: int, total: int, **metrics: float) -> None:
        progress(done + step, count, **metrics)

    return told


def _instrument(
    microscope: Microscope, views: SimulatedViews, rotations: Float[np.ndarray, "view 3 3"] | None
) -> dict[str, np.ndarray]:
    """Describe the instrument by the schema's entries."""
    arrays = {
        "wavelength": np.array(microscope.wavelength),
        "numerical_aperture": np.array(microscope.numerical_aperture),
        "medium_index": np.array(microscope.medium_index),
        "pixel_size": np.array(microscope.pixel_size),
    }
    if np.all(views.pattern.sum(axis=1) == 1):
        arrays["illumination_na"] = views.directions[np.argmax(views.pattern, axis=1)]
    else:
        arrays |= {"source_na": views.directions, "pattern": views.pattern}
    if rotations is not None:
        arrays["rotation"] = rotations
    if np.any(views.defocus):
        arrays["defocus"] = views.defocus
    return arrays
