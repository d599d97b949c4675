"""Curvature of a surface where a field is 0, from the field's own derivatives.

Notation
--------
φ      the field, positive inside
g      its gradient ∇φ
A      its Hessian ∇∇φ
H      mean curvature: 1/R of a ball of radius R, negative where the surface is hollow
K      Gaussian curvature: 1/R² of a ball, negative on a saddle

    H = (gᵀ A g − |g|² tr A) / (2 |g|³)        K = gᵀ adj(A) g / |g|⁴

(Goldman 2005, Comput. Aided Geom. Des. 22, 632, eqs. 3.8 and 4.1.) Nothing of it depends on how the triangles lie, nor on
whether φ is a distance. The derivatives are those of the field blurred by a Gaussian of a width that grows with the
shape, so that a finer sampling of the same shape gives the same curvature.
"""

import numpy as np
from jaxtyping import Float

from .surface import Surface

BLUR = 0.08
"""Width of the Gaussian, in radii of the ball of the same volume; details smaller than this are not looked at."""
_LEAST = 0.8
"""[voxel] Below this the differences of samples show the lattice."""

Values = Float[np.ndarray, " v"]


def curvatures(surface: Surface, blur: float = BLUR) -> tuple[Values, Values]:
    """Mean and Gaussian curvature at each vertex.

    Args:
        surface: The surface.
        blur: Width of the Gaussian, in radii of the ball of the same volume.

    Returns:
        H in 1/length and K in 1/length², in the spacing's unit.
    """
    from scipy.ndimage import gaussian_filter

    radius = np.cbrt(3 * surface.mesh.volume / (4 * np.pi))
    widths = [max(blur * radius / step, _LEAST) for step in surface.spacing]
    smooth = gaussian_filter(surface.field, widths, mode="nearest")
    first = np.gradient(smooth, *surface.spacing)
    second = [np.gradient(part, *surface.spacing) for part in first]
    g = np.stack([surface.at_vertices(part) for part in first], axis=-1)
    a = np.stack([[surface.at_vertices(part) for part in row] for row in second]).transpose(2, 0, 1)
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
