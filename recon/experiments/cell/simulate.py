"""Simulation of a cell's acquisition: a phantom, its light, images and camera noise, with the truth beside them.

The specimen is sampled on voxels finer than the camera's pixel, light crosses them by SSNP, and each pixel counts the
mean intensity of the samples that it covers. A turning specimen is sampled anew at every angle, with no interpolation.
Axes ``z y x``, metres.
"""

import logging

import numpy as np
from jaxtyping import Float

from ....physics.detector import Detector
from ....physics.optics.lattice import Lattice, lateral_padding
from ....physics.optics.microscope import Microscope
from ....physics.phantoms.cells import (
    CellOptics,
    Specimen,
    bacteria_specimen,
    bead_specimen,
    cell_specimen,
    cluster_specimen,
    diatom_specimen,
    filament_specimen,
    tissue_specimen,
)
from ....physics.rotation import axis_rotation
from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...runs.context import Progress, silent
from ...volume import Volume, centred_axis
from .config import CellSettings
from .config_simulation import CellSeries, CellSimulation, Sort
from .illumination import rotation_matrices
from .imaging import simulate_images
from .schema import ABSORPTION, REFRACTIVE_INDEX
from .simulated_views import SimulatedViews, instrument_arrays, simulated_views

_FILL = 0.65
"""Part of the box that a cell of automatic size fills."""

_WAVES_PER_SLICE = 1 / 3
"""Thickest slice, in wavelengths of the medium."""

_log = logging.getLogger(__name__)


def simulate(settings: CellSettings, progress: Progress = silent) -> Acquisition:
    """Simulate an acquisition as the ``simulate:`` section of the config describes it.

    Args:
        settings: The config; its seed determines specimen, pattern and noise.
        progress: Called after each image.

    Returns:
        Images in counts, the instrument, and the truth on the camera's pixels.

    Raises:
        ConfigError: If the voxels are too coarse for the light.
    """
    config = settings.simulate
    draw_rng, light_rng = (np.random.default_rng([settings.seed, stream]) for stream in range(2))
    noise_rng = np.random.default_rng([settings.seed, 2, *(config.series.noise_stream if config.series else ())])
    microscope = Microscope(config.wavelength, config.numerical_aperture, config.medium_index, config.pixel_size)
    specimen = draw_specimen(config, draw_rng)
    if config.series:
        specimen = change_specimen(specimen, config.series, np.random.default_rng([settings.seed, 3]))
    views = simulated_views(config, light_rng)
    lattice = simulation_lattice(config)
    rotations = (
        None if views.angles is None or config.turn is None else rotation_matrices(views.angles, config.turn.axis)
    )
    clean = _simulate_views(specimen, lattice, microscope, views, rotations, config, progress)
    detector = Detector(config.photons, config.read_noise, config.background)
    transmitted, exposure = views.transmitted(config), views.exposure(config)
    # Each image is relative to its own empty field; all sources are equally bright, and only some pass the pupil.
    total = views.pattern.sum(axis=1)
    light = np.where(transmitted > 0, transmitted, total) / config.illumination.sources * exposure
    arrays: dict[str, np.ndarray] = {"images": detector.expose(clean * light[:, None, None], noise_rng)}
    if np.ptp(exposure):
        arrays["exposure"] = exposure
    if config.empty_view:
        empty = np.where(transmitted > 0, light, 0)[:, None, None] * np.ones_like(clean)
        arrays["background"] = detector.expose(empty, noise_rng)
    arrays |= instrument_arrays(microscope, views, rotations)
    attributes: dict[str, float | str] = {"specimen": f"simulated {config.specimen}", "seed": settings.seed}
    attributes |= config.series.attributes if config.series else {}
    return Acquisition("cell", arrays, "simulation", sample_truth(specimen, config), attributes)


def change_specimen(specimen: Specimen, series: CellSeries, rng: np.random.Generator) -> Specimen:
    """Turn, swell and move a specimen as far as at one time of a series."""
    direction = rng.normal(size=3)
    turned = specimen.rotate(axis_rotation(0, series.share * series.turn))
    swollen = turned.swell(1 + series.share * series.swelling) if series.swelling else turned
    return swollen.translate(series.share * series.drift * direction / np.linalg.norm(direction))


def draw_specimen(config: CellSimulation, rng: np.random.Generator) -> Specimen:
    """Draw the phantom that the config names, as large as fits unless its size is given."""
    width = min(n * d for n, d in zip(config.shape, config.pixel_size, strict=True))
    optics, n = CellOptics(absorption=config.absorption), config.medium_index
    given = None if config.radius == "auto" else config.radius
    size = (_FILL * config.depth, 0.7 * width, 0.7 * width)
    if config.specimen == "beads":
        largest = given or min(1.2e-6, 0.2 * min(config.depth, width))
        specimen = bead_specimen(
            rng, radius=(largest / 2, largest), size=size, medium_index=n, absorption=config.absorption
        )
    elif config.specimen == "cluster":
        radius = given or _FILL * min(width / 4.4, config.depth / 1.6)
        specimen = cluster_specimen(rng, radius=radius, medium_index=n, optics=optics)
    elif config.specimen == "cell":
        radius = given or _FILL * min(width / 2, config.depth / 1.44)
        specimen = cell_specimen(rng, radius=radius, medium_index=n, optics=optics)
    else:
        specimen = _draw_clear_specimen(config.specimen, rng, given, size, n)
    return specimen.scale_contrast(config.contrast)


