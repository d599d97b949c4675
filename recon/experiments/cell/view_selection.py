"""Views that the physics cannot use, and views that look different from what their light should give.

A source near the rim of the pupil may be cut off, wholly or in part, by a small error of its position or of the
aperture. Its image is then a dark field, or half of one; a model that takes it for a bright field is wrong everywhere
in it. The reverse, a bright image of light outside the aperture, is as wrong. Both are recognised by the background.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from ...acquisition import Acquisition
from .preprocess import brightness_of, estimate_background_levels
from .schema import PATHS, SCHEMA

logger = logging.getLogger(__name__)

VIGNETTING_RIM = 0.9
"""Fraction of the aperture beyond which a source may be cut off."""
VIGNETTING_LEVEL = 0.75
"""Fraction of the usual brightness below which it is taken as cut off.

A flat array of LEDs itself falls off to about 0.87 at NA 0.25."""
BRIGHT_LEVEL = 0.3
"""Fraction of the bright fields' background above which a view is no dark field."""
DARK_LEVEL = 0.01
"""Fraction of the bright fields' background that the darkest pixels of a dark field may have."""
_DARK_PERCENTILE = 5


def find_vignetted_views(acquisition: Acquisition) -> Int[np.ndarray, " view"]:
    """Find views near the rim that are darker than the others; none where brightness is not comparable."""
    return _compare_levels(acquisition)[0]


def drop_unlike_views(acquisition: Acquisition) -> Acquisition:
    """Omit vignetted views, and bright views of light outside the aperture, with a warning."""
    vignetted, bright = _compare_levels(acquisition)
    if vignetted.size:
        logger.warning(
            "%d view(s) left out: the light is at the rim of the aperture and the background dark, so that the "
            "objective must have cut them off: %s (acquisition.vignetted: keep retains them)",
            vignetted.size,
            list_numbers(vignetted),
        )
    if bright.size:
        logger.warning(
            "%d view(s) left out: the light lies outside the aperture %g, and yet the background is as bright as in a "
            "bright field: %s; check aperture and light, or give acquisition.exposure where dark fields were exposed "
            "longer (acquisition.vignetted: keep retains them)",
            bright.size,
            float(acquisition["numerical_aperture"]),
            list_numbers(bright),
        )
    return omit_views(acquisition, np.concatenate([vignetted, bright]))


def drop_dark_fields(acquisition: Acquisition, reason: str) -> Acquisition:
    """Omit dark fields, with a warning.

    Args:
        acquisition: Acquisition with the light of each view.
        reason: Why they cannot be used.
    """
    dark = np.flatnonzero(brightness_of(acquisition)[0] == 0)
    if dark.size in (0, len(acquisition["images"])):
        return acquisition
    logger.warning("%d dark field(s) left out: %s: %s", dark.size, reason, list_numbers(dark))
    return omit_views(acquisition, dark)


def omit_views(acquisition: Acquisition, omitted: Int[np.ndarray, " view"]) -> Acquisition:
    """Leave views out of every array that has one entry a view."""
    if not omitted.size:
        return acquisition
    per_view = {entry.name for entry in SCHEMA if any(axes[:1] == ("view",) for axes in entry.axes)}
    views = len(acquisition["images"])
    retained = np.setdiff1d(np.arange(views), omitted)
    arrays = {
        name: array[retained] if name in per_view and array.ndim and len(array) == views else array
        for name, array in acquisition.arrays.items()
    }
    if "mask" in arrays and acquisition["mask"].ndim == 2:
        arrays["mask"] = acquisition["mask"]
    return replace(acquisition, arrays=arrays)


def dark_field_warnings(acquisition: Acquisition) -> list[str]:
    """Describe the dark fields, and light in them that must come from elsewhere than the specimen."""
    if "images" not in acquisition:
        return []
    transmitted = brightness_of(acquisition)[0]
    dark = np.flatnonzero(transmitted == 0)
    if not dark.size or dark.size == len(transmitted):
        return []
    place = acquisition.place("images", PATHS)
    level = float(np.median(_bright_levels(acquisition, transmitted)))
    lowest = [float(np.percentile(acquisition["images"][view], _DARK_PERCENTILE)) for view in dark]
    least = float(np.median(lowest))
    if "background" in acquisition or least <= DARK_LEVEL * level:
        return []
    return [
        f"{place}: the darkest pixels of the {dark.size} dark fields hold {least:.4g}, {100 * least / level:.2g} % of "
        "the bright fields' background: that is the dark level of the camera, or stray light, and passes for light of "
        f"the specimen; give the dark level as acquisition.dark, e.g. {least:.4g}"
    ]


def list_numbers(numbers: Sequence[int] | Int[np.ndarray, " n"], most: int = 8) -> str:
    """List numbers for a message, the first few of many."""
    return ", ".join(map(str, numbers[:most])) + (", …" if len(numbers) > most else "")


def _bright_levels(acquisition: Acquisition, transmitted: Float[np.ndarray, " view"]) -> Float[np.ndarray, " bright"]:
    """Estimate the background of the bright fields."""
    bright = np.flatnonzero(transmitted > 0)
    part = omit_views(acquisition, np.flatnonzero(transmitted == 0))
    levels = estimate_background_levels(part["images"], part)[:, 0, 0]
    return np.asarray(levels / transmitted[bright], np.float64)


def _compare_levels(acquisition: Acquisition) -> tuple[Int[np.ndarray, " vignetted"], Int[np.ndarray, " bright"]]:
    """Find views inside the aperture that are too dark, and views outside it that are too bright."""
    none = np.zeros(0, int)
    if "images" not in acquisition or "illumination_na" not in acquisition or "background" in acquisition:
        return none, none
    relative_na = np.hypot(*acquisition["illumination_na"].T) / float(acquisition["numerical_aperture"])
    inner, within = relative_na <= VIGNETTING_RIM, brightness_of(acquisition)[0] > 0
    if inner.sum() < 3 or inner.all():
        return none, none
    levels = estimate_background_levels(acquisition["images"], acquisition)[:, 0, 0]
    usual = np.median(levels[inner])
    vignetted = np.flatnonzero(~inner & within & (levels < VIGNETTING_LEVEL * usual))
    return vignetted, np.flatnonzero(~within & (levels > BRIGHT_LEVEL * usual))
