"""Cropping and binning of images.

The optical axis stays on pixel ``n // 2``. A square of an even number of pixels has no pixel in its middle, so that
plain blocks would shift the axis by half a pixel, which spoils the fit of a turning specimen: bins are centred on the
axis instead, and the pixels on the border of two bins count half in each.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Num

from ...acquisition import Acquisition
from ...volume import Volume

_IMAGES = ("images", "field", "background")


def crop_range(count: int, size: int | None, centre: int | None) -> tuple[int, int]:
    """Compute the first pixel of a crop along one axis, and the first one beyond it.

    Args:
        count: Number of pixels of the image.
        size: Number of pixels of the crop; None for all.
        centre: Pixel that becomes the crop's ``size // 2``; None for the image's own ``count // 2``.

    Raises:
        ValueError: If the crop reaches beyond the image.
    """
    if size is None and centre is None:
        return 0, count
    middle = count // 2 if centre is None else centre
    # Without a size, the largest crop around the centre.
    length = size if size is not None else 2 * min(middle, count - 1 - middle) + 1
    first = middle - length // 2
    if first < 0 or first + length > count:
        raise ValueError(f"{length} pixels around pixel {middle} reach beyond the {count} that there are")
    return first, first + length


def bin_weights(count: int, factor: int) -> Float[np.ndarray, "coarse fine"]:
    """Compute the weights that bin ``factor`` pixels along one axis; the pixel ``n // 2`` stays in the middle.

    Args:
        count: Number of pixels.
        factor: Pixels to a bin.

    Returns:
        One row for each bin, whose weights are the length that it shares with each pixel.
    """
    coarse = count // factor
    middle = count // 2 + factor * (np.arange(coarse) - coarse // 2)
    reach = factor / 2
    overlap = 0.5 + reach - np.abs(np.arange(count)[None, :] - middle[:, None])
    return np.asarray(np.clip(overlap, 0, 1))


def bin_images(
    images: Num[np.ndarray, "*view y x"], mask: Num[np.ndarray, "*some y x"] | None, factor: int
) -> Num[np.ndarray, "*view Y X"]:
    """Average the good pixels of each bin; complex fields are averaged as such.

    Args:
        images: One or many images or fields.
        mask: 0 where a pixel is good, of a shape that broadcasts to the images'.
        factor: [pixel] Side of a bin.
    """
    rows, columns = (bin_weights(n, factor).astype(np.float32) for n in images.shape[-2:])
    good = np.ones(images.shape[-2:], np.float32) if mask is None else (mask == 0).astype(np.float32)
    weight = rows @ good @ columns.T
    total = rows @ (images * good) @ columns.T
    return np.asarray(total / np.where(weight > 0, weight, 1), images.dtype)


def bin_mask(mask: Num[np.ndarray, "*some y x"], factor: int) -> Num[np.ndarray, "*some Y X"]:
    """Mark a bin as bad when fewer than half of its pixels are good."""
    rows, columns = (bin_weights(n, factor).astype(np.float32) for n in mask.shape[-2:])
    good = rows @ (mask == 0).astype(np.float32) @ columns.T
    whole = rows.sum(axis=1)[:, None] * columns.sum(axis=1)
    return np.asarray(good < 0.5 * whole, np.uint8)


def bin_acquisition(acquisition: Acquisition, factor: int) -> Acquisition:
    """Bin every image of an acquisition; its pixel size grows.

    Args:
        acquisition: Acquisition with its images in full resolution.
        factor: [pixel] Side of a bin; 1 changes nothing.
    """
    if factor == 1:
        return acquisition
    arrays = dict(acquisition.arrays)
    mask = arrays.get("mask")
    for name in _IMAGES:
        if name in arrays:
            usable = mask
            if mask is not None and arrays[name].ndim < mask.ndim:
                usable = mask.min(axis=0)
            arrays[name] = bin_images(arrays[name], usable, factor)
    if mask is not None:
        arrays["mask"] = bin_mask(mask, factor)
    arrays["pixel_size"] = arrays["pixel_size"] * factor
    return replace(acquisition, arrays=arrays)


def shift_volume(truth: Volume, shift: tuple[float, float]) -> Volume:
    """Express a volume in the coordinates of a crop.

    Args:
        truth: The volume.
        shift: [m] Position (y, x) of the crop's axis in the volume.
    """
    return replace(truth, y=truth.y - shift[0], x=truth.x - shift[1])
