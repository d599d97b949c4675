"""Part of a specimen's spectrum that a few directions of light show: the union of their caps of the Ewald sphere.

Notation as in `missing_cone`. Light along p shows the spectrum at u = q − p, w = η(q) − η(p) for all |q| ≤ NA/λ, a cap
of a sphere through 0; of a real contrast it shows the point at (−u, −w) as well. A specimen that is turned by the
matrix R shows its own spectrum at Rᵀ(w, u). A box of depth L blurs the spectrum along w by 1/L: a frequency counts as
seen within half of that from a cap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from .missing_cone import Aperture

LATERAL, MOST_AXIAL, FEWEST_AXIAL = 49, 129, 33
"""Number of samples of the frequencies along y and x, and largest and smallest number along z; odd: 0 is one."""


@dataclass(frozen=True)
class Cap:
    """Cap of the Ewald sphere of one direction of light.

    Args:
        direction: Numerical aperture (y, x) of the light.
        rotation: Matrix that turns the specimen's (z, y, x) into the laboratory's; None for a specimen at rest.
    """

    direction: tuple[float, float]
    rotation: Float[np.ndarray, "3 3"] | None = None


@dataclass(frozen=True)
class FrequencyBall:
    """Frequencies up to the lateral cut-off in all directions: those of an isotropic resolution.

    Args:
        radius: [1/m] Lateral cut-off.
        tolerance: [1/m] Distance along w from a cap up to which a frequency is seen.
        axes: [1/m] Frequencies along z, y and x.
    """

    radius: float
    tolerance: float
    axes: tuple[Float[np.ndarray, " z"], Float[np.ndarray, " y"], Float[np.ndarray, " x"]]

    @classmethod
    def of(cls, aperture: Aperture, depth: float) -> "FrequencyBall":
        """Sample the ball of an instrument.

        Args:
            aperture: Apertures of light and objective.
            depth: [m] Depth of the box.
        """
        radius = (aperture.illumination_na + aperture.numerical_aperture) / aperture.wavelength
        slices = int(np.clip(2 * round(radius * depth) + 1, FEWEST_AXIAL, MOST_AXIAL))
        lateral = np.linspace(-radius, radius, LATERAL)
        return cls(radius, 0.5 / depth, (np.linspace(-radius, radius, slices | 1), lateral, lateral))

    @property
    def inside(self) -> Bool[np.ndarray, "z y x"]:
        """Samples within the ball."""
        w, uy, ux = (axis**2 for axis in self.axes)
        return np.asarray(w[:, None, None] + uy[:, None] + ux <= self.radius**2 * (1 + 1e-9))

    def share(self, seen: Bool[np.ndarray, "z y x"]) -> float:
        """Share of the ball that a mask of the samples covers."""
        inside = self.inside
        return float(np.count_nonzero(seen & inside) / np.count_nonzero(inside))


def count_caps(ball: FrequencyBall, aperture: Aperture, caps: Sequence[Cap]) -> Int[np.ndarray, "z y x"]:
    """Count the caps that show each frequency of a ball.

    Args:
        ball: Frequencies.
        aperture: Apertures of light and objective.
        caps: The caps.
    """
    counts = np.zeros([len(axis) for axis in ball.axes], np.int32)
    for cap in caps:
        rotation = cap.rotation
        counts += _at_rest(ball, aperture, cap) if rotation is None else _turned(ball, aperture, cap, rotation)
    return counts


def count_caps_at(
    points: Float[np.ndarray, "n 3"], tolerance: float, aperture: Aperture, caps: Sequence[Cap]
) -> Int[np.ndarray, " n"]:
    """Count the caps that show each of some frequencies.

    Args:
        points: [1/m] Frequencies (w, u_y, u_x).
        tolerance: [1/m] Distance along w from a cap up to which a frequency is seen.
        aperture: Apertures of light and objective.
        caps: The caps.
    """
    counts = np.zeros(len(points), np.int32)
    for cap in caps:
        own = points if cap.rotation is None else points @ cap.rotation.T
        near = [np.abs(s * own[:, 0] - _height(s * own[:, 1], s * own[:, 2], cap, aperture)) for s in (1, -1)]
        counts += (near[0] <= tolerance) | (near[1] <= tolerance)
    return counts


def highest_frequencies(aperture: Aperture, caps: Sequence[Cap]) -> tuple[float, float, float]:
    """[1/m] Find the highest frequency along z, y and x that caps show.

    Along a direction (d_z, d_t) of the laboratory a cap's η(q) d_z + q·d_t is extreme where the sphere faces that
    direction, q = ± (n/λ) d_t, if that passes the pupil, or else on the rim, q = ± (NA/λ) d_t/|d_t|.

    Args:
        aperture: Apertures of light and objective.
        caps: The caps, at least one.
    """
    cutoff, rim = (n / aperture.wavelength for n in (aperture.medium_index, aperture.numerical_aperture))
    highest = np.zeros(3)
    for cap in caps:
        light = np.array(cap.direction) / aperture.wavelength
        rotation = np.eye(3) if cap.rotation is None else cap.rotation
        for axis, direction in enumerate(rotation.T):
            transverse = float(np.hypot(*direction[1:]))
            unit = direction[1:] / transverse if transverse > 1e-12 else np.array([1.0, 0.0])
            radii = np.array([-rim, -min(cutoff * transverse, rim), min(cutoff * transverse, rim), rim])
            q = np.concatenate([radii[:, None] * unit, light[None]])
            reach = np.sqrt(np.maximum(cutoff**2 - (q**2).sum(axis=1), 0)) * direction[0] + q @ direction[1:]
            highest[axis] = max(highest[axis], np.abs(reach[:-1] - reach[-1]).max())
    z, y, x = highest
    return float(z), float(y), float(x)


def _height(
    uy: Float[np.ndarray, "*n"], ux: Float[np.ndarray, "*n"], cap: Cap, aperture: Aperture
) -> Float[np.ndarray, "*n"]:
    """[1/m] Axial frequency of a cap at transverse frequencies; NaN beyond the pupil."""
    cutoff = aperture.medium_index / aperture.wavelength
    py, px = (na / aperture.wavelength for na in cap.direction)
    squared = (uy + py) ** 2 + (ux + px) ** 2
    passes = squared <= (aperture.numerical_aperture / aperture.wavelength) ** 2 * (1 + 1e-6)
    light = np.sqrt(max(cutoff**2 - py**2 - px**2, 0.0))
    return np.where(passes, np.sqrt(np.maximum(cutoff**2 - squared, 0)) - light, np.nan)


def _at_rest(ball: FrequencyBall, aperture: Aperture, cap: Cap) -> Bool[np.ndarray, "z y x"]:
    w, uy, ux = ball.axes
    grid_y, grid_x = np.meshgrid(uy, ux, indexing="ij")
    height = _height(grid_y, grid_x, cap, aperture)
    seen = np.abs(w[:, None, None] - height) <= ball.tolerance
    return np.asarray(seen | seen[::-1, ::-1, ::-1])


def _turned(
    ball: FrequencyBall, aperture: Aperture, cap: Cap, rotation: Float[np.ndarray, "3 3"]
) -> Bool[np.ndarray, "z y x"]:
    points = np.stack(np.meshgrid(*ball.axes, indexing="ij"), axis=-1) @ rotation.T
    seen = np.abs(points[..., 0] - _height(points[..., 1], points[..., 2], cap, aperture)) <= ball.tolerance
    return np.asarray(seen | seen[::-1, ::-1, ::-1])
