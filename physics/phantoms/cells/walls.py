"""Thin walls: frustules of diatoms, and sheets. Axes of a body's own frame are ``z y x``."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from .implicit import ImplicitBody

_RELIEF = 0.45
"""Depth of the relief of ribs, relative to the wall."""


@dataclass(frozen=True)
class Frustule(ImplicitBody):
    """Silica box of a diatom: a hollow cylinder with an elliptic base across z, its walls thicker along ribs.

    Args:
        half_height: [m] Half the height along z.
        semi_axes: [m] Semi-axes (y, x) of the outline.
        wall: [m] Mean thickness of the walls, the inner half of which lies within these sizes.
        ribs: Number of ribs: around a centric frustule, along a pennate one. 0 for smooth walls.
        form: ``centric`` with ribs from the middle outwards, or ``pennate`` with ribs across its length along y.
    """

    half_height: float = 2e-6
    semi_axes: tuple[float, float] = (5e-6, 5e-6)
    wall: float = 0.4e-6
    ribs: int = 0
    form: Literal["centric", "pennate"] = "centric"

    @property
    def own_half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the size of a box around the centre, along the body's own axes, that contains the body."""
        return np.array([self.half_height, *self.semi_axes]) + self.wall

    @property
    def detail(self) -> float:
        """[m] Half the wall."""
        return self.wall / 2

    def level(self, q: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the level [m] of the wall at points of the body's own frame [m]."""
        return np.asarray(np.abs(self.outline(q)) - self._thickness(q) / 2)

    def outline(self, q: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the level [m] of the closed cylinder whose surface is the middle of the wall."""
        a, b = self.semi_axes
        scaled = np.hypot(q[:, 1] / a, q[:, 2] / b)
        slope = np.hypot(q[:, 1] / a**2, q[:, 2] / b**2) / np.maximum(scaled, 1e-9)
        side = (scaled - 1) / np.maximum(slope, 1 / max(a, b))
        return np.asarray(np.maximum(np.abs(q[:, 0]) - self.half_height, side))

    def _thickness(self, q: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        if self.form == "pennate":
            angle = self.ribs * np.pi * q[:, 1] / self.semi_axes[0]
        else:
            angle = self.ribs * np.arctan2(q[:, 1], q[:, 2])
        return np.asarray(self.wall * (1 + _RELIEF * np.cos(angle) * (self.ribs > 0)))


@dataclass(frozen=True)
class Cylinder(ImplicitBody):
    """Cylinder with an elliptic base across z, as of the inside of a frustule.

    Args:
        half_height: [m] Half the height along z.
        semi_axes: [m] Semi-axes (y, x) of the outline.
    """

    half_height: float = 2e-6
    semi_axes: tuple[float, float] = (5e-6, 5e-6)

    @property
    def own_half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the size of a box around the centre, along the body's own axes, that contains the body."""
        return np.array([self.half_height, *self.semi_axes])

    @property
    def detail(self) -> float:
        """[m] Smallest half-width."""
        return min(self.half_height, *self.semi_axes)

    def level(self, q: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the level [m] at points of the body's own frame [m]."""
        return Frustule(self.centre, self.index, half_height=self.half_height, semi_axes=self.semi_axes).outline(q)


@dataclass(frozen=True)
class Sheet(ImplicitBody):
    """Wavy sheet across z: |z − h(y, x)| below half its thickness, with h a sum of waves.

    Args:
        half_width: [m] Half the width (y, x).
        thickness: [m] Thickness along z.
        amplitudes: [m] Amplitudes of the waves.
        frequencies: [rad/m] Their frequencies (y, x).
        phases: [rad] Their phases.
    """

    half_width: tuple[float, float] = (5e-6, 5e-6)
    thickness: float = 0.5e-6
    amplitudes: Float[np.ndarray, " k"] = field(default_factory=lambda: np.zeros(0))
    frequencies: Float[np.ndarray, "k 2"] = field(default_factory=lambda: np.zeros((0, 2)))
    phases: Float[np.ndarray, " k"] = field(default_factory=lambda: np.zeros(0))

    @property
    def own_half_extent(self) -> Float[np.ndarray, " 3"]:
        """[m] Half the size of a box around the centre, along the body's own axes, that contains the body."""
        return np.array([np.abs(self.amplitudes).sum() + self.thickness, *self.half_width])

    @property
    def detail(self) -> float:
        """[m] Half the thickness."""
        return self.thickness / 2

    def level(self, q: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, " point"]:
        """Compute the level [m] at points of the body's own frame [m]."""
        height = np.cos(q[:, 1:] @ self.frequencies.T + self.phases) @ self.amplitudes
        sides = [np.abs(q[:, axis + 1]) - half for axis, half in enumerate(self.half_width)]
        return np.asarray(np.maximum(np.abs(q[:, 0] - height) - self.thickness / 2, np.maximum(*sides)))
