"""Lattices of a cell's fit: the box of the config, at the spacing that the optics needs.

Without jax, as `check` and `estimate` use it too. Axes ``z y x``, metres.
"""

from dataclasses import dataclass, replace

import numpy as np

from ....physics.optics.lattice import Lattice, lateral_padding
from ....physics.optics.microscope import RIM_TOLERANCE, Microscope
from ...acquisition import Acquisition
from ...config.advice import at_most, quantity
from ...errors import ConfigError, Diagnostic
from ..plan import format_value
from .config import CellSettings
from .illumination import microscope_of
from .schema import measured_views

MISSING_DEPTH = Diagnostic(
    "volume.depth", "is required: how deep the specimen is cannot be read from images", "--set volume.depth='9 um'"
)
STORED_WAVE_BYTES = 1 << 30
"""Memory up to which the wave of every slice is stored for the gradient; above, only that of every block's first."""
DEEPEST = 20.0
"""Depth of the box over the width of the images above which its unit is doubted."""
FLATTEST = 0.1
"""Depth of the box in wavelengths below which its unit is doubted."""
SLICES_PER_DETAIL = 3.0
"""Slices to the finest axial detail. At 2 (Nyquist) sections alias; more than 3 gained nothing."""
SSNP_SLICE = 1 / 3
"""Thickest automatic slice for SSNP, in wavelengths of the medium. SSNP models backward light, for which slices half a
wave apart are a Bragg mirror."""
SSNP_LIMIT = 0.45
"""Thickest slice for SSNP, in wavelengths of the medium, that a config may ask for."""
SAMPLING_TOLERANCE = 0.05
"""Relative excess of a pixel or a slice over its sampling limit that is accepted: it costs the spectrum's rim only."""
PUPIL_SAMPLES = 30
"""Samples of the padded wave's spectrum to the radius of the pupil, as far as doubling the field gives them.

Light near the rim needs them: with 20, the true specimen leaves 1.3 times as much of simulated images (NumPy SSNP), a
turn of the light is found wrong by 0.1°, and cells of many photons are 0.2 to 0.8 dB worse."""
FEWEST_IN_STEP, MOST_IN_STEP = 4, 8
"""Least and largest automatic number of views in a step."""
COARSEST_SLICE = 4.0
"""Thickest slice, in wavelengths of the medium: beyond it diffraction inside a slice is lost."""


@dataclass(frozen=True)
class Geometry:
    """Lattices of specimen, wave and image.

    Args:
        lattice: Samples of the specimen.
        padded: Samples of the wave: the specimen's with a lateral margin for tilted light.
        image: Pixels (y, x) of the compared part of the images, which the box covers.
        resolution: [m] Finest detail (z, y, x) that the aperture and the light can show.
    """

    lattice: Lattice
    padded: Lattice
    image: tuple[int, int]
    resolution: tuple[float, float, float]


def largest_na(acquisition: Acquisition) -> float:
    """Find the largest aperture of the light; 0 for light along the axis."""
    for name in ("illumination_na", "source_na"):
        if name in acquisition:
            return float(np.sqrt((acquisition[name] ** 2).sum(axis=-1)).max())
    return 0.0


def resolution_of(microscope: Microscope, light: float, turning: bool) -> tuple[float, float, float]:
    """Compute the finest detail (z, y, x) [m].

    Laterally it is the period of the highest frequency that light and objective transfer. Axially it is the inverse of
    the extent of the transferred frequencies of one wave, which lie on both sides of zero.

    Args:
        microscope: The instrument.
        light: Largest aperture of the light; beyond the objective's it makes dark fields, which resolve more.
        turning: Whether the specimen turns, so that axial details are as fine as lateral ones.
    """
    n, objective = microscope.medium_index, microscope.numerical_aperture
    lateral = microscope.wavelength / (objective + light)
    sag = 2 * n - float(np.sqrt(n**2 - objective**2)) - float(np.sqrt(n**2 - light**2))
    axial = lateral if turning else max(lateral, microscope.wavelength / sag)
    return axial, lateral, lateral


