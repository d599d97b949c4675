"""Curvature of the zero level set of a field, from the derivatives of the field.

Notation
--------
φ      the field, positive inside
g      its gradient ∇φ
A      its Hessian ∇∇φ
H      mean curvature: 1/R of a ball of radius R, negative where the surface is hollow
K      Gaussian curvature: 1/R² of a ball, negative on a saddle

    H = (gᵀ A g − |g|² tr A) / (2 |g|³)        K = gᵀ adj(A) g / |g|⁴

(Goldman 2005, Comput. Aided Geom. Des. 22, 632.) Neither depends on the triangulation, nor on whether φ is a
distance. The field is first blurred by a Gaussian whose width is proportional to the size of the shape, so that a finer
sampling of the same shape gives the same curvature.
"""

import numpy as np
from jaxtyping import Float

from .surface import Surface

BLUR = 0.08
"""Width of the Gaussian, in radii of the ball of the same volume; smaller details do not count."""
_LEAST_WIDTH = 1.0
"""[voxel] Smallest width of the Gaussian that the samples resolve."""
_UNIT = np.eye(3, dtype=int)

Values = Float[np.ndarray, " v"]


def curvatures(surface: Surface, blur: float = BLUR) -> tuple[Values, Values]:
    """Compute mean and Gaussian curvature at each vertex.

    Args:
        surface: The surface.
        blur: Width of the Gaussian, in radii of the ball of the same volume.

    Returns:
        H in 1/length and K in 1/length², in the spacing's unit.
    """
    from scipy.ndimage import gaussian_filter

    widths = [max(blur * surface.radius / step, _LEAST_WIDTH) for step in surface.spacing]
    # Derivatives of a Gaussian: differences of samples are inaccurate in a field as steep as a grey occupancy.
    derived = {
        order: surface.at_vertices(gaussian_filter(surface.field, widths, order, mode="nearest"), smooth=True)
        / np.prod(np.power(surface.spacing, order))
        for order in [*map(tuple, _UNIT), *(tuple(m + n) for i, m in enumerate(_UNIT) for n in _UNIT[i:])]
    }
    g = np.stack([derived[tuple(m)] for m in _UNIT], axis=-1)
    a = np.stack([np.stack([derived[tuple(m + n)] for n in _UNIT], axis=-1) for m in _UNIT], axis=-1)
    return _mean(g, a), _gaussian(g, a)


def _mean(g: Float[np.ndarray, "v 3"], a: Float[np.ndarray, "v 3 3"]) -> Values:
    squared = np.einsum("vi,vi->v", g, g)
    along = np.einsum("vi,vij,vj->v", g, a, g)
    trace = np.einsum("vii->v", a)
    return np.asarray((along - squared * trace) / (2 * np.maximum(squared, np.finfo(float).tiny) ** 1.5))


def _gaussian(g: Float[np.ndarray, "v 3"], a: Float[np.ndarray, "v 3 3"]) -> Values:
    # The adjugate of a symmetric matrix: rows are cross products of the other two.
    adjugate = np.stack([np.cross(a[:, i], a[:, j]) for i, j in ((1, 2), (2, 0), (0, 1))], axis=1)
    squared = np.einsum("vi,vi->v", g, g)
    return np.asarray(np.einsum("vi,vij,vj->v", g, adjugate, g) / np.maximum(squared, np.finfo(float).tiny) ** 2)
