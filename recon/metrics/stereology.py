"""Two solids that stereology derives from a section: baselines of shape predictions.

An ellipse is fitted to the section's outline, with semi-axes a and b. The cylinder is the section itself, (a + b)/2
high. The ellipsoid has the semi-axes a, b and (a + b)/4: as high as the cylinder (Waibel et al. 2022, iScience 25,
105298). Both are centred on plane n // 2. Voxels are cubic: lengths along z, y and x are in the same pixels.
"""

import numpy as np
from jaxtyping import Bool, Float

from ..errors import DataError

Section = Bool[np.ndarray, "y x"]
Inside = Bool[np.ndarray, "z y x"]


def extrude_section(section: Section, planes: int) -> Inside:
    """Build the cylinder on a section: as high as the mean semi-axis of the section's ellipse.

    Args:
        section: Mask of the middle plane.
        planes: Number of planes of the volume.

    Returns:
        Mask of the voxels inside the solid.

    Raises:
        DataError: If no ellipse fits the section.
    """
    _, _, a, b, _ = _ellipse(section)
    height = min(max(round(a + b) // 2, 1), planes)
    inside = np.zeros((planes, *section.shape), bool)
    first = planes // 2 - height // 2
    inside[first : first + height] = section
    return inside


def build_ellipsoid(section: Section, planes: int) -> Inside:
    """Build the ellipsoid on a section's ellipse; its height is the mean semi-axis of the ellipse.

    Args:
        section: Mask of the middle plane.
        planes: Number of planes of the volume.

    Returns:
        Mask of the voxels inside the solid.

    Raises:
        DataError: If no ellipse fits the section.
    """
    centre_y, centre_x, a, b, angle = _ellipse(section)
    z, y, x = np.indices((planes, *section.shape), float)
    along = (x - centre_x) * np.cos(angle) + (y - centre_y) * np.sin(angle)
    across = (y - centre_y) * np.cos(angle) - (x - centre_x) * np.sin(angle)
    return np.asarray((along / a) ** 2 + (across / b) ** 2 + ((z - planes // 2) / ((a + b) / 4)) ** 2 <= 1)


def _ellipse(section: Section) -> tuple[float, float, float, float, float]:
    """Fit an ellipse to the longest outline of a section.

    Returns:
        Centre y and x [pixel], the longer and the shorter semi-axis [pixel], and the angle of the longer to x [rad].

    Raises:
        DataError: If the section is empty, or no ellipse fits its outline.
    """
    from skimage.measure import find_contours

    outlines = find_contours(np.pad(section, 1).astype(float), 0.5)
    if not outlines:
        raise DataError("the section's mask is empty")
    points = max(outlines, key=len)[:, ::-1] - 1
    centre, width = points.mean(axis=0), points.std()
    with np.errstate(all="ignore"):
        parameters = _conic_parameters(_fit_conic((points - centre) / width))
    if not np.all(np.isfinite(parameters)):
        raise DataError(f"no ellipse fits the section's outline of {len(points)} points")
    x, y, a, b, angle = (float(value) for value in parameters)
    return centre[1] + width * y, centre[0] + width * x, width * a, width * b, angle


def _fit_conic(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "6"]:
    """Fit an ellipse Ax² + Bxy + Cy² + Dx + Ey + F = 0 to points (x, y) by direct least squares.

    The method is that of Halíř and Flusser, "Numerically stable direct least squares fitting of ellipses" (1998),
    formulated as a symmetric problem, whose eigenvalues are real for a circle too; scikit-image's fit can fail there.

    Returns:
        The coefficients A to F.
    """
    from scipy.linalg import eigh

    x, y = points.T
    square, linear = np.stack([x * x, x * y, y * y], axis=1), np.stack([x, y, np.ones_like(x)], axis=1)
    dependent = -np.linalg.lstsq(linear, square, rcond=None)[0]  # The best D, E, F for given A, B, C.
    scatter = square + linear @ dependent
    normal = scatter.T @ scatter
    normal += 1e-12 * np.sum(square**2) * np.eye(3)  # Points exactly on an ellipse leave a residual of 0.
    elliptic = np.array([[0.0, 0.0, 2.0], [0.0, -1.0, 0.0], [2.0, 0.0, 0.0]])  # 4AC − B²
    quadratic = eigh(elliptic, normal)[1][:, -1]  # A, B, C of the ellipse with the least residual.
    return np.concatenate([quadratic, dependent @ quadratic])


def _conic_parameters(conic: Float[np.ndarray, "6"]) -> Float[np.ndarray, "5"]:
    """Compute the centre (x, y), the semi-axes, the longer first, and the angle of the longer to x [rad]."""
    a, b, c, d, e, f = conic
    quadratic_form = np.array([[a, b / 2], [b / 2, c]])
    x, y = np.linalg.solve(quadratic_form, [-d / 2, -e / 2])
    inverse_squares, axes = np.linalg.eigh(quadratic_form / -(f + (d * x + e * y) / 2))
    longer = axes[:, 0]
    return np.array([x, y, *(1 / np.sqrt(inverse_squares)), np.arctan2(longer[1], longer[0])])