def _draw_clear_specimen(
    sort: Sort, rng: np.random.Generator, radius: float | None, size: tuple[float, float, float], medium_index: float
) -> Specimen:
    """Draw a specimen of a sort that does not absorb, within a box [m] (z, y, x)."""
    depth, width = size[0], min(size[1:])
    if sort == "filaments":
        largest = radius or min(0.7e-6, 0.15 * min(depth, width))
        return filament_specimen(rng, radius=(largest / 2, largest), size=size, medium_index=medium_index)
    if sort == "bacteria":
        return bacteria_specimen(rng, radius=radius or min(0.45e-6, 0.1 * depth), size=size, medium_index=medium_index)
    if sort == "diatom":
        return diatom_specimen(rng, radius=radius or min(width / 2, 0.5 * depth), medium_index=medium_index)
    return tissue_specimen(rng, size=size, radius=radius or min(0.16 * width, 0.3 * depth), medium_index=medium_index)


def simulation_lattice(config: CellSimulation) -> Lattice:
    """Choose the voxels of the simulation: cubes, or flatter where the pixel is not small against the wave.

    They extend beyond the camera's frame, as light from there enters the image.

    Raises:
        ConfigError: If they are too coarse for the waves that the objective collects.
    """
    k = config.oversampling
    y, x = (d / k for d in config.pixel_size)
    limit = config.wavelength / (2 * (config.numerical_aperture + config.illumination.na))
    if max(y, x) > limit:
        needed = int(np.ceil(max(config.pixel_size) / limit))
        message = f"voxels of {max(y, x) * 1e9:.0f} nm are too coarse: this light needs at most {limit * 1e9:.0f} nm"
        raise ConfigError(Diagnostic("simulate.oversampling", message, f"--set simulate.oversampling={needed}"))
    # Slices half a wave apart would reflect like a Bragg mirror, which SSNP models.
    thickest = _WAVES_PER_SLICE * config.wavelength / config.medium_index
    z = min(y, x) / np.ceil(min(y, x) / thickest)
    path = config.depth + 2 * max(map(abs, config.defocus))
    steepest = max(config.numerical_aperture, config.illumination.na) / config.medium_index
    padding = 2 * lateral_padding(path, steepest)
    margins = (max(n * d / 2, padding) for n, d in zip(config.shape, config.pixel_size, strict=True))
    height, width = (n + int(np.ceil(m / d)) for n, m, d in zip(config.shape, margins, config.pixel_size, strict=True))
    shape = (max(1, round(config.depth / z)), k * height, k * width)
    return Lattice(shape, (float(z), y, x), config.wavelength, config.medium_index, binning=k)


def sample_truth(specimen: Specimen, config: CellSimulation) -> Volume:
    """Sample the specimen on the camera's pixels, and as finely along z: each voxel holds its mean index."""
    spacing = (min(config.pixel_size), *config.pixel_size)
    counts = (max(1, round(config.depth / spacing[0])), *config.shape)
    z, y, x = (centred_axis(n, d) for n, d in zip(counts, spacing, strict=True))
    contrast = specimen.sample(z, y, x)
    faces = (contrast[0], contrast[-1], contrast[:, 0], contrast[:, -1], contrast[:, :, 0], contrast[:, :, -1])
    if any(np.any(face) for face in faces) or not np.any(contrast):
        _log.warning("the specimen does not fit into the box: raise simulate.depth or shape, or lower simulate.radius")
    values = {"refractive_index": contrast + np.float32(config.medium_index)}
    quantities = [REFRACTIVE_INDEX]
    if specimen.absorbs:
        values["absorption"] = specimen.absorption(z, y, x)
        quantities.append(ABSORPTION)
    return Volume("cell", z, y, x, values, tuple(quantities), {"medium_index": config.medium_index})


def _simulate_views(
    specimen: Specimen,
    lattice: Lattice,
    microscope: Microscope,
    views: SimulatedViews,
    rotations: Float[np.ndarray, "view 3 3"] | None,
    config: CellSimulation,
    progress: Progress,
) -> Float[np.ndarray, "view y x"]:
    """Compute noise-free images; views of one pose of the specimen are computed together."""
    count = len(views.defocus)
    together = count if rotations is None or config.turn is None else count // config.turn.count
    parts = []
    for first in range(0, count, together):
        pose = specimen if rotations is None else specimen.rotate(rotations[first])
        contrast = [pose.sample(*lattice.axes)]
        if pose.absorbs:
            contrast.append(pose.absorption(*lattice.axes))
        light = views.illumination(slice(first, first + together))
        onward = _offset_progress(progress, first, count)
        images = simulate_images(
            np.stack(contrast), lattice, microscope, light, config.shape, scattering=config.model, progress=onward
        )
        parts.append(images)
    return np.concatenate(parts)


def _offset_progress(progress: Progress, done: int, count: int) -> Progress:
    """Report progress of some of the images as progress of all."""

    def report(step: int, total: int, **metrics: float) -> None:
        progress(done + step, count, **metrics)

    return report
