"""A region of space with a smooth closed surface, and how much of each voxel it fills.

Notation
--------
r      point (z, y, x) [m]
q      the point as the body sees it: q = diag(1/a) Oᵀ (r − c), with centre c, semi-axes a, orientation O
f      level f = |q| − 1 − ε(q/|q|): negative inside, zero on the surface; ε ripples the surface
Δ      size of a voxel (z, y, x) [m]

A voxel whose centre is at the signed distance d = f/|∇f| from a flat surface of normal g = ∇f/|∇f| is filled to
½ − d/w, clipped to 0…1. With w = |g∘Δ| the edge is as wide as the voxel is across, and the sum over all voxels is the
body's volume, whatever the grid; f/|∇f∘Δ| is d/w without the detour. A curved surface takes one more term: over a voxel
of covariance C = diag(Δ²/12) it bends away from the flat one by what `Body._bend` gives.
Where voxels are not small against the body even so, they are divided until they are.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

_SMALL = 2.0
"""Voxels that the smallest semi-axis must span: a ball's volume is then right to some tenths of a per cent."""
_FINEST = 8
"""Divisions of a voxel along an axis, at most."""
_CHUNK = 400_000
"""Samples that are looked at together, which bounds the memory."""


@dataclass(frozen=True)
class Ripple:
    """A smooth random function on the sphere of directions, ε(u) = Σ_k A_k cos(ω_k·u + φ_k).

    Args:
        amplitudes: A_k, relative to the radius.
        frequencies: ω_k [rad]: about |ω| waves go around the body.
        phases: φ_k [rad].
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
            rng: Source of randomness.
            amplitude: Standard deviation, relative to the radius.
            frequency: [rad] About this many waves go around the body.
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
        """|ε| is never larger than this."""
        return float(np.abs(self.amplitudes).sum())

    def __call__(
        self, u: Float[np.ndarray, "point 3"]
    ) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "point 3"]]:
        """Give ε and its gradient at directions u."""
        angle = u @ self.frequencies.T + self.phases
        return np.cos(angle) @ self.amplitudes, -np.sin(angle) @ (self.amplitudes[:, None] * self.frequencies)


@dataclass(frozen=True)
class Body:
    """An ellipsoid with a rippled surface, and what it is made of.

    Args:
        centre: [m] (z, y, x).
        semi_axes: [m] Along the body's own three axes.
        index: Refractive index (absolute).
        absorption: Imaginary refractive index.
        orientation: Columns are the body's axes, in (z, y, x).
        ripple: How the surface departs from the ellipsoid; None for not at all.
    """

    centre: Float[np.ndarray, " 3"]
    semi_axes: Float[np.ndarray, " 3"]
    index: float
    absorption: float = 0.0
    orientation: Float[np.ndarray, "3 3"] | None = None
    ripple: Ripple | None = None

    @property
    def to_unit_ball(self) -> Float[np.ndarray, "3 3"]:
        """[1/m] The matrix that takes r − c to q."""
        axes = np.eye(3) if self.orientation is None else self.orientation
        matrix: Float[np.ndarray, "3 3"] = axes.T / self.semi_axes[:, None]
        return matrix

    @property
    def half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the box along z, y, x that holds the body."""
        swell = 1 + (self.ripple.bound if self.ripple else 0)
        half: Float[np.ndarray, " 3"] = swell * np.linalg.norm(np.linalg.inv(self.to_unit_ball), axis=1)
        return half

    def rotate(self, rotation: Float[np.ndarray, "3 3"]) -> "Body":
        """The body turned about the origin: what was at r is then at ``rotation @ r``."""
        axes = np.eye(3) if self.orientation is None else self.orientation
        return replace(self, centre=rotation @ self.centre, orientation=rotation @ axes)

    def contains(self, points: Float[np.ndarray, "point 3"], margin: float | int = 0.0) -> Bool[np.ndarray, " point"]:
        """Whether points [m] lie inside, at least ``margin`` (in units of the semi-axes) below the surface."""
        q = (points - self.centre) @ self.to_unit_ball.T
        inside: Bool[np.ndarray, " point"] = self._level_of(q, np.linalg.norm(q, axis=1))[0] < -margin
        return inside

    def occupancy(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "z y x"]:
        """Fraction of each voxel that the body fills.

        Args:
            z: [m] Centres of the voxels along z.
            y: [m] Along y.
            x: [m] Along x.
            size: [m] Size of a voxel (z, y, x); 0 along an axis samples the body in a plane.
        """
        parts = [int(np.clip(np.ceil(_SMALL * d / self.semi_axes.min()), 1, _FINEST)) for d in size]
        fz, fy, fx = (_divided(a, float(d), m) for a, d, m in zip((z, y, x), size, parts, strict=True))
        filled = self._filled(fz, fy, fx, size / parts)
        if max(parts) == 1:
            return filled
        (nz, mz), (ny, my), (nx, mx) = zip((len(z), len(y), len(x)), parts, strict=True)
        averaged: Float[np.ndarray, "z y x"] = filled.reshape(nz, mz, ny, my, nx, mx).mean(axis=(1, 3, 5))
        return averaged

    def _filled(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "z y x"]:
        """Coverage where voxels are small against the body. Only those near the surface are looked at closely."""
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
            level, gradient = self._level_of(q[near], radius[near])
            width = np.maximum(np.linalg.norm(gradient * size, axis=1), 1e-12)
            level += self._bend(q[near], radius[near], level / width, size)
            filled[part][near] = np.clip(0.5 - level / width, 0, 1)
        return filled

    def _bend(
        self,
        q: Float[np.ndarray, "point 3"],
        radius: Float[np.ndarray, " point"],
        depth: Float[np.ndarray, " point"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, " point"]:
        """Mean of f's second-order term over the part of a voxel that the surface passes through.

        With M = ∂q/∂r, u = q/|q|, g = Mᵀu and H = Mᵀ(1 − uuᵀ)M/|q|, and an offset t within the voxel of covariance C:
        E[½ tᵀHt | the surface is met] = ½ [tr CH + (f²/σ⁴ − 1/σ²) hᵀHh], where σ² = gᵀCg and h = Cg. The curvature of
        ripples is left out: it is small.

        Args:
            q: Points, as the body sees them.
            radius: Their |q|.
            depth: f over the width of the edge.
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

    def _level_of(
        self, q: Float[np.ndarray, "point 3"], radius: Float[np.ndarray, " point"]
    ) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, "point 3"]]:
        """Give f and ∇f [1/m] at points q of the given |q|."""
        safe = np.maximum(radius, 1e-9)[:, None]
        u = q / safe
        level, gradient = radius - 1, u
        if self.ripple is not None:
            ripple, slope = self.ripple(u)
            tangential = slope - u * np.einsum("pi,pi->p", u, slope)[:, None]
            level, gradient = level - ripple, u - tangential / safe
        return level, gradient @ self.to_unit_ball


def _divided(axis: Float[np.ndarray, " n"], size: float, parts: int) -> Float[np.ndarray, " m"]:
    """Centres of the parts of voxels [m]."""
    return (axis[:, None] + size * ((np.arange(parts) + 0.5) / parts - 0.5)).ravel()
