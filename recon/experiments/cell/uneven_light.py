"""Uneven brightness of views without an image of the empty field: a polynomial through what is background.

A box filter would take part of a large specimen for background, which leaves halos; a polynomial of second order,
fitted to the border and to pixels like it, does not. Six numbers need few pixels: large images are binned first.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

from ...acquisition import Acquisition
from .camera import border_pixels, good_pixels
from .crop import bin_images, bin_mask, bin_weights

_ROUNDS = 12
_SAMPLE = 8
"""Views of which the unevenness is estimated."""
_LARGEST = 64
"""[pixel] Side from which images are binned for the estimate."""
_REACH = 4.0
"""Deviations of background pixels beyond which a pixel shows the specimen."""
_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class LightShape(NamedTuple):
    """Light over an image.

    Args:
        values: Light relative to its mean over the image; 1 where it could not be fitted.
        roughness: Standard deviation of the image's border about it, relative to the mean.
    """

    values: Float[np.ndarray, "y x"]
    roughness: float

    @property
    def range(self) -> float:
        """Difference of the brightest and the darkest point."""
        return float(np.ptp(self.values))


def flatten_light(acquisition: Acquisition, bright: Bool[np.ndarray, " view"]) -> Acquisition:
    """Divide bright fields by the shape of their light, whose mean over the image is 1."""
    images, good = acquisition["images"], good_pixels(acquisition, "images")
    flat = [
        view / fit_light(view, valid).values if is_bright else view
        for view, valid, is_bright in zip(images, good, bright, strict=True)
    ]
    return replace(acquisition, arrays={**acquisition.arrays, "images": np.stack(flat).astype(images.dtype)})


def unevenness(acquisition: Acquisition, bright: Bool[np.ndarray, " view"]) -> tuple[float, float]:
    """Compute range and roughness of the light over an image, the medians of some bright fields."""
    images, good, views = acquisition["images"], good_pixels(acquisition, "images"), np.flatnonzero(bright)
    shapes = [fit_light(images[i], good[i]) for i in views[:: max(len(views) // _SAMPLE, 1)]]
    if not shapes:
        return 0.0, 0.0
    return float(np.median([shape.range for shape in shapes])), float(np.median([shape.roughness for shape in shapes]))


def fit_light(image: Num[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> LightShape:
    """Fit a polynomial of second order to the background of an image; a constant where it would not stay positive."""
    values, terms, good = _binned(np.where(good, image, 0).astype(np.float64), good)
    border = good & border_pixels(values.shape)
    weights, fitted = border.astype(float), np.ones(values.shape)
    for _ in range(_ROUNDS):
        if np.count_nonzero(weights) < 2 * terms.shape[-1]:
            return LightShape(np.ones(image.shape), 0.0)
        weighted = (weights[..., None] * terms).reshape(-1, 6).T
        factors = np.linalg.lstsq(weighted @ terms.reshape(-1, 6), weighted @ values.ravel(), rcond=None)[0]
        fitted = terms @ factors
        spread = _NORMAL * float(np.median(np.abs(values - fitted)[weights > 0]))
        weights = np.where(good, np.clip(1 - ((values - fitted) / max(_REACH * spread, 1e-12)) ** 2, 0, 1) ** 2, 0)
    light = _polynomial(factors, image.shape)
    if light.min() <= 0:
        return LightShape(np.ones(image.shape), 0.0)
    mean = float(light.mean())
    return LightShape(light / mean, _NORMAL * float(np.median(np.abs(values - fitted)[border])) / mean)


def _binned(
    image: Float[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]
) -> tuple[Float[np.ndarray, "Y X"], Float[np.ndarray, "Y X 6"], Bool[np.ndarray, "Y X"]]:
    """Average the pixels of a large image, and compute the terms of the polynomial at their centres."""
    factor, bad = -(-max(image.shape) // _LARGEST), (~good).astype(np.uint8)
    rows = [bin_weights(n, factor) for n in image.shape]
    y, x = (each @ np.linspace(-1, 1, each.shape[1]) / each.sum(axis=1) for each in rows)
    y, x = np.meshgrid(y, x, indexing="ij")
    terms = np.stack([np.ones_like(x), y, x, y * y, x * y, x * x], axis=-1)
    return bin_images(image, bad, factor), terms, bin_mask(bad, factor) == 0


def _polynomial(factors: Float[np.ndarray, "6"], shape: tuple[int, ...]) -> Float[np.ndarray, "y x"]:
    """Evaluate the polynomial at the pixels of an image."""
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])
    constant, along_y, along_x, yy, xy, xx = factors.tolist()
    return np.asarray((constant + along_y * y + yy * y * y) + x * (along_x + xy * y + xx * x))
