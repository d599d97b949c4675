"""Normalisation of images and complex fields to the light without the specimen.

In a bright field the light comes through the pupil, and the background of the image is that light. A dark field has no
such background; it is divided by the light that the bright fields show, so that all views are on one scale.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Num

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from .camera import border_pixels, good_pixels
from .illumination import illumination_of, incident_wave
from .schema import PATHS
from .uneven_light import flatten_light


def normalise(acquisition: Acquisition, mode: str = "auto") -> Acquisition:
    """Divide the images, or the complex field, by the light without the specimen.

    Args:
        acquisition: Acquisition in counts. Its background, if used, is omitted from the result.
        mode: ``background`` divides by the image without the specimen, ``view_mean`` each view by its mean, ``none``
            changes nothing; ``auto`` takes the background if there is one, else an estimate of each view's: the peak of
            its histogram for images, the median of the border's field (phase included) for fields. Dark fields are
            divided by the light of the bright ones. ``polynomial`` divides bright images by a polynomial through their
            background besides.

    Returns:
        The acquisition with a background of about 1, and of 0 in a dark field; of a field, the incident wave.

    Raises:
        ConfigError: If the background is needed and missing, or no view is a bright field.
    """
    if mode == "none":
        return acquisition
    name = "images" if "images" in acquisition else "field"
    images, arrays = acquisition[name], dict(acquisition.arrays)
    if mode == "background" and "background" not in acquisition:
        message = "there is no background to divide by"
        raise ConfigError(Diagnostic("acquisition.normalise", message, "name acquisition.background, or use auto"))
    if mode == "background" or (mode == "auto" and "background" in acquisition):
        divided = _divide_by_background(acquisition, arrays.pop("background"), name)
    elif name == "field":
        divided = images / (_mean(np.abs(images), acquisition) if mode == "view_mean" else _border(acquisition))
    else:
        if mode == "polynomial":
            acquisition = flatten_light(acquisition, brightness_of(acquisition)[0] > 0)
            images = acquisition["images"]
        levels = _mean(images, acquisition) if mode == "view_mean" else estimate_background_levels(acquisition)
        divided = images / complete_dark_fields(levels, acquisition)
    return replace(acquisition, arrays={**arrays, name: divided.astype(images.dtype)})


def complete_dark_fields(levels: Num[np.ndarray, "view 1 1"], acquisition: Acquisition) -> Num[np.ndarray, "view 1 1"]:
    """Replace the levels of dark fields by the light that the bright fields show.

    Args:
        levels: Brightness of each view without the specimen.
        acquisition: Acquisition with the light of each view.

    Raises:
        ConfigError: If all views are dark fields.
    """
    transmitted, total = brightness_of(acquisition)
    bright = transmitted > 0
    if bright.all():
        return levels
    if not bright.any():
        place = acquisition.place("source_na" if "pattern" in acquisition else "illumination_na", PATHS)
        message = (
            f"all {len(bright)} views are dark fields of the aperture {float(acquisition['numerical_aperture']):g}: "
            "none shows the brightness of the light"
        )
        remedy = (
            "add a bright field, or divide the images by the light of an empty bright field and "
            "set acquisition.normalise: none"
        )
        raise ConfigError(Diagnostic(place, message, remedy))
    unit = np.median(levels[bright, 0, 0] / transmitted[bright])
    completed = np.where(bright, levels[:, 0, 0], unit * total)
    return np.asarray(completed, levels.dtype)[:, None, None]


def brightness_of(acquisition: Acquisition) -> tuple[Float[np.ndarray, " view"], Float[np.ndarray, " view"]]:
    """Compute the brightness of each view's sources within the pupil, and of all its sources."""
    if "illumination_na" not in acquisition and "pattern" not in acquisition:
        views = np.ones(len(acquisition["images"]))
        return views, views
    illumination = illumination_of(acquisition)
    return illumination.transmitted(float(acquisition["numerical_aperture"])), illumination.weights.sum(axis=1)


def _divide_by_background(
    acquisition: Acquisition, background: Num[np.ndarray, "*some y x"], name: str
) -> Num[np.ndarray, "view y x"]:
    """Divide by the images without the specimen; that of a dark field is stray light, and is subtracted."""
    images = acquisition[name]
    if name == "field":  # A background beside a complex field is its intensity.
        return np.asarray(images / np.sqrt(_positive(background)))
    bright = brightness_of(acquisition)[0] > 0
    if bright.all() or background.ndim == 2:
        return np.asarray(images / _positive(background))
    levels = complete_dark_fields(background.mean(axis=(1, 2), keepdims=True), acquisition)
    shown = np.where(bright[:, None, None], 0, background)
    return np.asarray((images - shown) / np.where(bright[:, None, None], _positive(background), levels))


def _positive(background: Num[np.ndarray, "*view y x"]) -> Num[np.ndarray, "*view y x"]:
    """Replace dead pixels of the background by its mean, lest they make infinite ones."""
    return np.where(background > 0, background, background[background > 0].mean())


def _mean(images: Num[np.ndarray, "view y x"], acquisition: Acquisition) -> Num[np.ndarray, "view 1 1"]:
    good = good_pixels(acquisition, "images" if "images" in acquisition else "field")
    total = np.where(good, images, 0).sum(axis=(1, 2), keepdims=True)
    return np.asarray(total / np.maximum(good.sum(axis=(1, 2), keepdims=True), 1))


def estimate_background_levels(acquisition: Acquisition) -> Num[np.ndarray, "view 1 1"]:
    """Estimate the brightness of each view of images away from the specimen.

    A specimen makes pixels both brighter and darker, unevenly; the half-sample mode, the middle of the densest numbers,
    hardly depends on them, unlike mean and median.
    """
    images, good = acquisition["images"], good_pixels(acquisition, "images")
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
    """Compute the median field, relative to the incident wave, of the border."""
    fields = acquisition["field"]
    if "illumination_na" in acquisition and acquisition["illumination_na"].any():
        fields = fields * incident_wave(acquisition).conj()
    frame = fields[:, border_pixels(fields.shape[-2:])]
    middle = np.median(frame.real, axis=1) + 1j * np.median(frame.imag, axis=1)
    return np.where(np.abs(middle) > 0, middle, 1).astype(fields.dtype)[:, None, None]
