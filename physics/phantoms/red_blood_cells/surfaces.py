"""Implicit closed surfaces: functions of space, negative inside, zero on the surface, near it the signed distance.

Notation
--------
p      point (z, y, x) [m] in the surface's own frame, whose axis of symmetry, if any, is z
r      its distance from that axis; ρ = r/R
f      level [m]: the signed distance to first order where it is small, of the right sign everywhere
g      an implicit polynomial of a surface, and ∇g

From g to f: the distance d to the surface along the gradient solves g = |∇g| d − d² where g has the curvature of |p|²,
so f = 2g / (|∇g| + √(|∇g|² − 4g)), exact for balls and planes.

The red cell's disc is Evans and Fung's (Microvasc. Res. 4, 335 (1972)), here mixed with a ball:
half its thickness is h(ρ) = R √(1 − ρ²) Q(ρ²), Q = (1 − m)/2 · (C0 + C1 ρ² + C2 ρ⁴) + m. As g = ζ² − (R² − r²) Q²,
with ζ the height above the middle surface, it is smooth at the rim and beyond.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

EVANS_FUNG = (0.207161, 2.002558, -1.122762)
"""C0, C1, C2 at 300 mosm."""


@runtime_checkable
class ImplicitSurface(Protocol):
    """Closed surface around the origin."""

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the surface."""

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points [m], in their precision."""


@dataclass(frozen=True)
class Disc:
    """Biconcave disc, swollen towards a ball, with a bent middle surface.

    Args:
        radius: [m] Radius R.
        roundness: Roundness m: 0 for Evans and Fung's disc, 1 for a ball.
        bend: [m] Bowl of the middle surface, bend · (ρ² − ½).
        saddle: [m] Saddle of the middle surface, saddle · (y² − x²)/R².
    """

    radius: float
    roundness: float = 0.0
    bend: float = 0.0
    saddle: float = 0.0

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the surface."""
        return float(np.hypot(self.radius, abs(self.bend) / 2 + abs(self.saddle)) + self.radius * self.roundness / 2)

    @property
    def volume(self) -> float:
        """[m³] Exact volume; bending does not change it."""
        return disc_volume(self.radius, self.roundness)

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points [m], in their precision."""
        kind = points.dtype.type
        z, y, x = (points / kind(self.radius)).T
        s = y * y + x * x
        bend, saddle = kind(self.bend / self.radius), kind(self.saddle / self.radius)
        height = z - bend * (s - kind(0.5)) - saddle * (y * y - x * x)
        c0, c1, c2 = (kind((1 - self.roundness) / 2 * c) for c in EVANS_FUNG)
        # Beyond the rim the polynomial would fall to zero again, with a second surface.
        inner = np.minimum(s, kind(1.2))
        profile = kind(self.roundness) + c0 + inner * (c1 + inner * c2)
        slope = np.where(s < inner + kind(1e-6), c1 + 2 * c2 * inner, kind(0))
        square = profile * profile
        g = height * height - (1 - s) * square
        radial = square - 2 * (1 - s) * profile * slope - 2 * height * bend
        gy, gx = 2 * y * (radial - 2 * height * saddle), 2 * x * (radial + 2 * height * saddle)
        steep = 4 * height * height + gy * gy + gx * gx
        return np.asarray(kind(self.radius) * _distance(g, steep))


@dataclass(frozen=True)
class Ellipsoid:
    """Ellipsoid along the axes.

    Args:
        semi_axes: [m] Semi-axes along (z, y, x).
    """

    semi_axes: tuple[float, float, float]

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the surface."""
        return max(self.semi_axes)

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points [m], in their precision."""
        axes = np.array(self.semi_axes, points.dtype)
        q = points / axes
        radius, steep = np.linalg.norm(q, axis=1), np.linalg.norm(q / axes, axis=1)
        middle = axes.min()  # |q|/|q/a| is between the axes everywhere, and undefined at the centre
        width = np.divide(radius, steep, out=np.full_like(radius, middle), where=radius > 1e-6)
        return np.asarray((radius - 1) * width, points.dtype)


@dataclass(frozen=True)
class SpiculatedSurface:
    """Surface with bumps: displaced outwards by Σ h exp(−2 (1 − u·d)/w²), u = p/|p|.

    Args:
        base: Surface without bumps.
        directions: Unit vectors d.
        heights: [m] Heights h; negative for dimples.
        widths: [rad] Half widths w at 1/e of the height, as seen from the origin.
    """

    base: ImplicitSurface
    directions: Float[np.ndarray, "bump 3"]
    heights: Float[np.ndarray, " bump"]
    widths: Float[np.ndarray, " bump"]

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the surface."""
        return self.base.bounding_radius + max(0.0, 1.3 * float(self.heights.max(initial=0.0)))

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points [m], in their precision."""
        level = self.base.level(points)
        if not len(self.heights):
            return level
        kind = points.dtype.type
        highest = kind(2 * np.abs(self.heights).max())
        # Far from the surface no bump changes the sign, and f need not be exact.
        near = np.flatnonzero(np.abs(level) < 2 * highest)
        nearby = points[near]
        distance = np.maximum(np.linalg.norm(nearby, axis=1), kind(1e-9))
        sharpness = (2 / self.widths**2).astype(kind)
        aligned = (nearby / distance[:, None]) @ (self.directions * sharpness[:, None]).T.astype(kind)
        level[near] -= np.exp(aligned - sharpness) @ self.heights.astype(kind)
        return level


@dataclass(frozen=True)
class Union:
    """Union of surfaces, with rounded seams.

    Args:
        parts: Surfaces.
        seam: [m] Width of the rounded seam; 0 for a sharp one.
    """

    parts: Sequence[ImplicitSurface]
    seam: float = 0.0

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the surface."""
        return max(part.bounding_radius for part in self.parts) + self.seam / 4

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points [m], in their precision."""
        level = self.parts[0].level(points)
        for part in self.parts[1:]:
            level = _smooth_minimum(level, part.level(points), self.seam)
        return level


@dataclass(frozen=True)
class CutSurface:
    """Difference of two surfaces, with a rounded edge.

    Args:
        body: Surface to cut.
        tool: Surface that is subtracted.
        edge: [m] Width of the rounded edge.
    """

    body: ImplicitSurface
    tool: ImplicitSurface
    edge: float = 0.0

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the surface."""
        return self.body.bounding_radius

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points [m], in their precision."""
        return -_smooth_minimum(-self.body.level(points), self.tool.level(points), self.edge)


@dataclass(frozen=True)
class PlacedSurface:
    """Surface under an affine transformation.

    Args:
        surface: Surface in its own frame.
        matrix: Linear map from its own frame to the outer frame.
        centre: [m] Position of its origin in the outer frame.
    """

    surface: ImplicitSurface
    matrix: Float[np.ndarray, "3 3"]
    centre: Float[np.ndarray, " 3"]

    @property
    def bounding_radius(self) -> float:
        """[m] Radius of a ball around the origin that contains the surface."""
        return float(np.linalg.norm(self.centre) + np.linalg.norm(self.matrix, 2) * self.surface.bounding_radius)

    def level(self, points: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute f [m] at points [m], in their precision; under uneven stretching only the sign is exact."""
        kind = points.dtype.type
        inverse = np.linalg.inv(self.matrix).T.astype(kind)
        scale = kind(abs(np.linalg.det(self.matrix)) ** (1 / 3))
        return np.asarray(scale * self.surface.level((points - self.centre.astype(kind)) @ inverse))


