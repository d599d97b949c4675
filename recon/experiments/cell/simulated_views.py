"""Views and instrument that the ``simulate:`` section of a cell's config describes, without jax."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ....physics.optics.microscope import Illumination, Microscope
from ....physics.optics.patterns import PATTERNS
from ...config.value_types import Views, view_indices
from .config_simulation import CellSimulation


@dataclass(frozen=True)
class SimulatedViews:
    """Conditions of each view.

    Args:
        directions: Apertures (y, x) of all sources.
        pattern: Brightness of each source in each view.
        defocus: [m] Plane of focus of each view.
        angles: [rad] Rotation of the specimen in each view; None if it is at rest.
    """

    directions: Float[np.ndarray, "source 2"]
    pattern: Float[np.ndarray, "view source"]
    defocus: Float[np.ndarray, " view"]
    angles: Float[np.ndarray, " view"] | None

    def select(self, views: Views) -> "SimulatedViews":
        """Select the views that are measured.

        Raises:
            ValueError: If there are none.
        """
        chosen = view_indices(views, len(self.defocus))
        angles = None if self.angles is None else self.angles[chosen]
        return SimulatedViews(self.directions, self.pattern[chosen], self.defocus[chosen], angles)

    def transmitted(self, config: CellSimulation) -> Float[np.ndarray, " view"]:
        """Compute the brightness of each view without a specimen; 0 in a dark field."""
        return self.illumination(slice(None)).transmitted(config.numerical_aperture)

    def exposure(self, config: CellSimulation) -> Float[np.ndarray, " view"]:
        """Return the exposure of each view: dark fields may be exposed longer than bright ones."""
        return np.where(self.transmitted(config) > 0, 1.0, config.dark_field_exposure)

    def illumination(self, views: slice) -> Illumination:
        """Build the illumination of some of the views, without the sources that are dark in them."""
        pattern = self.pattern[views]
        most = int((pattern > 0).sum(axis=1).max())
        lit = np.argsort(-pattern, axis=1, kind="stable")[:, :most]
        return Illumination(self.directions[lit], np.take_along_axis(pattern, lit, axis=1), self.defocus[views])


def simulated_views(config: CellSimulation, rng: np.random.Generator) -> SimulatedViews:
    """List the views: at each angle of the specimen each plane of focus, and in each of them all directions."""
    light = config.illumination
    directions = PATTERNS[light.pattern](light.count, light.na)
    one = np.eye(light.count)
    if light.sources > 1:
        # Each view has its own direction and random others, so that every direction is used.
        for row in one:
            others = rng.permutation(np.flatnonzero(row == 0))[: light.sources - 1]
            row[others] = 1
    turns = config.turn.count if config.turn else 1
    defocus = np.tile(np.repeat(config.defocus, light.count), turns)
    pattern = np.tile(one, (turns * len(config.defocus), 1))
    angles = None
    if config.turn:
        angles = np.repeat(np.arange(turns) * config.turn.range / turns, light.count * len(config.defocus))
    views = SimulatedViews(directions, pattern, defocus, angles)
    return views if config.series is None else views.select(config.series.views)


def instrument_arrays(
    microscope: Microscope, views: SimulatedViews, rotations: Float[np.ndarray, "view 3 3"] | None
) -> dict[str, np.ndarray]:
    """Collect the instrument's arrays by the names of the schema."""
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
