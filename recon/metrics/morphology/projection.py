"""Features of the projection of a solid along z: its shadow, and its thickness. Pictures are (y, x)."""

import numpy as np
from jaxtyping import Float

from .surface import Surface
from .texture import texture_features


def projection_features(surface: Surface) -> dict[str, float]:
    """Compute the features of the projection; the shadow's outline is where the maximum of the field along z is 0."""
    dz, dy, dx = surface.spacing
    shadow = surface.field.max(axis=0)
    thickness = surface.filled.sum(axis=0) * dz
    values = thickness[shadow > 0]
    mean, spread = float(values.mean()), float(values.std())
    area, perimeter, hull = _outline(shadow, (dy, dx))
    texture = texture_features(thickness, shadow > 0, (dy, dx))
    return {
        "projected_area": area,
        "projected_perimeter": perimeter,
        "projected_circularity": 4 * np.pi * area / perimeter**2,
        "projected_eccentricity": _eccentricity(surface.filled.max(axis=0), (dy, dx)),
        "projected_solidity": area / hull,
        "thickness_mean": mean,
        "thickness_std": spread,
        "thickness_max": values.max(),
        "thickness_skewness": float(np.mean((values - mean) ** 3)) / spread**3 if spread > 0 else 0.0,
        **{f"texture_{name}": value for name, value in texture.items()},
    }


def _outline(shadow: Float[np.ndarray, "y x"], pitch: tuple[float, float]) -> tuple[float, float, float]:
    """Area, perimeter, and area of the convex hull of the region where a picture exceeds 0, with subpixel outlines."""
    from scipy.spatial import ConvexHull
    from skimage.measure import find_contours

    lines = [line * pitch for line in find_contours(shadow, 0.0)]
    # Holes have the opposite orientation and a negative area.
    areas = [float(np.sum(a[:-1, 0] * a[1:, 1] - a[1:, 0] * a[:-1, 1])) / 2 for a in lines]
    length = sum(float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in lines)
    return abs(sum(areas)), length, float(ConvexHull(np.concatenate(lines)).volume)


def _eccentricity(filled: Float[np.ndarray, "y x"], pitch: tuple[float, float]) -> float:
    """Eccentricity of the ellipse with the same second moments."""
    pixels = np.argwhere(filled > 0)
    least, greatest = np.linalg.eigvalsh(np.cov((pixels * pitch).T, aweights=filled[tuple(pixels.T)]))
    return float(np.sqrt(max(1 - least / greatest, 0.0)))
