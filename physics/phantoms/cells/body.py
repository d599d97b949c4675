"""Bodies with smooth closed surfaces, and their occupancy of voxels.

Notation
--------
r      point (z, y, x) [m]
q      the point in the frame of the body: q = diag(1/a) Oᵀ (r − c), with centre c, semi-axes a, orientation O
f      level f = |q| − 1 − ε(q/|q|): negative inside, zero on the surface; ε ripples the surface
Δ      size of a voxel (z, y, x) [m]

A voxel whose centre is at the signed distance d = f/|∇f| from a flat surface of normal g = ∇f/|∇f| is filled to
½ − d/w, clipped to 0…1. With w = |g∘Δ| the edge is as wide as the voxel is across, and the sum over all voxels is the
body's volume on every grid; f/|∇f∘Δ| equals d/w. A curved surface needs one more term: over a voxel of covariance
C = diag(Δ²/12) it deviates from the flat one by `Body._curvature_term`. Voxels that are not small against the body are
divided.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

_SMALL = 2.0
"""Least number of voxels in the smallest semi-axis: a ball's volume is then correct to some tenths of a per cent."""
_FINEST = 8
"""Largest number of divisions of a voxel along an axis."""
_CHUNK = 400_000
"""Samples that are processed together, which limits the memory."""


@dataclass(frozen=True)
class Ripple:
    """Smooth random function on the sphere of directions, ε(u) = Σ_k A_k cos(ω_k·u + φ_k).

    Args:
        amplitudes: Amplitudes A_k, relative to the radius.
        frequencies: [rad] Frequencies ω_k: about |ω| waves around the body.
        phases: [rad] Phases φ_k.
    """

    amplitudes: Float[np.ndarray, " k"]
    frequencies: Float[np.ndarray, "k 3"]
    phases: Float[np.ndarray, " k"]

    @classmethod
    def random(
        cls, rng: np.random.Generator, amplitude: float | int, frequency: float | int, terms: int = 12
    ) -> "Ripple":
        """Draw a ripple.

        Args:
            rng: Random number generator.
            amplitude: Standard deviation, relative to the radius.
            frequency: [rad] Approximate number of waves around the body.
            terms: Number of terms.
        """
        directions = rng.normal(size=(terms, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return cls(
            np.full(terms, amplitude * np.sqrt(2 / terms)),
            frequency * rng.uniform(0.5, 1.3, (terms, 1)) * directions,
            rng.uniform(0, 2 * np.pi, terms),
        )

    def __add__(self, other: "Ripple") -> "Ripple":
        return Ripple(
            np.concatenate([self.amplitudes, other.amplitudes]),
            np.concatenate([self.frequencies, other.frequencies]),
            np.concatenate([self.phases, other.phases]),
        )

    @property
    def bound(self) -> float:
        """Upper bound of |ε|."""
        return float(np.abs(self.amplitudes).sum())

    def __call__(
        self, u: Float[np.ndarray, "point 3"]
    ) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "point 3"]]:
        """Evaluate ε and its gradient at directions u."""
        angle = u @ self.frequencies.T + self.phases
        return np.cos(angle) @ self.amplitudes, -np.sin(angle) @ (self.amplitudes[:, None] * self.frequencies)


