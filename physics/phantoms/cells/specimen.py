"""Simulated specimen, described in continuous space and sampled on any grid.

Axes are ``z y x`` in metres; the specimen is at the origin. Each body replaces those before it: a nucleus the
cytoplasm, a nucleolus the nucleus.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from .body import Body
from .implicit import ImplicitBody


@dataclass(frozen=True)
class Specimen:
    """Bodies in a medium.

    Args:
        bodies: Bodies; later ones replace earlier ones where they overlap.
        medium_index: Refractive index of the medium.
    """

    bodies: tuple[Body | ImplicitBody, ...]
    medium_index: float

    @property
    def extent(self) -> tuple[float, float, float]:
        """[m] Size (z, y, x) of the bounding box centred on the origin."""
        far = np.max([np.zeros(3), *(np.abs(b.centre) + b.half_extent for b in self.bodies)], axis=0)
        z, y, x = (2 * float(f) for f in far)
        return z, y, x

    @property
    def absorbs(self) -> bool:
        """Whether any body has an imaginary index."""
        return any(body.absorption for body in self.bodies)

    def sample(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the index contrast n − n_m, averaged over each voxel of an evenly spaced grid.

        Args:
            z: [m] Centres of the voxels along z.
            y: [m] Centres along y.
            x: [m] Centres along x.
        """
        return self._sample_quantity(z, y, x, "index", self.medium_index)

    def absorption(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "z y x"]:
        """Compute the imaginary index, averaged over each voxel; arguments as for :meth:`sample`."""
        return self._sample_quantity(z, y, x, "absorption", 0.0)

    def rotate(self, rotation: Float[np.ndarray, "3 3"]) -> "Specimen":
        """Rotate the specimen about the origin: the point r moves to ``rotation @ r``."""
        return replace(self, bodies=tuple(body.rotate(rotation) for body in self.bodies))

    def scale_contrast(self, factor: float | int) -> "Specimen":
        """Multiply the index contrast; the shape stays the same."""
        n = self.medium_index
        return replace(self, bodies=tuple(replace(b, index=n + factor * (b.index - n)) for b in self.bodies))

    def translate(self, offset: Float[np.ndarray, " 3"]) -> "Specimen":
        """Move the specimen by an offset [m] (z, y, x)."""
        return replace(self, bodies=tuple(replace(b, centre=b.centre + offset) for b in self.bodies))

    def swell(self, factor: float) -> "Specimen":
        """Enlarge the specimen about the origin at the same dry mass: the index contrast falls with the volume.

        Raises:
            TypeError: If a body is no ellipsoid.
        """
        bodies = []
        for body in self.bodies:
            if not isinstance(body, Body):
                raise TypeError(f"a {type(body).__name__} does not swell")
            bodies.append(body.enlarge(factor))
        return replace(self, bodies=tuple(bodies)).scale_contrast(factor**-3)

    def _sample_quantity(
        self,
        z: Float[np.ndarray, " z"],
        y: Float[np.ndarray, " y"],
        x: Float[np.ndarray, " x"],
        quantity: Literal["index", "absorption"],
        background: float,
    ) -> Float[np.ndarray, "z y x"]:
        """Sample one quantity, less its background, body by body within their boxes."""
        axes = (np.asarray(z, float), np.asarray(y, float), np.asarray(x, float))
        size = np.array([float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in axes])
        values = np.zeros([len(a) for a in axes], np.float32)
        for body in self.bodies:
            reach = body.half_extent + size
            limits = zip(axes, body.centre - reach, body.centre + reach, strict=True)
            bz, by, bx = (slice(*np.searchsorted(axis, (low, high))) for axis, low, high in limits)
            here = values[bz, by, bx]
            if here.size:
                filled = body.occupancy(axes[0][bz], axes[1][by], axes[2][bx], size)
                here += (filled * (getattr(body, quantity) - background - here)).astype(np.float32)
        return values
