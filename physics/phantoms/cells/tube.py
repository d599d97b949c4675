"""Tubes with round ends along a bent line: filaments, fibres, rods, spirals. Axes are ``z y x``."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from .implicit import ImplicitBody

_FAR = 1.0
"""[m] Level far from the surface."""
_MARGIN = 3.0
"""Margin of a segment's box, in samples; beyond it the level is constant."""


@dataclass(frozen=True)
class Tube(ImplicitBody):
    """Tube of round cross-section: all points within its radius of a line.

    Args:
        path: [m] Points of the line in the body's own frame; one point makes a ball.
        radius: [m] Radius.
    """

    path: Float[np.ndarray, "k 3"] = field(default_factory=lambda: np.zeros((1, 3)))
    radius: float = 1e-6

    @classmethod
    def through(cls, points: Float[np.ndarray, "k 3"], radius: float, index: float, absorption: float = 0.0) -> "Tube":
        """Describe a tube through points [m] (z, y, x)."""
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        return replace(cls(middle, index, absorption), path=points - middle, radius=radius)

    @property
    def own_half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the size of a box around the centre, along the body's own axes, that contains the body."""
        return np.asarray(np.abs(self.path).max(axis=0) + self.radius)

    @property
    def detail(self) -> float:
        """[m] Half the radius."""
        return self.radius / 2

    def level(self, q: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the signed distance [m] from the surface at points of the body's own frame [m]."""
        distances = []
        for start, end in self._segments(self.path):
            along, offset = end - start, q - start
            share = np.clip(offset @ along / max(float(along @ along), 1e-30), 0, 1)
            distances.append(np.linalg.norm(offset - share[:, None] * along, axis=1))
        return np.asarray(np.min(distances, axis=0) - self.radius)

    def level_on(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the signed distance [m] on a grid; further than a few samples from the surface it is only large."""
        grid, level = (z, y, x), np.full((len(z), len(y), len(x)), _FAR)
        steps = np.array([a[1] - a[0] if len(a) > 1 else 0.0 for a in grid])
        limit = _MARGIN * max(*steps, 1e-3 * self.radius)
        reach = self.radius + limit
        for start, end in self._segments(self.centre + self.path @ self.axes.T):
            low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
            box = tuple(slice(*np.searchsorted(a, ends)) for a, *ends in zip(grid, low, high, strict=True))
            oz, oy, ox = (a[s] - c for a, s, c in zip(grid, box, start, strict=True))
            if level[box].size:
                distance = _distance(oz, oy, ox, end - start)
                level[box] = np.minimum(level[box], distance - self.radius)
        return np.asarray(np.minimum(level, limit))

    @staticmethod
    def _segments(points: Float[np.ndarray, "k 3"]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ends of each segment of a line; of a single point, a segment without length."""
        return [(points[i], points[min(i + 1, len(points) - 1)]) for i in range(max(len(points) - 1, 1))]


def _distance(
    z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"], along: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "z y x"]:
    """Compute the distance [m] from a segment, on a grid relative to its start."""
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    length = max(float(along @ along), 1e-30)
    share = np.clip((z * along[0] + y * along[1] + x * along[2]) / length, 0, 1)
    offsets = (z - share * along[0], y - share * along[1], x - share * along[2])
    return np.asarray(np.sqrt(offsets[0] ** 2 + offsets[1] ** 2 + offsets[2] ** 2))


def winding_path(
    rng: np.random.Generator, length: float, bend: float, points: int, plane: float = 1.0
) -> Float[np.ndarray, "k 3"]:
    """Draw a line that winds smoothly, through the origin at its middle.

    Args:
        rng: Random number generator.
        length: [m] Length.
        bend: [rad] Standard deviation of the change of direction over the whole length.
        points: Number of points.
        plane: Factor on the components along z: 0 for a line in the plane.
    """
    direction = rng.normal(size=3) * [plane, 1, 1]
    steps, drift = [], np.zeros(3)
    for _ in range(points - 1):
        direction = direction / max(float(np.linalg.norm(direction)), 1e-12)
        steps.append(direction)
        drift = 0.7 * drift + rng.normal(size=3) * [plane, 1, 1] * bend / np.sqrt(points) * 0.7
        direction = direction + drift
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)]) * length / (points - 1)
    return np.asarray(path - path[points // 2])
