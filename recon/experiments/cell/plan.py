"""Plan of a cell's measurement: resolution, missing cone, oversampling, photons, and the most useful further view.

``docs/explanation/planning.md`` derives the formulas. Axes ``z y x``, SI; without jax.
"""

import math

import numpy as np

from ...acquisition import Acquisition
from ...metrics.ewald_caps import FrequencyBall, count_caps, count_caps_at
from ...metrics.frequency_points import band_points, band_share
from ..plan import Plan, PlanNumber, PlanSection
from .caps import axial_resolution, caps_of, finest_periods
from .coarse_structure import determined_phase, least_coarse_period
from .config import CellSettings
from .estimate import estimate
from .geometry import Geometry, geometry_of
from .linear_posterior import (
    ENOUGH,
    INDEX_CONTRAST,
    MANY_PHOTONS,
    NOTHING,
    InformationSpectrum,
    LinearPosterior,
    relative_error,
)
from .plan_gains import WHITE_ERROR, SeenPart, gains_of, gains_of_spread
from .plan_pictures import pictures_of
from .planned_light import PlannedLight, coarsest_pixel, cone_angle, largest_gap, photons_of
from .planned_views import origin, planned_acquisition
from .schema import measured_views
from .verdict import DEPTH_RESOLVED, PHASE_DETERMINED

WIDE_GAP = np.radians(45)
"""[rad] Gap between the angles of a turn from which the wedge that it leaves is warned of."""
_PRIOR = "relative to its strength"


def plan(settings: CellSettings, acquisition: Acquisition | None) -> Plan:
    """Plan a measurement.

    Args:
        settings: The config.
        acquisition: A measurement whose geometry is planned; None for that of the config.

    Raises:
        ConfigError: If the depth is missing, or the config leaves a part of the geometry to a file.
    """
    measured = planned_acquisition(settings) if acquisition is None else acquisition
    if settings.volume.depth is None and acquisition is None:
        volume = settings.volume.model_copy(update={"depth": settings.simulate.depth})
        settings = settings.model_copy(update={"volume": volume})
    geometry = geometry_of(settings, measured)
    photons = (settings.simulate.photons or MANY_PHOTONS) if acquisition is None else photons_of(measured)
    light = PlannedLight(measured, geometry.lattice.thickness, photons)
    ball, caps = FrequencyBall.of(light.aperture, light.depth), caps_of(measured)
    seen = SeenPart.of(light.aperture, light.depth, caps)
    sections = [_resolution(light, geometry), _coverage(light, seen)]
    gains, doubts = gains_of(light, seen), _warnings(light) + _doubts_about_mass(light)
    if light.is_linear:
        posterior = LinearPosterior(light.microscope, light.depth, light.aperture)
        spectrum = posterior.spectrum(light.illumination)
        sections.append(_spread_of_index(light, posterior, spectrum))
        gains = gains_of_spread(light, posterior, spectrum) + gains
        doubts += _doubts_about_spread(light, spectrum.determined(posterior.gain(MANY_PHOTONS)))
    return Plan(
        "cell",
        f"geometry of the config: {origin(settings)}" if acquisition is None else f"geometry of {acquisition.source}",
        tuple(sections),
        tuple(gains),
        tuple(_assumptions(light)),
        tuple(doubts),
        tuple(pictures_of(light, ball, count_caps(ball, light.aperture, caps))),
        estimate(settings, measured),
    )


def _resolution(light: PlannedLight, geometry: Geometry) -> PlanSection:
    """Finest details, and the pixels and the box that hold them."""
    axial, (period, *lateral) = axial_resolution(light.acquisition), finest_periods(light.acquisition)
    pixel = light.microscope.pixel_size
    numbers = [
        PlanNumber(
            "resolution",
            "finest detail",
            (axial, *lateral),
            "m",
            "z y x",
            "y, x: least period; z: 1/extent of the spectrum",
        ),
        PlanNumber("oversampling", "oversampling by the pixel", _oversampling(light), "1", "y x"),
        PlanNumber("field_of_view", "field of view", _field(geometry, pixel), "m", "y x"),
        PlanNumber("depth_resolved", "depth of the box, in details", light.depth / axial, "1"),
    ]
    if not light.turns:
        numbers.insert(1, PlanNumber("axial_period", "finest period along z", period, "m"))
    return PlanSection("resolution", tuple(numbers))


def _oversampling(light: PlannedLight) -> tuple[float, float]:
    """Largest pixel that holds what the camera sees over the pixel, along y and x."""
    limits, pixel = coarsest_pixel(light), light.microscope.pixel_size
    return limits[0] / pixel[0], limits[1] / pixel[1]


def _field(geometry: Geometry, pixel: tuple[float, float]) -> tuple[float, float]:
    height, width = geometry.image
    return height * pixel[0], width * pixel[1]


