"""Bodies with smooth closed surfaces, and their occupancy of voxels.

Notation
--------
r      point (z, y, x) [m]
q      the point in the frame of the body: q = diag(1/a) Oᵀ (r − c), with centre c, semi-axes a, orientation O
f      level f = |q| − 1 − ε(q/|q|): negative inside, zero on the surface; ε ripples the surface
Δ      size of a voxel (z, y, x) [m]

A voxel whose centre is at the signed distance d = f/|∇f| from a flat surface of unit normal n = ∇f/|∇f| is filled to
½ − d/w, clipped to 0…1. With w = |n∘Δ| the edge has the variance of the voxel along n; f/|∇f∘Δ| equals d/w. A curved
surface needs one more term: over a voxel of covariance C = diag(Δ²/12) it deviates from the flat one by
`Body._curvature_term`. Voxels that are not small against the body are divided. The sum over all voxels is then the
body's volume to about a per cent, if no semi-axis is below a quarter of a voxel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

_LEAST_VOXELS_PER_SEMI_AXIS = 2.0
"""Number of voxels in the smallest semi-axis below which voxels are divided."""
_MOST_DIVISIONS = 8
"""Largest number of divisions of a voxel along an axis."""
_CHUNK_SAMPLES = 400_000
"""Samples that are processed together, which limits the memory."""


@dataclass(frozen=True)
class Ripple:
    """Smooth random function on the sphere of directions, ε(u) = Σ_k A_k cos(ω_k·u + φ_k).

    Args:
        amplitudes: Amplitudes A_k, relative to the radius.
        frequencies: [rad] Frequencies ω_k: at most |ω| waves around the body.
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
            frequency: [rad] Scale of the frequencies: |ω| is uniform from 0.5 to 1.3 times it.
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
        """[m] Half the size along z, y, x of a box that contains the body: its bounding box, if there is no ripple."""
        largest_radius = 1 + (self.ripple.bound if self.ripple else 0)
        half: Float[np.ndarray, " 3"] = largest_radius * np.linalg.norm(np.linalg.inv(self.to_unit_ball), axis=1)
        return half

    def rotate(self, rotation: Float[np.ndarray, "3 3"]) -> "Body":
        """Rotate the body about the origin: the point r moves to ``rotation @ r``."""
        axes = np.eye(3) if self.orientation is None else self.orientation
        return replace(self, centre=rotation @ self.centre, orientation=rotation @ axes)

    def enlarge(self, factor: float) -> "Body":
        """Enlarge the body about the origin: the point r moves to ``factor * r``."""
        return replace(self, centre=factor * self.centre, semi_axes=factor * self.semi_axes)

    def contains(self, points: Float[np.ndarray, "point 3"], margin: float | int = 0.0) -> Bool[np.ndarray, " point"]:
        """Check whether points [m] lie inside, where the level f is below −margin (in units of the semi-axes)."""
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
        divisions = np.ceil(_LEAST_VOXELS_PER_SEMI_AXIS * size / self.semi_axes.min())
        parts = [int(n) for n in np.clip(divisions, 1, _MOST_DIVISIONS)]
        fz, fy, fx = (subdivide(a, float(d), m) for a, d, m in zip((z, y, x), size, parts, strict=True))
        filled = self._occupancy_of_small_voxels(fz, fy, fx, size / parts)
        return filled if max(parts) == 1 else average_parts(filled, parts)

    def _occupancy_of_small_voxels(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the occupancy of voxels that are small against the body, from the level near the surface."""
        filled = np.empty((len(z), len(y), len(x)))
        step = max(1, _CHUNK_SAMPLES // max(1, len(y) * len(x)))
        to_z, to_y, to_x = self.to_unit_ball.T
        lateral = np.outer(y - self.centre[1], to_y)[:, None] + np.outer(x - self.centre[2], to_x)[None, :]
        half_diagonal = float(np.linalg.norm(size / 2) / self.semi_axes.min())
        ripple_bound = self.ripple.bound if self.ripple else 0.0
        for start in range(0, len(z), step):
            part = slice(start, start + step)
            q = np.multiply.outer(z[part] - self.centre[0], to_z)[:, None, None, :] + lateral
            radius = np.sqrt(np.einsum("...i,...i", q, q))
            filled[part] = radius < 1
            near = np.abs(radius - 1) < ripple_bound + 2 * half_diagonal
            level, gradient = self._level(q[near], radius[near])
            width = np.maximum(np.linalg.norm(gradient * size, axis=1), 1e-12)
            level += self._curvature_term(q[near], radius[near], level / width, size)
            filled[part][near] = np.clip(0.5 - level / width, 0, 1)
        return filled

    def _curvature_term(
        self,
        q: Float[np.ndarray, "point 3"],
        radius: Float[np.ndarray, " point"],
        relative_level: Float[np.ndarray, " point"],
        size: Float[np.ndarray, " 3"],
    ) -> Float[np.ndarray, " point"]:
        """Compute the mean of f's second-order term over the part of a voxel that the surface passes through.

        With M = ∂q/∂r, u = q/|q|, g = Mᵀu and H = Mᵀ(1 − uuᵀ)M/|q|, and an offset t within the voxel of covariance C:
        E[½ tᵀHt | surface] = ½ [tr CH + (f²/σ⁴ − 1/σ²) hᵀHh], where σ² = gᵀCg and h = Cg; f²/σ² is at most 3 within
        the edge. The slope and the curvature of ripples are neglected: they are small.

        Args:
            q: Points in the frame of the body.
            radius: Norm |q|.
            relative_level: Level f over the width of the edge, d/w.
            size: [m] Size of a voxel.
        """
        safe = np.maximum(radius, 0.1)
        u = q / safe[:, None]
        variance = size**2 / 12
        gradient = u @ self.to_unit_ball
        level_variance = np.einsum("pi,i,pi->p", gradient, variance, gradient)
        covariance = (gradient * variance) @ self.to_unit_ball.T
        quadratic = np.einsum("pi,pi->p", covariance, covariance) - np.einsum("pi,pi->p", covariance, u) ** 2
        trace = np.sum(self.to_unit_ball**2 @ variance) - level_variance
        excess = np.clip(12 * relative_level**2, 0, 3) - 1
        doubled = (trace + excess * quadratic / np.maximum(level_variance, 1e-24)) / safe
        return np.asarray(doubled / 2)

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


def subdivide(axis: Float[np.ndarray, " n"], size: float, parts: int) -> Float[np.ndarray, " m"]:
    """Compute the centres [m] of the parts of voxels."""
    return (axis[:, None] + size * ((np.arange(parts) + 0.5) / parts - 0.5)).ravel()


def average_parts(values: Float[np.ndarray, "z y x"], parts: Sequence[int]) -> Float[np.ndarray, "k j i"]:
    """Average over the parts (z, y, x) of each voxel; see `subdivide`."""
    (nz, mz), (ny, my), (nx, mx) = ((n // m, m) for n, m in zip(values.shape, parts, strict=True))
    return np.asarray(values.reshape(nz, mz, ny, my, nx, mx).mean(axis=(1, 3, 5)))
