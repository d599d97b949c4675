"""Caps of the Ewald sphere that the views of a cell show, and the resolution that follows from them. Without jax."""

import numpy as np
from jaxtyping import Int

from ...acquisition import Acquisition
from ...metrics.ewald_caps import Cap, highest_frequencies
from ...metrics.missing_cone import Aperture
from .geometry import largest_na, resolution_of
from .illumination import illumination_of, microscope_of

_MOST_SOURCES = 2000
"""Largest number of caps that are counted, spread over all; more are not told apart by the samples of the ball."""


def aperture_of(acquisition: Acquisition) -> Aperture:
    """Collect the largest apertures of light and objective."""
    m = microscope_of(acquisition)
    return Aperture(m.wavelength, m.medium_index, largest_na(acquisition), m.numerical_aperture)


def caps_of(acquisition: Acquisition) -> list[Cap]:
    """List the caps of all sources of all views, equal ones once."""
    light = illumination_of(acquisition)
    rotations = acquisition.arrays.get("rotation")
    views, sources = np.nonzero(light.weights > 0)
    keys = np.round(light.na[views, sources], 6)
    if rotations is None:
        keys = np.unique(keys, axis=0)
        chosen = keys[_evenly_spread(len(keys))]
        return [Cap((float(y), float(x))) for y, x in chosen]
    order = _evenly_spread(len(views))
    return [Cap((float(keys[i, 0]), float(keys[i, 1])), rotations[views[i]]) for i in order]


def finest_periods(acquisition: Acquisition) -> tuple[float, float, float]:
    """[m] Compute the period of the highest frequency along z, y and x that the views show."""
    z, y, x = highest_frequencies(aperture_of(acquisition), caps_of(acquisition))
    return 1 / z, 1 / y, 1 / x


def axial_resolution(acquisition: Acquisition) -> float:
    """[m] Compute the axial resolution that a fit states.

    At rest it is the inverse width of the band of axial frequencies; of a turning specimen the finest period along z
    that its angles show.
    """
    if "rotation" in acquisition:
        return finest_periods(acquisition)[0]
    return resolution_of(microscope_of(acquisition), largest_na(acquisition), False)[0]


def _evenly_spread(count: int) -> Int[np.ndarray, " n"]:
    """Indices of all of a number, or of as many as are counted, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_SOURCES)).round().astype(np.int64))
