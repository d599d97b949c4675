"""Views whose light does not reach the camera, though by its numbers it should.

A source near the rim of the pupil may be cut off, wholly or in part, by a small error of its place or of the aperture.
Its image is then a dark field, or half of one; a model that takes it for a bright field is wrong everywhere in it. Such
views give themselves away: their background is much darker than that of the others.
"""

import logging
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from ...acquisition.acquisition import Acquisition
from .normalise import background_levels
from .schema import SCHEMA

logger = logging.getLogger(__name__)

RIM = 0.9
"""Share of the aperture beyond which a source may be cut off."""
DARK = 0.75
"""Share of the usual brightness below which it was. A flat array of LEDs itself falls off to about 0.87 at NA 0.25."""


def vignetted_views(acquisition: Acquisition) -> Int[np.ndarray, " view"]:
    """Find the views that are darker than their light allows; none where brightness is not comparable."""
    if "images" not in acquisition or "illumination_na" not in acquisition or "background" in acquisition:
        return np.zeros(0, int)
    share = np.hypot(*acquisition["illumination_na"].T) / float(acquisition["numerical_aperture"])
    inner = share <= RIM
    if inner.sum() < 3:
        return np.zeros(0, int)
    levels = background_levels(acquisition["images"], acquisition)[:, 0, 0]
    return np.flatnonzero(~inner & (share <= 1) & (levels < DARK * np.median(levels[inner])))


def without_vignetted(acquisition: Acquisition) -> Acquisition:
    """Leave vignetted views out, and say so."""
    dark = vignetted_views(acquisition)
    if not dark.size:
        return acquisition
    logger.warning(
        "%d view(s) left out: the light is at the rim of the aperture and the background dark, so that the "
        "objective must have cut them off: %s (acquisition.vignetted: keep takes them)",
        dark.size,
        ", ".join(map(str, dark)),
    )
    per_view = {entry.name for entry in SCHEMA if any(axes[:1] == ("view",) for axes in entry.axes)}
    views = len(acquisition["images"])
    kept = np.setdiff1d(np.arange(views), dark)
    arrays = {
        name: array[kept] if name in per_view and array.ndim and len(array) == views else array
        for name, array in acquisition.arrays.items()
    }
    if "mask" in arrays and acquisition["mask"].ndim == 2:
        arrays["mask"] = acquisition["mask"]
    return replace(acquisition, arrays=arrays)