def disc_volume(radius: float, roundness: float = 0.0) -> float:
    """Compute the volume [m³] of a `Disc`: linear in the roundness, 94.1 fL for that of Evans and Fung.

    Args:
        radius: [m] Radius R.
        roundness: Roundness m.
    """
    # ∫₀¹ √(1 − s) sᵏ ds = 2/3, 4/15, 16/105.
    flat = float(np.dot(EVANS_FUNG, (2 / 3, 4 / 15, 16 / 105)))
    return float(np.pi * radius**3 * ((1 - roundness) * flat + roundness * 4 / 3))


def _distance(g: Float[np.ndarray, " point"], steep: Float[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
    """Compute f from g and |∇g|²."""
    kind = g.dtype.type
    bottom = np.sqrt(steep) + np.sqrt(np.maximum(steep - 4 * g, 0))
    return np.asarray(2 * g / np.maximum(bottom, kind(1e-6)))


def _smooth_minimum(
    a: Float[np.ndarray, " point"], b: Float[np.ndarray, " point"], seam: float
) -> Float[np.ndarray, " point"]:
    """Compute the smaller of two levels, less a quarter of the seam's width where they are equal."""
    if not seam > 0:
        return np.asarray(np.minimum(a, b))
    width = a.dtype.type(seam)
    share = np.maximum(width - np.abs(a - b), 0) / width
    return np.asarray(np.minimum(a, b) - share * share * (width / 4))
