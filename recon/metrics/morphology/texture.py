"""Texture of a picture within its outline, independent of sampling, position, size and brightness.

The picture is resampled to 64 × 64 pixels, three mean radii of its outline to each side, and its values inside the
outline are quantised to 16 levels from the minimum to the maximum. Features are those of the co-occurrence matrix of
pixels inside the outline that lie 1/16 of the square apart, along x, y and the diagonals (Haralick, Shanmugam and
Dinstein 1973, IEEE Trans. SMC 3, 610).
"""

import numpy as np
from jaxtyping import Bool, Float

from ...errors import DataError

Picture = Float[np.ndarray, "y x"]
Section = Bool[np.ndarray, "y x"]

PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
PIXELS = 64
LEVELS = 16
_PIXEL_DISTANCE = 4
_HALF_WIDTH_RADII = 3.0
_VALUE_TOLERANCE = 1e-9
"""Relative difference of values below which they count as equal, as interpolation rounds."""
_ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)


def texture_features(picture: Picture, outline: Section, pitch: tuple[float, float] = (1.0, 1.0)) -> dict[str, float]:
    """Compute the texture of a picture.

    Args:
        picture: The picture.
        outline: Pixels that count.
        pitch: Size of the pixels (y, x), in any unit.

    Returns:
        Contrast, dissimilarity, homogeneity, energy and correlation of the levels' co-occurrence, and its entropy
        [bit], each the mean of four directions.

    Raises:
        DataError: If the outline is empty.
    """
    from skimage.feature import graycomatrix, graycoprops

    levels = _quantise(*_resample_square(picture, outline, pitch))
    counts = graycomatrix(levels, [_PIXEL_DISTANCE], _ANGLES, LEVELS + 1, symmetric=True)[1:, 1:].astype(float)
    probabilities = counts / np.maximum(counts.sum(axis=(0, 1)), 1)
    features = {name: float(np.mean(graycoprops(probabilities, name))) for name in PROPERTIES}
    logarithm = np.log2(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return {**features, "entropy": float(-(probabilities * logarithm).sum(axis=(0, 1)).mean())}


def _resample_square(
    picture: Picture, outline: Section, pitch: tuple[float, float]
) -> tuple[Float[np.ndarray, "n n"], Bool[np.ndarray, "n n"]]:
    """Resample both to a square about the centre of the outline, of three of its mean radii to each side."""
    from scipy.ndimage import map_coordinates

    if not outline.any():
        raise DataError("the outline is empty: it has no texture")
    centre = np.argwhere(outline).mean(axis=0)
    radius = np.sqrt(np.count_nonzero(outline) * pitch[0] * pitch[1] / np.pi)
    offsets = (np.arange(PIXELS) - (PIXELS - 1) / 2) * (2 * _HALF_WIDTH_RADII * radius / PIXELS)
    rows, columns = (centre[axis] + offsets / pitch[axis] for axis in range(2))
    places = np.meshgrid(rows, columns, indexing="ij")
    within = map_coordinates(outline.astype(float), places, order=1) > 0.5
    return map_coordinates(picture.astype(float), places, order=1, mode="nearest"), within


def _quantise(picture: Picture, within: Section) -> np.ndarray:
    """Quantise the values inside the outline to levels 1, 2, …; 0 is outside."""
    inside = picture[within]
    low, high = (float(inside.min()), float(inside.max())) if inside.size else (0.0, 0.0)
    flat = not high - low > _VALUE_TOLERANCE * max(abs(low), abs(high))
    scaled = np.zeros_like(picture) if flat else (picture - low) / (high - low)
    return np.where(within, 1 + np.clip((scaled * LEVELS).astype(int), 0, LEVELS - 1), 0).astype(np.uint8)
