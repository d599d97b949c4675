"""The two solids that stereology makes of a section: what a prediction of a shape has to beat.

An ellipse is fitted to the section's outline, with semi-axes a and b. The cylinder is the section itself, (a + b)/2
high. The ellipsoid has the semi-axes a, b and (a + b)/4: as high as the cylinder (Waibel et al. 2022, iScience 25,
105298). Both stand about the middle plane, n // 2.
"""

import numpy as np
from jaxtyping import Bool

from ..errors import DataError

Section = Bool[np.ndarray, "y x"]
Inside = Bool[np.ndarray, "z y x"]


def cylinder(section: Section, planes: int) -> Inside:
    """Extrude a section to half the mean diameter of its ellipse.

    Args:
        section: The mask of the middle plane.
        planes: Number of planes of the volume.

    Raises:
        DataError: If no ellipse fits the section.
    """
    _, _, a, b, _ = _ellipse(section)
    height = min(max(round(a + b) // 2, 1), planes)
    inside = np.zeros((planes, *section.shape), bool)
    first = planes // 2 - height // 2
    inside[first : first + height] = section
    return inside


def ellipsoid(section: Section, planes: int) -> Inside:
    """Give the ellipsoid of a section's ellipse, half as high as that is wide.

    Args:
        section: The mask of the middle plane.
        planes: Number of planes of the volume.

    Raises:
        DataError: If no ellipse fits the section.
    """
    middle_y, middle_x, a, b, angle = _ellipse(section)
    z, y, x = np.indices((planes, *section.shape), float)
    along = (x - middle_x) * np.cos(angle) + (y - middle_y) * np.sin(angle)
    across = (y - middle_y) * np.cos(angle) - (x - middle_x) * np.sin(angle)
    return np.asarray((along / a) ** 2 + (across / b) ** 2 + ((z - planes // 2) / ((a + b) / 4)) ** 2 <= 1)


def _ellipse(section: Section) -> tuple[float, float, float, float, float]:
    """Fit an ellipse to the longest outline: middle (y, x), semi-axes, angle of the first to x [rad]."""
    from skimage.measure import EllipseModel, find_contours

    outlines = find_contours(np.pad(section, 1).astype(float), 0.5)
    if not outlines:
        raise DataError("the section's mask is empty")
    points = max(outlines, key=len)[:, ::-1] - 1
    if hasattr(EllipseModel, "from_estimate"):  # scikit-image 0.26 and later
        fit = EllipseModel.from_estimate(points)
        known = (*fit.center, *fit.axis_lengths, fit.theta) if fit else None
    else:
        fit = EllipseModel()
        known = tuple(fit.params) if fit.estimate(points) else None
    if known is None or not np.all(np.isfinite(known)):
        raise DataError(f"no ellipse fits the section's outline of {len(points)} points")
    x, y, a, b, angle = map(float, known)
    return y, x, a, b, angle