def views_in_step(settings: CellSettings, acquisition: Acquisition) -> int:
    """Choose the number of views in a step of the fit."""
    if settings.fit.batch != "auto":
        return settings.fit.batch
    several = "pattern" in acquisition and acquisition["pattern"].shape[1] > 1
    if several or "rotation" in acquisition:
        return FEWEST_IN_STEP
    return min(max(len(measured_views(acquisition)) // 3, FEWEST_IN_STEP), MOST_IN_STEP)


def geometry_of(settings: CellSettings, acquisition: Acquisition) -> Geometry:
    """Choose the lattices of a fit.

    Raises:
        ConfigError: If the depth is missing, or a spacing does not divide the pixel.
    """
    microscope = microscope_of(acquisition)
    measured = measured_views(acquisition)
    light = largest_na(acquisition)
    turning = "rotation" in acquisition
    resolution = resolution_of(microscope, light, turning)
    pitch, binning = _pitch(settings, microscope, light, resolution, turning)
    depth = _depth(settings, acquisition)
    height, width = measured.shape[1:]
    lateral = []
    for n, pixel, size in zip((height, width), microscope.pixel_size, _size(settings), strict=True):
        lateral.append(binning * (n if size is None else max(1, round(size / pixel))))
    slices = max(1, round(depth / pitch[0]))
    if settings.volume.spacing == "auto" and not turning:
        slices = _odd_slices(depth, pitch[0])
        pitch = (depth / slices, *pitch[1:])
    lattice = Lattice(
        (slices, lateral[0], lateral[1]),
        pitch,
        microscope.wavelength,
        microscope.medium_index,
        settings.volume.centre_z,
        binning,
    )
    if turning:
        widest = max(lattice.shape)
        lattice = replace(lattice, shape=(widest, widest, widest))
    padding = settings.physics.padding
    margin = _padding(lattice, microscope, light) if padding == "auto" else padding
    image = (min(height, lattice.shape[1] // binning), min(width, lattice.shape[2] // binning))
    return Geometry(lattice, lattice.pad(margin), image, resolution)


def depth_doubts(settings: CellSettings, acquisition: Acquisition) -> list[str]:
    """Doubt a depth that was perhaps meant in another unit: many times the field of view, or far below a wavelength."""
    depth, scope = settings.volume.depth, microscope_of(acquisition)
    if depth is None:
        return []
    images = measured_views(acquisition).shape[1:]
    field = max(n * pixel for n, pixel in zip(images, scope.pixel_size, strict=True))
    if depth > DEEPEST * field:
        reason, meant = f"{depth / field:.0f} times the width of the images ({format_value(field, 'm')})", depth / 1000
    elif depth < FLATTEST * scope.wavelength:
        reason, meant = f"{depth / scope.wavelength:.2g} wavelengths of the light", depth * 1000
    else:
        return []
    given, other = (quantity(float(f"{length:.6g}")) for length in (depth, meant))
    text = f"the box is {given} deep, {reason}; if another unit was meant: --set volume.depth='{other}'"
    return [f"volume.depth: {text}"]


def geometry_of_part(
    settings: CellSettings, acquisition: Acquisition, whole: Geometry, image: tuple[int, int]
) -> Geometry:
    """Choose the lattices of a part of the images of a number of pixels (y, x), with the samples of the whole."""
    height, width = (n * whole.lattice.binning for n in image)
    lattice = replace(whole.lattice, shape=(whole.lattice.shape[0], height, width))
    padding = settings.physics.padding
    margin = _padding(lattice, microscope_of(acquisition), largest_na(acquisition)) if padding == "auto" else padding
    return replace(whole, lattice=lattice, padded=lattice.pad(margin), image=image)


def _padding(lattice: Lattice, microscope: Microscope, light: float) -> float:
    """Choose the lateral padding [m]: for the steepest wave, and in small fields for the rim of the pupil."""
    sine = max(light, microscope.numerical_aperture) / microscope.medium_index
    width = min(n * d for n, d in zip(lattice.shape[1:], lattice.pitch[1:], strict=True))
    for_rim = min(PUPIL_SAMPLES * microscope.wavelength / microscope.numerical_aperture - width, width)
    return max(lateral_padding(lattice.thickness, sine), for_rim)


def _depth(settings: CellSettings, acquisition: Acquisition) -> float:
    if settings.volume.depth is not None:
        return settings.volume.depth
    if acquisition.truth is not None:
        return acquisition.truth.shape[0] * acquisition.truth.spacing[0]
    raise ConfigError(MISSING_DEPTH)


def _size(settings: CellSettings) -> tuple[float | None, float | None]:
    size = settings.volume.size
    return (None, None) if size == "auto" else (size[0], size[1])


def _pitch(
    settings: CellSettings,
    microscope: Microscope,
    light: float,
    resolution: tuple[float, float, float],
    turning: bool,
) -> tuple[tuple[float, float, float], int]:
    """Choose the spacing (z, y, x) [m], and the number of lattice samples to a pixel."""
    pixel = microscope.pixel_size
    spacing = settings.volume.spacing
    cycle = microscope.wavelength / microscope.medium_index
    if turning and abs(pixel[0] / pixel[1] - 1) > 1e-3:
        raise ConfigError(Diagnostic("acquisition.pixel_size", f"{pixel} m: a turning specimen needs square pixels"))
    ssnp = settings.physics.model == "ssnp"
    if spacing == "auto":
        finest, coarsest = min(pixel), max(min(pixel), COARSEST_SLICE * cycle)
        axial = pixel[1] if turning else float(np.clip(resolution[0] / SLICES_PER_DETAIL, finest, coarsest))
        if ssnp and not turning:
            axial = min(axial, SSNP_SLICE * cycle)
        binning = _dark_field_binning(microscope, light)
        return _require_thin_slices((axial, pixel[0] / binning, pixel[1] / binning), cycle, ssnp), binning
    z, y, x = (spacing,) * 3 if isinstance(spacing, float) else spacing
    factors = [p / s for p, s in zip(pixel, (y, x), strict=True)]
    binning = max(1, round(factors[0]))
    if any(abs(f / binning - 1) > 0.01 for f in factors):
        lateral = " or ".join(f"{pixel[1] / k * 1e9:.6g} nm" for k in (1, 2, 3))
        raise ConfigError(
            Diagnostic(
                "volume.spacing",
                f"{y * 1e9:.4g} × {x * 1e9:.4g} nm laterally does not divide the pixel of {pixel[1] * 1e9:.4g} nm",
                f"use {lateral}, or [z, y, x] with those laterally; the model can be sampled at any spacing afterwards",
            )
        )
    if turning and abs(z / y - 1) > 1e-3:
        raise ConfigError(Diagnostic("volume.spacing", "a turning specimen needs the same spacing on all axes"))
    return _require_thin_slices((z, pixel[0] / binning, pixel[1] / binning), cycle, ssnp), binning


def _dark_field_binning(microscope: Microscope, light: float) -> int:
    """Count the samples to a pixel that hold the waves of dark fields, whose carrier lies outside the aperture.

    In bright fields the pixel of the camera, which resolves what the objective transfers, holds them.
    """
    if light <= microscope.numerical_aperture * (1 + RIM_TOLERANCE):
        return 1
    finest = microscope.wavelength / (2 * (microscope.numerical_aperture + light))
    return max(1, int(np.ceil(max(microscope.pixel_size) / finest - SAMPLING_TOLERANCE)))


def _odd_slices(depth: float, thickest: float) -> int:
    """Count slices that fill a depth, one of them in its middle; they may be thicker by the tolerance."""
    fewest = depth / (thickest * (1 + SAMPLING_TOLERANCE))
    return 2 * max(0, int(np.ceil((fewest - 1) / 2))) + 1


def _require_thin_slices(pitch: tuple[float, float, float], cycle: float, ssnp: bool) -> tuple[float, float, float]:
    """Refuse slices so thick that SSNP would reflect light between them."""
    if ssnp and pitch[0] > SSNP_LIMIT * cycle:
        raise ConfigError(
            Diagnostic(
                "volume.spacing",
                f"slices of {pitch[0] * 1e9:.4g} nm are too thick for physics.model=ssnp",
                f"at most {at_most(SSNP_LIMIT * cycle * 1e9)} nm along z, or physics.model=multislice",
            )
        )
    return pitch