def _coverage(light: PlannedLight, part: SeenPart) -> PlanSection:
    """Missing cone or wedge, and the part of the ball that the views show."""
    seen = PlanNumber("seen", "part of the ball seen by these views", part.share, "%")
    if light.turns:
        gap = PlanNumber("largest_gap", "largest gap between the turns, of 180 deg", largest_gap(light), "rad")
        return PlanSection("Fourier space: the ball up to the lateral cut-off", (seen, gap))
    band = band_points(light.aperture)
    shown = count_caps_at(band, part.tolerance, light.aperture, part.caps) > 0
    filled = float(shown.mean()) if len(band) else math.nan
    numbers = [
        PlanNumber("missing_cone", "part of the ball in the missing cone", 1 - band_share(light.aperture), "%"),
        PlanNumber("missing_cone_angle", "half angle of the cone about kz", cone_angle(light), "rad"),
        seen,
        PlanNumber("filled", "of the part outside the cone, seen", filled, "%"),
    ]
    if light.is_linear:
        title = f"phase delay of structure above {_coarse_period(light)}, determined"
        numbers.append(PlanNumber("phase_determined", title, _phase_determined(light), "%"))
    return PlanSection("Fourier space: the ball up to the lateral cut-off", tuple(numbers))


def _phase_determined(light: PlannedLight) -> float:
    return determined_phase(light.microscope, light.illumination, light.depth)


def _coarse_period(light: PlannedLight) -> str:
    return f"{least_coarse_period(light.microscope) * 1e6:.2g} um"


def _spread_of_index(light: PlannedLight, posterior: LinearPosterior, spectrum: InformationSpectrum) -> PlanSection:
    """Error of the index that counting noise and unseen frequencies leave."""
    needed = posterior.photons_needed(spectrum)
    note = "no number suffices" if math.isnan(needed) else ""
    numbers = [PlanNumber("photons_needed", "photons a pixel and view that suffice", needed, "photons", note=note)]
    if light.photons is not None:
        least, best = (spectrum.determined(posterior.gain(n)) for n in (light.photons, MANY_PHOTONS))
        numbers = [
            PlanNumber("photons", "photons of an empty pixel in a view", light.photons, "photons"),
            PlanNumber("determined", "part of the band that they determine", least, "%"),
            PlanNumber("relative_error", WHITE_ERROR, relative_error(least), "%", note=_PRIOR),
            PlanNumber("relative_error_noiseless", "the same, without noise", relative_error(best), "%", note=_PRIOR),
            *numbers,
        ]
    return PlanSection("counts, and spread of white structure in the band outside the missing cone", tuple(numbers))


def _assumptions(light: PlannedLight) -> list[str]:
    """State the assumptions of the numbers."""
    sentences = ["single scattering, and no absorption: each direction shows a cap of the Ewald sphere and its inverse"]
    if light.is_linear:
        sentences += [
            f"spread: linear theory, and an index of standard deviation {INDEX_CONTRAST:g} that is equally strong at "
            "all frequencies of the ball (white); errors are relative to it, in the band outside the missing cone",
            "they rank measurements and forecast no fit: a cell is strongest at low frequencies, and a fit has priors",
            f"photons suffice that determine {100 * ENOUGH:.0f} % of what {MANY_PHOTONS:.0e} determine",
        ]
    elif light.turns:
        sentences.append("no spread is given for a specimen that turns")
    else:
        sentences.append("no spread is given for complex fields, whose noise the file does not tell")
    return sentences


def _warnings(light: PlannedLight) -> list[str]:
    """List doubts about resolution and sampling."""
    warnings = []
    m, axial = light.microscope, axial_resolution(light.acquisition)
    if light.depth < DEPTH_RESOLVED * axial:
        warnings.append(
            f"the box of {light.depth * 1e6:.3g} um is hardly deeper than the axial resolution of "
            f"{axial * 1e6:.3g} um: the depth is not resolved (verdict depth-unresolved); use steeper light or a "
            "larger aperture"
        )
    if light.turns and largest_gap(light) > WIDE_GAP:
        warnings.append(
            f"the turns leave a gap of {np.degrees(largest_gap(light)):.0f} of 180 deg, a missing wedge: faces within "
            f"it are not seen, and the finest period along z is {axial * 1e6:.3g} um; turn over half a turn"
        )
    limits = coarsest_pixel(light)
    if max(p / limit for p, limit in zip(m.pixel_size, limits, strict=True)) > 1.05:
        warnings.append(
            f"a pixel of {max(m.pixel_size) * 1e9:.0f} nm is larger than the {min(limits) * 1e9:.0f} nm that hold the "
            "finest detail of an image: images alias; use a higher magnification or less binning"
        )
    views = len(measured_views(light.acquisition))
    if views < 4 and not light.turns:
        warnings.append(f"{views} view{'s' if views > 1 else ''} cannot tell the depth of what they show")
    return warnings


def _doubts_about_mass(light: PlannedLight) -> list[str]:
    """Name light that hardly shows the coarse structure on which a dry mass rests."""
    if not light.is_linear or not (share := _phase_determined(light)) < PHASE_DETERMINED:
        return []
    return [
        f"the views determine {100 * share:.0f} % of the phase delay of structure above {_coarse_period(light)}: dry "
        "mass, mean index and volume will not be determined (verdict mass-undetermined); use light close to the rim of "
        "the objective's pupil, more directions, or several planes of focus"
    ]


def _doubts_about_spread(light: PlannedLight, many: float) -> list[str]:
    """List doubts about the light of images at rest, of which many photons determine a share of the band."""
    warnings = []
    dark = ~light.illumination.transmitted(light.microscope.numerical_aperture).astype(bool)
    if dark.any():
        warnings.append(f"{int(dark.sum())} dark fields: linear theory, and the spread here, leave them out")
    if many < NOTHING:
        warnings.append(
            "no number of photons determines the index by linear theory: in focus along the axis a thin phase object "
            "is invisible, and dark fields have no linear signal; take several planes of focus, or tilted bright fields"
        )
    return warnings
