"""Features of the surface itself, as means over its area: how far it is from the centre, how rough, how curved."""

import numpy as np
from jaxtyping import Float

from .curvature import curvatures
from .surface import Surface

_ROUGH = 0.1
"""Width of the roughness's Gaussian, in radii of the ball of the same volume."""

Weights = Float[np.ndarray, " v"]


def relief_features(surface: Surface) -> dict[str, float]:
    """Distance of the surface from the centre, its roughness, and its curvature, over its area."""
    mean, gaussian = curvatures(surface)
    weights = surface.weights
    distance = np.linalg.norm(surface.mesh.vertices - surface.mesh.center_mass, axis=1)
    middle, spread = _spread(distance, weights)
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
    """Standard deviation of the height of the surface over itself, smoothed.

    On a flat surface a Gaussian of width s leaves an occupancy of ½; of one that stands out by h, ½ − h/(s√2π): an
    integral invariant (Pottmann et al. 2009, Comput. Aided Geom. Des. 26, 37), which takes no derivative of the data.
    """
    from scipy.ndimage import gaussian_filter

    width = _ROUGH * surface.radius
    blurred = gaussian_filter(surface.filled, [width / step for step in surface.spacing])
    height = (0.5 - surface.at_vertices(blurred)) * width * np.sqrt(2 * np.pi)
    return _spread(height, surface.weights)[1]


def _spread(values: Weights, weights: Weights) -> tuple[float, float]:
    mean = float(np.sum(weights * values))
    return mean, float(np.sqrt(np.sum(weights * (values - mean) ** 2)))


def _statistics(name: str, values: Weights, weights: Weights) -> dict[str, float]:
    """Mean, standard deviation and percentiles over the area."""
    mean, spread = _spread(values, weights)
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - weights[order] / 2
    p5, p50, p95 = np.interp((0.05, 0.5, 0.95), below, values[order])
    found = {"mean": mean, "std": spread, "p5": p5, "p50": p50, "p95": p95}
    return {f"{name}_{key}": float(value) for key, value in found.items()}
