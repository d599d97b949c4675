"""A surface through a known section, in NumPy: the signed distance of a cell.

A cubic B-spline gives the distance everywhere; a second one, over the plane of the section, is added to it near that
plane, so that the surface passes through the section: ``spline(z, y, x) + e^(−z²/2w²) · rim(y, x)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import DataError
from . import near_points, numpy_spline
from .numpy_common import get_weight


@dataclass(frozen=True)
class NumpySection:
    """Signed distance of a cell with a known section.

    Args:
        grid: Coefficients of the spline in space.
        rim: Coefficients of the spline that is added in the plane.
        width: w, in normalised coordinates.
    """

    grid: Float[np.ndarray, "1 nz ny nx"]
    rim: Float[np.ndarray, "1 my mx"]
    width: float

    @classmethod
    def load(cls, architecture: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> "NumpySection":
        """Build the field from a model file's description and weights.

        Raises:
            DataError: If the width is not positive.
        """
        width = float(architecture["width"])
        if not width > 0:
            raise DataError(f"the width {width} of the section is not positive")
        grid = get_weight(weights, "grid", (1, *architecture["shape"]))
        return cls(grid, get_weight(weights, "rim", (1, *architecture["section"])), width)

    @property
    def outputs(self) -> int:
        """Number of raw outputs."""
        return 1

    @property
    def samples(self) -> tuple[int, int, int]:
        """Cells of half the finer of both splines' intervals: the surface is smooth, and this shows it so."""
        y, x = (n - numpy_spline.ORDER + 1 for n in self.rim.shape[1:])
        return x, y, x

    def at(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points."""
        near = self._near(s[:, 0])
        distance: np.ndarray = numpy_spline.at_points(self.grid, s) + near * numpy_spline.at_points(self.rim, s[:, 1:])
        return distance

    def near(self, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k n"]:
        """Evaluate at points that lie close together, in the precision of the weights."""
        return self.from_splines([near_points.interpolate(spline, s) for spline in self.splines], s)

    @property
    def splines(self) -> tuple[Float[np.ndarray, "*size f"], ...]:
        """Coefficients of the spline in space and of that in the plane, features last."""
        return near_points.channels_last(self.grid), near_points.channels_last(self.rim)

    def from_splines(
        self, values: Sequence[Float[np.ndarray, "f n"]], s: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "k n"]:
        """Compute the distance at points from the values of the splines there."""
        distance, rim = values
        return np.asarray(distance + self._near(s[:, 0]).astype(rim.dtype) * rim)

    def on_grid(
        self, z: Float[np.ndarray, " z"], y: Float[np.ndarray, " y"], x: Float[np.ndarray, " x"]
    ) -> Float[np.ndarray, "k z y x"]:
        """Evaluate on the product of three axes."""
        bands = (numpy_spline.spline_band(s, n) for s, n in zip((z, y, x), self.grid.shape[1:], strict=True))
        in_y, in_x = (numpy_spline.spline_band(s, n) for s, n in zip((y, x), self.rim.shape[1:], strict=True))
        rim = in_y.weights @ self.rim[0, in_y.used, in_x.used] @ in_x.weights.T
        near = self._near(z).astype(self.grid.dtype)[:, None, None]
        distance: np.ndarray = numpy_spline.on_grid(self.grid, *bands) + near * rim.astype(self.grid.dtype)
        return distance

    def _near(self, z: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        near: np.ndarray = np.exp(-0.5 * (z / self.width) ** 2)
        return near
