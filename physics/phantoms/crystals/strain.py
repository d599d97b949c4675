"""Displacement fields of a crystal's lattice, in continuous space.

Points and vectors are (z, y, x) of the laboratory in metres; a field returns its component along a direction, as a
reflection depends on one component only. Dislocations and inclusions are those of an isotropic continuum.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

Points = Float[np.ndarray, "point 3"]
Vector = Float[np.ndarray, " 3"]
Component = Float[np.ndarray, " point"]


@runtime_checkable
class DisplacementField(Protocol):
    """Displacement field of a lattice."""

    def along(self, points: Points, direction: Vector) -> Component:
        """Compute the component of the displacement along a direction.

        Args:
            points: [m] Points.
            direction: Vector of length 1 for a displacement in metres; −G for a phase.
        """

    def scale(self, factor: float) -> "DisplacementField":
        """Multiply the displacement by a factor."""


@dataclass(frozen=True)
class Polynomial:
    """u = Σ_k c_k Π_i (r_i/L)^(m_ki): bending and gradients over the whole crystal.

    Args:
        powers: Powers m of each term along (z, y, x).
        coefficients: [m] Vector c of each term.
        length: [m] Length L.
    """

    powers: Int[np.ndarray, "term 3"]
    coefficients: Float[np.ndarray, "term 3"]
    length: float

    @classmethod
    def random(cls, rng: np.random.Generator, length: float, degree: int = 3) -> "Polynomial":
        """Draw all terms from the second degree on; lower ones only shift the crystal or its peak.

        Args:
            rng: Random number generator.
            length: [m] Approximate radius of the crystal.
            degree: Highest degree.
        """
        powers = np.array([m for m in np.ndindex(*[degree + 1] * 3) if 2 <= sum(m) <= degree])
        return cls(powers, length * rng.normal(size=(len(powers), 3)), length)

    def along(self, points: Points, direction: Vector) -> Component:
        """Compute the component of the displacement along a direction."""
        reduced = points / self.length
        total = np.zeros(len(points))
        for powers, weight in zip(self.powers, self.coefficients @ direction, strict=True):
            term = np.full(len(points), weight)
            for axis, power in enumerate(powers):
                for _ in range(power):
                    term *= reduced[:, axis]
            total += term
        return total

    def scale(self, factor: float) -> "Polynomial":
        """Multiply the displacement by a factor."""
        return replace(self, coefficients=factor * self.coefficients)


@dataclass(frozen=True)
class Waves:
    """u = Σ_k p_k cos(k_k·r + α_k): a stationary and isotropic random field.

    Args:
        polarisations: [m] Polarisations p.
        wave_vectors: [1/m] Wave vectors k.
        phases: [rad] Phases α.
    """

    polarisations: Float[np.ndarray, "wave 3"]
    wave_vectors: Float[np.ndarray, "wave 3"]
    phases: Float[np.ndarray, " wave"]

    @classmethod
    def random(cls, rng: np.random.Generator, correlation: float, terms: int = 24) -> "Waves":
        """Draw a field of unit [m] variance along every direction, and covariance exp(−r²/2ℓ²) in the limit.

        Args:
            rng: Random number generator.
            correlation: [m] Correlation length ℓ.
            terms: Number of waves.
        """
        return cls(
            rng.normal(size=(terms, 3)) * np.sqrt(2 / terms),
            rng.normal(size=(terms, 3)) / correlation,
            rng.uniform(0, 2 * np.pi, terms),
        )

    def along(self, points: Points, direction: Vector) -> Component:
        """Compute the component of the displacement along a direction."""
        total = np.zeros(len(points))
        weights = self.polarisations @ direction
        for weight, wave_vector, phase in zip(weights, self.wave_vectors, self.phases, strict=True):
            total += weight * np.cos(points @ wave_vector + phase)
        return total

    def scale(self, factor: float) -> "Waves":
        """Multiply the displacement by a factor."""
        return replace(self, polarisations=factor * self.polarisations)


@dataclass(frozen=True)
class Relaxation:
    """u = Σ_f c_f n_f exp(−depth_f/ℓ): relaxation of the lattice below its facets.

    Args:
        normals: Outward normal n of each facet.
        offsets: [m] Distance of each facet from the origin.
        amplitudes: [m] Outward displacement c at each facet.
        decay: [m] Decay length ℓ.
    """

    normals: Float[np.ndarray, "facet 3"]
    offsets: Float[np.ndarray, " facet"]
    amplitudes: Float[np.ndarray, " facet"]
    decay: float

    def along(self, points: Points, direction: Vector) -> Component:
        """Compute the component of the displacement along a direction."""
        total = np.zeros(len(points))
        weights = self.amplitudes * (self.normals @ direction)
        for weight, normal, offset in zip(weights, self.normals, self.offsets, strict=True):
            # Beyond the facet there is no lattice: voxels across it take the value at the facet.
            total += weight * np.exp(-np.maximum(offset - points @ normal, 0) / self.decay)
        return total

    def scale(self, factor: float) -> "Relaxation":
        """Multiply the displacement by a factor."""
        return replace(self, amplitudes=factor * self.amplitudes)


@dataclass(frozen=True)
class Inclusion:
    """Ball with a misfit to the lattice around it: u = ε (r − c) inside, ε R³ (r − c)/|r − c|³ outside.

    Eshelby, Proc. R. Soc. A 241, 376 (1957), for a ball.

    Args:
        centre: [m] Centre c.
        radius: [m] Radius R.
        misfit: Strain ε inside.
    """

    centre: Vector
    radius: float
    misfit: float

    def along(self, points: Points, direction: Vector) -> Component:
        """Compute the component of the displacement along a direction."""
        relative = points - self.centre
        fall = (self.radius / np.maximum(np.linalg.norm(relative, axis=1), self.radius)) ** 3
        component: Component = self.misfit * fall * (relative @ direction)
        return component

    def scale(self, factor: float) -> "Inclusion":
        """Multiply the displacement by a factor."""
        return replace(self, misfit=factor * self.misfit)


@dataclass(frozen=True)
class StackingFault:
    """Shift of the lattice beyond a plane: u = s for n·r > d.

    Args:
        normal: Normal n of the plane.
        offset: [m] Distance d of the plane from the origin.
        step: [m] Shift s.
    """

    normal: Vector
    offset: float
    step: Vector

    def along(self, points: Points, direction: Vector) -> Component:
        """Compute the component of the displacement along a direction."""
        component: Component = (points @ self.normal > self.offset) * float(self.step @ direction)
        return component

    def scale(self, factor: float) -> "StackingFault":
        """Multiply the displacement by a factor."""
        return replace(self, step=factor * self.step)


@dataclass(frozen=True)
class Dislocation:
    """Straight dislocation: screw, edge or mixed (Hirth & Lothe, *Theory of Dislocations*, eqs. 3-1 and 3-45).

    Around the line, in the sense of a right-handed screw, u grows by the Burgers vector. With x along the edge part of
    the Burgers vector, z along the line, and θ the angle from x towards y:

        u_z = b_s θ/2π,   u_x = b_e/2π [θ + sin 2θ / 4(1−ν)],
        u_y = −b_e/2π [(1−2ν)/4(1−ν) ln r² + cos 2θ / 4(1−ν)].

    Args:
        point: [m] Point of the line.
        line: Direction of the line, of length 1.
        burgers: [m] Burgers vector.
        poisson: Poisson's ratio ν.
        core: [m] Radius of the core, which is added to r in square.
    """

    point: Vector
    line: Vector
    burgers: Vector
    poisson: float = 0.3
    core: float = 3e-10

    def along(self, points: Points, direction: Vector) -> Component:
        """Compute the component of the displacement along a direction."""
        screw = self.burgers @ self.line
        x, y, edge = self._frame()
        relative = points - self.point
        angle = np.arctan2(relative @ y, relative @ x)
        square = (relative @ x) ** 2 + (relative @ y) ** 2 + self.core**2
        stiffness = 4 * (1 - self.poisson)
        logarithm = (1 - 2 * self.poisson) / stiffness * np.log(square / self.core**2)
        along_x = edge * (angle + np.sin(2 * angle) / stiffness)
        along_y = -edge * (logarithm + np.cos(2 * angle) / stiffness)
        total = screw * angle * (self.line @ direction) + along_x * (x @ direction) + along_y * (y @ direction)
        component: Component = total / (2 * np.pi)
        return component

    def scale(self, factor: float) -> "Dislocation":
        """Multiply the displacement by a factor; only whole numbers leave a lattice."""
        return replace(self, burgers=factor * self.burgers)

    def _frame(self) -> tuple[Vector, Vector, float]:
        """Compute the directions x and y, and the length [m] of the Burgers vector's edge part."""
        part = self.burgers - (self.burgers @ self.line) * self.line
        length = float(np.linalg.norm(part))
        if length < 1e-6 * np.linalg.norm(self.burgers):
            part, length = np.eye(3)[np.argmin(np.abs(self.line))], 0.0
            part = part - (part @ self.line) * self.line
        x = part / np.linalg.norm(part)
        # The order z, y, x is left-handed: the factors of the vector product are exchanged.
        return x, np.cross(x, self.line), length
