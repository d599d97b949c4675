"""Normalisation of brightness, and views that the objective cut off.

A source near the rim of the pupil may be cut off, wholly or in part, by a small error of its position or of the
aperture. Its image is then a dark field, or half of one; a model that takes it for a bright field is wrong everywhere
in it. Such views are recognised by their background, which is much darker than that of the others.
"""

import logging
from dataclasses import replace

import numpy as np
from jaxtyping import Int, Num

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from .illumination import incident_wave
from .schema import SCHEMA

logger = logging.getLogger(__name__)


def normalise(acquisition: Acquisition, mode: str = "auto") -> Acquisition:
    """Divide the images, or the complex field, by the light without the specimen.

    Args:
        acquisition: Acquisition in counts. Its background, if used, is omitted from the result.
        mode: ``background`` divides by the image without the specimen, ``view_mean`` each view by its mean, ``none``
            changes nothing; ``auto`` takes the background if there is one, else an estimate of each view's: the peak of
            its histogram for images, the median of the border's field (phase included) for fields.

    Returns:
        The acquisition with a background of about 1; of a field, the incident wave.

    Raises:
        ConfigError: If the background is needed and missing.
    """
    if mode == "none":
        return acquisition
    name = "images" if "images" in acquisition else "field"
    images, arrays = acquisition[name], dict(acquisition.arrays)
    if mode == "background" and "background" not in acquisition:
        message = "there is no background to divide by"
        raise ConfigError(Diagnostic("acquisition.normalise", message, "name acquisition.background, or use auto"))
    if mode == "background" or (mode == "auto" and "background" in acquisition):
        light = _usable(arrays.pop("background"))
        # A background beside a complex field is its intensity.
        divided = images / (light if name == "images" else np.sqrt(light))
    elif mode == "view_mean":
        divided = images / _mean(np.abs(images), acquisition.arrays.get("mask"))
    else:
        divided = images / (
            _border(acquisition) if name == "field" else estimate_background_levels(images, acquisition)
        )
    return replace(acquisition, arrays={**arrays, name: divided.astype(images.dtype)})


def _usable(background: Num[np.ndarray, "*view y x"]) -> Num[np.ndarray, "*view y x"]:
    """Replace dead pixels of the background by its mean, lest they make infinite ones."""
    return np.where(background > 0, background, background[background > 0].mean())


def _mean(
    images: Num[np.ndarray, "view y x"], mask: Num[np.ndarray, "*some y x"] | None
) -> Num[np.ndarray, "view 1 1"]:
    good = np.ones(images.shape, bool) if mask is None else np.broadcast_to(mask == 0, images.shape)
    total = np.where(good, images, 0).sum(axis=(1, 2), keepdims=True)
    return np.asarray(total / np.maximum(good.sum(axis=(1, 2), keepdims=True), 1))


def estimate_background_levels(
    images: Num[np.ndarray, "view y x"], acquisition: Acquisition
) -> Num[np.ndarray, "view 1 1"]:
    """Estimate each view's brightness away from the specimen.

    A specimen makes pixels both brighter and darker, unevenly; the half-sample mode, the middle of the densest numbers,
    hardly depends on them, unlike mean and median.
    """
    mask = acquisition.arrays.get("mask")
    good = np.ones(images.shape, bool) if mask is None else np.broadcast_to(mask == 0, images.shape)
    levels = [_half_sample_mode(np.sort(view[keep])) for view, keep in zip(images, good, strict=True)]
    return np.array(levels, images.dtype)[:, None, None]


def _half_sample_mode(rising: Num[np.ndarray, " n"]) -> float:
    """Estimate the mode of a sorted sample (Bickel & Frühwirth 2006); of the last hundred numbers, take the median."""
    while len(rising) > 100:
        half = (len(rising) + 1) // 2
        width = rising[half - 1 :] - rising[: len(rising) - half + 1]
        # Counts are whole numbers, and many stretches are equally short: take the middle one of them.
        shortest = np.flatnonzero(width == width.min())
        start = int(shortest[len(shortest) // 2])
        rising = rising[start : start + half]
    middle = float(np.median(rising)) if len(rising) else 1.0
    return middle if middle > 0 else 1.0


def _border(acquisition: Acquisition) -> Num[np.ndarray, "view 1 1"]:
    """Compute the median field, relative to the incident wave, of a border one sixteenth of the image wide."""
    fields = acquisition["field"]
    if "illumination_na" in acquisition and acquisition["illumination_na"].any():
        fields = fields * incident_wave(acquisition).conj()
    margin = max(min(fields.shape[-2:]) // 16, 1)
    inner = np.zeros(fields.shape[-2:], bool)
    inner[margin:-margin, margin:-margin] = True
    frame = fields[:, ~inner]
    middle = np.median(frame.real, axis=1) + 1j * np.median(frame.imag, axis=1)
    return np.where(np.abs(middle) > 0, middle, 1).astype(fields.dtype)[:, None, None]


VIGNETTING_RIM = 0.9
"""Fraction of the aperture beyond which a source may be cut off."""
VIGNETTING_LEVEL = 0.75
"""Fraction of the usual brightness below which it is taken as cut off.

A flat array of LEDs itself falls off to about 0.87 at NA 0.25."""


def find_vignetted_views(acquisition: Acquisition) -> Int[np.ndarray, " view"]:
    """Find views near the rim that are darker than the others; none where brightness is not comparable."""
    if "images" not in acquisition or "illumination_na" not in acquisition or "background" in acquisition:
        return np.zeros(0, int)
    relative_na = np.hypot(*acquisition["illumination_na"].T) / float(acquisition["numerical_aperture"])
    inner = relative_na <= VIGNETTING_RIM
    if inner.sum() < 3:
        return np.zeros(0, int)
    levels = estimate_background_levels(acquisition["images"], acquisition)[:, 0, 0]
    return np.flatnonzero(~inner & (relative_na <= 1) & (levels < VIGNETTING_LEVEL * np.median(levels[inner])))


def drop_vignetted_views(acquisition: Acquisition) -> Acquisition:
    """Omit vignetted views, with a warning."""
    dark = find_vignetted_views(acquisition)
    if not dark.size:
        return acquisition
    logger.warning(
        "%d view(s) left out: the light is at the rim of the aperture and the background dark, so that the "
        "objective must have cut them off: %s (acquisition.vignetted: keep retains them)",
        dark.size,
        ", ".join(map(str, dark)),
    )
    per_view = {entry.name for entry in SCHEMA if any(axes[:1] == ("view",) for axes in entry.axes)}
    views = len(acquisition["images"])
    retained = np.setdiff1d(np.arange(views), dark)
    arrays = {
        name: array[retained] if name in per_view and array.ndim and len(array) == views else array
        for name, array in acquisition.arrays.items()
    }
    if "mask" in arrays and acquisition["mask"].ndim == 2:
        arrays["mask"] = acquisition["mask"]
    return replace(acquisition, arrays=arrays)
