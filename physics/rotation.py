"""Rotation matrices on vectors (z, y, x).

Two senses of rotation are in use: `rotation_matrix` is right-handed in (x, y, z), so that a rotation about z takes x
towards y; `axis_rotation` takes each axis towards the next in the order z, y, x, which about z takes y towards x.
"""

import numpy as np
from jaxtyping import Float


def rotation_matrix(axis: tuple[float, float, float], angle: float) -> Float[np.ndarray, "3 3"]:
    """Compute the rotation about an axis through the origin (Rodrigues' formula).

    Args:
        axis: Direction (x, y, z), of any length but 0.
        angle: [rad] Right-handed in (x, y, z).

    Returns:
        The matrix that takes the specimen's (z, y, x) to the laboratory's.

    Raises:
        ValueError: If the axis has no direction.
    """
    length = float(np.linalg.norm(axis))
    if not (length > 0 and np.isfinite(length)):
        raise ValueError(f"the axis {axis} has no direction; give z, y, x, or three numbers x,y,z")
    ux, uy, uz = np.divide(axis, length)
    cross = np.array([[0, -uz, uy], [uz, 0, -ux], [-uy, ux, 0]])
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    reordered: np.ndarray = matrix[::-1, ::-1].copy()
    return reordered


def axis_rotation(axis: int, angle: float) -> Float[np.ndarray, "3 3"]:
    """Compute the rotation about one axis, which takes the axis after it towards the one after that, cyclically.

    Args:
        axis: 0, 1 or 2 for z, y or x.
        angle: [rad] Angle.
    """
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[second, first], matrix[first, second] = sine, -sine
    return matrix
