"""Patterns of directions of light: ring, spiral, grid. Arrays (view, 2) of numerical apertures n·sin θ along (y, x)."""

import numpy as np
from jaxtyping import Float


def ring(count: int, na: float | int, start: float = 0.0) -> Float[np.ndarray, "view 2"]:
    """Compute directions evenly around a ring.

    Args:
        count: Number of directions.
        na: Numerical aperture of each direction.
        start: [rad] Angle of the first direction, from +x towards +y.
    """
    angles = start + 2 * np.pi * np.arange(count) / count
    directions: Float[np.ndarray, "view 2"] = na * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return directions


def spiral(count: int, na: float | int) -> Float[np.ndarray, "view 2"]:
    """Compute directions that fill a disc evenly, from the axis outwards (Vogel, Math. Biosci. 44, 179 (1979)).

    Args:
        count: Number of directions.
        na: Numerical aperture of the outermost direction.
    """
    radii = na * np.sqrt(np.arange(count) / max(count - 1, 1))
    angles = np.arange(count) * np.pi * (3 - np.sqrt(5))
    directions: Float[np.ndarray, "view 2"] = radii[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return directions


def grid(count: int, na: float | int) -> Float[np.ndarray, "view 2"]:
    """Compute directions on a square grid within a disc, row by row, as of an LED board.

    Args:
        count: Number of directions; of the coarsest grid with so many, the outermost are left out.
        na: Numerical aperture of the outermost direction.
    """
    half = 0
    while True:
        steps = np.arange(-half, half + 1)
        points = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        squared = np.sum(points**2, axis=1)
        inside = squared <= max(half, 1) ** 2
        if inside.sum() >= count:
            break
        half += 1
    # Sorted by the distance from the axis and, at equal distances and in the result, by the order of the grid.
    nearest = np.sort(np.argsort(squared, kind="stable")[:count])
    selected = points[nearest].astype(float)
    outermost = np.sqrt(squared[nearest].max())
    return selected * na / outermost if outermost else selected


PATTERNS = {"ring": ring, "spiral": spiral, "grid": grid}
"""Patterns by the names that a config uses."""
