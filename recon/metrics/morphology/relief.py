"""Features of a surface as statistics over its area: distance from the centre, roughness, curvature."""

import numpy as np
from jaxtyping import Float

from .curvature import curvatures
from .surface import Surface

_ROUGHNESS_WIDTH = 0.1
"""Width of the Gaussian of the roughness, in radii of the ball of the same volume."""

Weights = Float[np.ndarray, " v"]


def relief_features(surface: Surface) -> dict[str, float]:
    """Compute distance from the centre, roughness and curvature over the area of a surface."""
    mean, gaussian = curvatures(surface)
    weights = surface.weights
    distance = np.linalg.norm(surface.mesh.vertices - surface.mesh.center_mass, axis=1)
    middle, spread = _mean_and_deviation(distance, weights)
    return {
        "radius_mean": middle,
        "radius_std": spread,
        "radius_min": distance.min(),
        "radius_max": distance.max(),
        "roughness": _roughness(surface),
        **_statistics("mean_curvature", mean, weights),
        **_statistics("gaussian_curvature", gaussian, weights),
        "bending_energy": np.sum(weights * mean**2) * surface.mesh.area / (4 * np.pi),
        "hollow": np.sum(weights[mean < 0]),
        "saddle": np.sum(weights[gaussian < 0]),
    }


def _roughness(surface: Surface) -> float:
    """Compute the standard deviation of the height of the surface above the smoothed one.

    On a flat surface a Gaussian of width s leaves an occupancy of ½; on one that protrudes by h, ½ − h/(s√2π): an
    integral invariant (Pottmann et al. 2009, Comput. Aided Geom. Des. 26, 37), which needs no derivative of the data.
    """
    from scipy.ndimage import gaussian_filter

    width = _ROUGHNESS_WIDTH * surface.radius
    blurred = gaussian_filter(surface.filled, [width / step for step in surface.spacing])
    height = (0.5 - surface.at_vertices(blurred)) * width * np.sqrt(2 * np.pi)
    return _mean_and_deviation(height, surface.weights)[1]


def _mean_and_deviation(values: Weights, weights: Weights) -> tuple[float, float]:
    mean = float(np.sum(weights * values))
    return mean, float(np.sqrt(np.sum(weights * (values - mean) ** 2)))


def _statistics(name: str, values: Weights, weights: Weights) -> dict[str, float]:
    """Compute mean, standard deviation and percentiles over the area."""
    mean, spread = _mean_and_deviation(values, weights)
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - weights[order] / 2
    p5, p50, p95 = np.interp((0.05, 0.5, 0.95), below, values[order])
    statistics = {"mean": mean, "std": spread, "p5": p5, "p50": p50, "p95": p95}
    return {f"{name}_{key}": float(value) for key, value in statistics.items()}