@dataclass(frozen=True)
class Body:
    """Ellipsoid with a rippled surface and a complex refractive index.

    Args:
        centre: [m] Centre (z, y, x).
        semi_axes: [m] Semi-axes along the body's own axes.
        index: Refractive index (absolute).
        absorption: Imaginary refractive index.
        orientation: Columns: the body's axes in (z, y, x); None for z, y, x.
        ripple: Deviation of the surface from the ellipsoid; None for none.
    """

    centre: Float[np.ndarray, " 3"]
    semi_axes: Float[np.ndarray, " 3"]
    index: float
    absorption: float = 0.0
    orientation: Float[np.ndarray, "3 3"] | None = None
    ripple: Ripple | None = None

    @property
    def to_unit_ball(self) -> Float[np.ndarray, "3 3"]:
        """[1/m] Matrix that takes r − c to q; the ellipsoid becomes the unit ball."""
        axes = np.eye(3) if self.orientation is None else self.orientation
        matrix: Float[np.ndarray, "3 3"] = axes.T / self.semi_axes[:, None]
        return matrix

    @property
    def half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the size of the bounding box along z, y, x."""
        swell = 1 + (self.ripple.bound if self.ripple else 0)
        half: Float[np.ndarray, " 3"] = swell * np.linalg.norm(np.linalg.inv(self.to_unit_ball), axis=1)
        return half

    def rotate(self, rotation: Float[np.ndarray, "3 3"]) -> "Body":
        """Rotate the body about the origin: the point r moves to ``rotation @ r``."""
        axes = np.eye(3) if self.orientation is None else self.orientation
        return replace(self, centre=rotation @ self.centre, orientation=rotation @ axes)

    def contains(self, points: Float[np.ndarray, "point 3"], margin: float | int = 0.0) -> Bool[np.ndarray, " point"]:
        """Whether points [m] lie inside, at least ``margin`` (in units of the semi-axes) below the surface."""
        q = (points - self.centre) @ self.to_unit_ball.T
        inside: Bool[np.ndarray, " point"] = self._level(q, np.linalg.norm(q, axis=1))[0] < -margin
        return inside

    def occupancy(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the fraction of each voxel that the body fills.

        Args:
            z: [m] Centres of the voxels along z.
            y: [m] Centres along y.
            x: [m] Centres along x.
            size: [m] Size of a voxel (z, y, x); 0 along an axis samples the body in a plane.
        """
        parts = [int(np.clip(np.ceil(_SMALL * d / self.semi_axes.min()), 1, _FINEST)) for d in size]
        fz, fy, fx = (_subdivide(a, float(d), m) for a, d, m in zip((z, y, x), size, parts, strict=True))
        filled = self._occupancy_of_small_voxels(fz, fy, fx, size / parts)
        if max(parts) == 1:
            return filled
        (nz, mz), (ny, my), (nx, mx) = zip((len(z), len(y), len(x)), parts, strict=True)
        averaged: Float[np.ndarray, "z y x"] = filled.reshape(nz, mz, ny, my, nx, mx).mean(axis=(1, 3, 5))
        return averaged

    def _occupancy_of_small_voxels(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the occupancy of voxels that are small against the body, from the level near the surface."""
        filled = np.empty((len(z), len(y), len(x)))
        step = max(1, _CHUNK // max(1, len(y) * len(x)))
        to_z, to_y, to_x = self.to_unit_ball.T
        across = np.outer(y - self.centre[1], to_y)[:, None] + np.outer(x - self.centre[2], to_x)[None, :]
        thick = float(np.linalg.norm(size / 2) / self.semi_axes.min())
        swell = self.ripple.bound if self.ripple else 0.0
        for start in range(0, len(z), step):
            part = slice(start, start + step)
            q = np.multiply.outer(z[part] - self.centre[0], to_z)[:, None, None, :] + across
            radius = np.sqrt(np.einsum("...i,...i", q, q))
            filled[part] = radius < 1
            near = np.abs(radius - 1) < swell + 2 * thick
            level, gradient = self._level(q[near], radius[near])
            width = np.maximum(np.linalg.norm(gradient * size, axis=1), 1e-12)
            level += self._curvature_term(q[near], radius[near], level / width, size)
            filled[part][near] = np.clip(0.5 - level / width, 0, 1)
        return filled

    def _curvature_term(
        self,
        q: Float[np.ndarray, "point 3"],
        radius: Float[np.ndarray, " point"],
        depth: Float[np.ndarray, " point"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, " point"]:
        """Compute the mean of f's second-order term over the part of a voxel that the surface passes through.

        With M = ∂q/∂r, u = q/|q|, g = Mᵀu and H = Mᵀ(1 − uuᵀ)M/|q|, and an offset t within the voxel of covariance C:
        E[½ tᵀHt | surface] = ½ [tr CH + (f²/σ⁴ − 1/σ²) hᵀHh], where σ² = gᵀCg and h = Cg. The curvature of
        ripples is neglected: it is small.

        Args:
            q: Points in the frame of the body.
            radius: Norm |q|.
            depth: Level f over the width of the edge.
            size: [m] Size of a voxel.
        """
        safe = np.maximum(radius, 0.1)
        u = q / safe[:, None]
        variance = size**2 / 12
        normal = u @ self.to_unit_ball
        across = np.einsum("pi,i,pi->p", normal, variance, normal)
        spread = (normal * variance) @ self.to_unit_ball.T
        sideways = np.einsum("pi,pi->p", spread, spread) - np.einsum("pi,pi->p", spread, u) ** 2
        trace = np.sum(self.to_unit_ball**2 @ variance) - across
        met = np.clip(12 * depth**2, 0, 3) - 1
        bend: Float[np.ndarray, " point"] = (trace + met * sideways / np.maximum(across, 1e-24)) / (2 * safe)
        return bend

    def _level(
        self, q: Float[np.ndarray, "point 3"], radius: Float[np.ndarray, " point"]
    ) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "point 3"]]:
        """Compute f and ∇f [1/m] at points q of norm ``radius``."""
        safe = np.maximum(radius, 1e-9)[:, None]
        u = q / safe
        level, gradient = radius - 1, u
        if self.ripple is not None:
            ripple, slope = self.ripple(u)
            tangential = slope - u * np.einsum("pi,pi->p", u, slope)[:, None]
            level, gradient = level - ripple, u - tangential / safe
        return level, gradient @ self.to_unit_ball


def _subdivide(axis: Float[np.ndarray, " n"], size: float, parts: int) -> Float[np.ndarray, " m"]:
    """Compute the centres [m] of the parts of voxels."""
    return (axis[:, None] + size * ((np.arange(parts) + 0.5) / parts - 0.5)).ravel()
