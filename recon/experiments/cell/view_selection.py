"""Views that the physics cannot use, and views that look different from what their light should give.

A source near the rim of the pupil may be cut off, wholly or in part, by a small error of its position or of the
aperture. Its image is then a dark field, or half of one; a model that takes it for a bright field is wrong everywhere
in it. The reverse, a bright image of light outside the aperture, is as wrong. Both are recognised by the background.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from ...acquisition import Acquisition
from .preprocess import brightness_of, estimate_background_levels
from .schema import PATHS, arrays_by_view

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
Levels: TypeAlias = Float[np.ndarray, " view"]
"""Brightness of each view away from the specimen."""


def background_levels(acquisition: Acquisition) -> Levels | None:
    """Estimate the background of each view; None where it tells nothing: all light comes through the pupil.

    That of a scan with images of the background tells nothing either.
    """
    if "images" not in acquisition or "background" in acquisition:
        return None
    is_near_rim = "illumination_na" in acquisition and (_relative_na(acquisition) > VIGNETTING_RIM).any()
    if not is_near_rim and brightness_of(acquisition)[0].all():
        return None
    return np.asarray(estimate_background_levels(acquisition)[:, 0, 0], np.float64)


def drop_unlike_views(
    acquisition: Acquisition, levels: Levels | None
) -> tuple[Acquisition, Float[np.ndarray, " remaining"] | None]:
    """Omit vignetted views, and bright views of light outside the aperture, with a warning.

    Args:
        acquisition: Acquisition with the light of each view.
        levels: Background of each view by `background_levels`.

    Returns:
        The views that remain, and their background.
    """
    if levels is None or "illumination_na" not in acquisition:
        return acquisition, levels
    vignetted, bright = _unlike_views(acquisition, levels)
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
    omitted = np.concatenate([vignetted, bright])
    return omit_views(acquisition, omitted), np.delete(levels, omitted)


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
    remaining = {name: np.delete(array, omitted, axis=0) for name, array in arrays_by_view(acquisition).items()}
    return replace(acquisition, arrays={**acquisition.arrays, **remaining})


def dark_field_warnings(acquisition: Acquisition, levels: Levels | None) -> list[str]:
    """Describe light in dark fields that must come from elsewhere than the specimen.

    Args:
        acquisition: Acquisition with the light of each view.
        levels: Background of each view by `background_levels`.
    """
    transmitted = brightness_of(acquisition)[0]
    dark, bright = np.flatnonzero(transmitted == 0), np.flatnonzero(transmitted > 0)
    if levels is None or not dark.size or not bright.size:
        return []
    level = float(np.median(levels[bright] / transmitted[bright]))
    lowest = [float(np.percentile(acquisition["images"][view], _DARK_PERCENTILE)) for view in dark]
    least = float(np.median(lowest))
    if least <= DARK_LEVEL * level:
        return []
    return [
        f"{acquisition.place('images', PATHS)}: the darkest pixels of the {dark.size} dark fields hold {least:.4g}, "
        f"{100 * least / level:.3g} % of the bright fields' background: that is the dark level of the camera, or stray "
        f"light, and passes for light of the specimen; give the dark level as acquisition.dark, e.g. {least:.4g}"
    ]


def list_numbers(numbers: Sequence[int] | Int[np.ndarray, " n"], most: int = 8) -> str:
    """List numbers for a message, the first few of many."""
    return ", ".join(map(str, numbers[:most])) + (", …" if len(numbers) > most else "")


def _relative_na(acquisition: Acquisition) -> Float[np.ndarray, " view"]:
    """Aperture of each view's light, relative to that of the objective."""
    return np.asarray(np.hypot(*acquisition["illumination_na"].T) / float(acquisition["numerical_aperture"]))


def _unlike_views(
    acquisition: Acquisition, levels: Levels
) -> tuple[Int[np.ndarray, " vignetted"], Int[np.ndarray, " bright"]]:
    """Find views inside the aperture that are too dark, and views outside it that are too bright."""
    inner, within = _relative_na(acquisition) <= VIGNETTING_RIM, brightness_of(acquisition)[0] > 0
    if inner.sum() < 3:
        return np.zeros(0, int), np.zeros(0, int)
    usual = np.median(levels[inner])
    vignetted = np.flatnonzero(~inner & within & (levels < VIGNETTING_LEVEL * usual))
    return vignetted, np.flatnonzero(~within & (levels > BRIGHT_LEVEL * usual))
