"""Plan of a cell's measurement: resolution, missing cone, oversampling, photons, and the most useful further view.

``docs/explanation/planning.md`` derives the formulas. Axes ``z y x``, SI; without jax.
"""

import numpy as np
from jaxtyping import Int

from ...acquisition import Acquisition
from ...metrics.ewald_caps import FrequencyBall, count_caps
from ...metrics.missing_cone import visible_frequencies_at
from ..plan import Plan, PlanNumber, PlanSection
from .config import CellSettings
from .estimate import estimate
from .geometry import Geometry, geometry_of
from .linear_posterior import ENOUGH, INDEX_CONTRAST, MANY_PHOTONS, LinearPosterior, relative_error
from .plan_gains import gains_of
from .plan_pictures import pictures_of
from .planned_light import (
    PlannedLight,
    axial_period,
    axial_resolution,
    cone_angle,
    lateral_resolution,
    photons_of,
)
from .planned_views import origin, planned_acquisition
from .schema import measured_views
from .verdict import DEPTH_RESOLVED


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
    ball = FrequencyBall.of(light.aperture, light.depth)
    counts = count_caps(ball, light.aperture, light.caps())
    sections = [_resolution(light, geometry), _coverage(light, ball, counts)]
    posterior = LinearPosterior(light.microscope, light.depth, light.aperture)
    if light.is_linear:
        sections.append(_spread_of_index(light, posterior))
    return Plan(
        "cell",
        f"geometry of the config: {origin(settings)}" if acquisition is None else f"geometry of {acquisition.source}",
        tuple(sections),
        tuple(gains_of(light, ball, counts, posterior)),
        tuple(_assumptions(light)),
        tuple(_warnings(light, geometry, ball, counts)),
        tuple(pictures_of(light, ball, counts)),
        estimate(settings, measured),
    )


def _resolution(light: PlannedLight, geometry: Geometry) -> PlanSection:
    """Finest details, and the pixels and the box that hold them."""
    axial, lateral = axial_resolution(light), lateral_resolution(light)
    pixel = light.microscope.pixel_size
    numbers = [
        PlanNumber("resolution", "finest detail", (axial, *lateral), "m", "z y x", "as axial_resolution of a fit"),
        PlanNumber("oversampling", "oversampling by the pixel", _over(lateral, pixel), "1", "y x"),
        PlanNumber("field_of_view", "field of view", _field(geometry, pixel), "m", "y x"),
        PlanNumber("depth_resolved", "depth of the box, in details", light.depth / axial, "1"),
    ]
    if not light.turns:
        numbers.insert(1, PlanNumber("axial_period", "finest period along z", axial_period(light), "m"))
    return PlanSection("resolution", tuple(numbers))


def _over(lateral: tuple[float, float], pixel: tuple[float, float]) -> tuple[float, float]:
    """Largest pixel that holds the finest detail, half its period, over the pixel, along y and x."""
    return lateral[0] / (2 * pixel[0]), lateral[1] / (2 * pixel[1])


def _field(geometry: Geometry, pixel: tuple[float, float]) -> tuple[float, float]:
    height, width = geometry.image
    return height * pixel[0], width * pixel[1]


def _coverage(light: PlannedLight, ball: FrequencyBall, counts: Int[np.ndarray, "z y x"]) -> PlanSection:
    """Missing cone, and the part of the ball that the views show."""
    share = ball.share(counts > 0)
    seen = PlanNumber("seen", "part of the ball seen by these views", share, "%")
    if light.turns:
        return PlanSection("Fourier space: the ball up to the lateral cut-off", (seen,))
    band = visible_frequencies_at(ball.axes, light.aperture)
    filled = float(np.mean(counts[band] > 0)) if band.any() else 1.0
    numbers = (
        PlanNumber("missing_cone", "part of the ball in the missing cone", 1 - ball.share(band), "%"),
        PlanNumber("missing_cone_angle", "half angle of the cone about kz", cone_angle(light), "rad"),
        seen,
        PlanNumber("filled", "of the part outside the cone, seen", filled, "%"),
    )
    return PlanSection("Fourier space: the ball up to the lateral cut-off", numbers)


def _spread_of_index(light: PlannedLight, posterior: LinearPosterior) -> PlanSection:
    """Error of the index that counting noise and unseen frequencies leave."""
    spectrum = posterior.spectrum(light.illumination)
    needed = posterior.photons_needed(spectrum)
    numbers = [PlanNumber("photons_needed", "photons a pixel and view that suffice", needed, "photons")]
    if light.photons is not None:
        least, best = (spectrum.determined(posterior.gain(n)) for n in (light.photons, MANY_PHOTONS))
        numbers = [
            PlanNumber("photons", "photons of an empty pixel in a view", light.photons, "photons"),
            PlanNumber("determined", "part of the band that they determine", least, "%"),
            PlanNumber("relative_error", "error of the index in the band", relative_error(least), "%"),
            PlanNumber("relative_error_noiseless", "the same without noise", relative_error(best), "%"),
            *numbers,
        ]
    return PlanSection("counts and spread, in the band outside the missing cone", tuple(numbers))


def _assumptions(light: PlannedLight) -> list[str]:
    """State the assumptions of the numbers."""
    sentences = ["single scattering, and no absorption: each direction shows a cap of the Ewald sphere and its inverse"]
    if light.is_linear:
        sentences += [
            f"spread: linear theory, and an index of standard deviation {INDEX_CONTRAST:g} that is equally strong at "
            "all frequencies of the ball; errors are relative to it, in the band outside the missing cone",
            f"photons suffice that determine {100 * ENOUGH:.0f} % of what {MANY_PHOTONS:.0e} determine",
        ]
    elif light.turns:
        sentences.append("no spread is given for a specimen that turns")
    else:
        sentences.append("no spread is given for complex fields, whose noise the file does not tell")
    return sentences


def _warnings(
    light: PlannedLight, geometry: Geometry, ball: FrequencyBall, counts: Int[np.ndarray, "z y x"]
) -> list[str]:
    """List doubts about the measurement."""
    warnings = []
    m, axial = light.microscope, axial_resolution(light)
    if light.depth < DEPTH_RESOLVED * axial:
        warnings.append(
            f"the box of {light.depth * 1e6:.3g} um is hardly deeper than the axial resolution of "
            f"{axial * 1e6:.3g} um: the depth is not resolved (verdict depth-unresolved); use steeper light or a "
            "larger aperture"
        )
    limits = [r / 2 for r in lateral_resolution(light)]
    if max(p / limit for p, limit in zip(m.pixel_size, limits, strict=True)) > 1.05:
        warnings.append(
            f"a pixel of {max(m.pixel_size) * 1e9:.0f} nm is larger than the {min(limits) * 1e9:.0f} nm that hold the "
            "finest detail: images alias; use a higher magnification or less binning"
        )
    dark = ~light.illumination.transmitted(m.numerical_aperture).astype(bool)
    if dark.any() and light.is_linear:
        warnings.append(f"{int(dark.sum())} dark fields: linear theory, and the spread here, leave them out")
    views = len(measured_views(light.acquisition))
    if views < 4 and not light.turns:
        warnings.append(f"{views} view{'s' if views > 1 else ''} cannot tell the depth of what they show")
    return warnings
