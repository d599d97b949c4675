"""Uneven brightness of views without an image of the empty field: a polynomial through what is background.

A box filter would take part of a large specimen for background, which leaves halos; a polynomial of second order,
fitted to the border and to pixels like it, does not.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Num

from ...acquisition import Acquisition
from .camera import border_pixels, good_pixels

_ROUNDS = 12
_SAMPLE = 8
"""Views of which the unevenness is estimated."""
_REACH = 4.0
"""Deviations of background pixels beyond which a pixel shows the specimen."""
_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def flatten_light(acquisition: Acquisition, bright: Bool[np.ndarray, " view"]) -> Acquisition:
    """Divide bright fields by the shape of their light, whose mean over the image is 1."""
    images, good = acquisition["images"], good_pixels(acquisition, "images")
    flat = [
        view / light_shape(view, valid) if is_bright else view
        for view, valid, is_bright in zip(images, good, bright, strict=True)
    ]
    return replace(acquisition, arrays={**acquisition.arrays, "images": np.stack(flat).astype(images.dtype)})


def unevenness(acquisition: Acquisition, bright: Bool[np.ndarray, " view"]) -> float:
    """Compute the range of the shape of the light over an image, the median of some bright fields."""
    images, good, views = acquisition["images"], good_pixels(acquisition, "images"), np.flatnonzero(bright)
    chosen = views[:: max(len(views) // _SAMPLE, 1)]
    return float(np.median([np.ptp(light_shape(images[i], good[i])) for i in chosen] or [0.0]))


def light_shape(image: Num[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    """Fit a polynomial of second order to the background of an image; a constant where it would not stay positive."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), y, x, y * y, x * y, x * x], axis=-1)
    values, weights = np.where(good, image, 0).astype(np.float64), (good & border_pixels(image.shape)).astype(float)
    fitted = np.ones(image.shape)
    for _ in range(_ROUNDS):
        if np.count_nonzero(weights) < 2 * terms.shape[-1]:
            return np.ones(image.shape)
        weighted = (weights[..., None] * terms).reshape(-1, 6).T
        fitted = terms @ np.linalg.solve(weighted @ terms.reshape(-1, 6), weighted @ values.ravel())
        residual = values - fitted
        spread = _NORMAL * float(np.median(np.abs(residual[weights > 0])))
        weights = np.where(good, np.clip(1 - (residual / max(_REACH * spread, 1e-12)) ** 2, 0, 1) ** 2, 0)
    return fitted / fitted.mean() if fitted.min() > 0 else np.ones(image.shape)
