"""Field of a series: a spatial field for each acquisition, of which neighbours share what they can.

Every acquisition, at the position s_i of the series, has arrays of its own (`Field.varying`: the grids, and not the
decoder), stacked along a first axis; between two positions they are interpolated linearly (`recon.model_series`). With
``moves`` each acquisition has a motion too, so that a specimen that drifts and swells has nearly the same grids: the
field is evaluated at s' = stretch · s + shift, clipped to the box, in normalised coordinates along each axis.

The motion of the first acquisition is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .base import Axes, Field, Parameters
from .numpy_fields import MOTION

MOTION_UNIT = 0.1
"""Shift, in normalised coordinates, and logarithm of the stretch, of 1 in the array of motions: their rate of learning.

The array (acquisition, shift and stretch, axis) is relative to that of the first acquisition.
"""

LARGEST_SHIFT = 0.5
"""Largest shift that is believed before the fit, in normalised coordinates."""


@dataclass(frozen=True)
class SeriesField:
    """Fields of the acquisitions of a series.

    Args:
        spatial: Field of one acquisition.
        count: Number of acquisitions.
        moves: Whether each acquisition has a motion.
    """

    spatial: Field
    count: int
    moves: bool

    @property
    def architecture(self) -> dict[str, object]:
        """All constants needed to evaluate the field, as plain JSON."""
        series = {"version": 1, "count": self.count, "varying": list(self.spatial.varying), "moves": self.moves}
        return {**self.spatial.architecture, "series": series}

    def init(self, seed: int) -> dict[str, np.ndarray]:
        """Draw parameters of one field, which all acquisitions begin with, without motion."""
        drawn = self.spatial.init(seed)
        drawn |= {name: np.repeat(drawn[name][None], self.count, axis=0) for name in self.spatial.varying}
        return drawn | ({MOTION: np.zeros((self.count, 2, 3), np.float32)} if self.moves else {})

    def select(self, parameters: Parameters, number: int | Int[Array, ""]) -> Parameters:
        """Select the parameters of one acquisition's field."""
        own = {name: array for name, array in parameters.items() if name != MOTION}
        return own | {name: parameters[name][number] for name in self.spatial.varying}

    def _selected(self, arrays: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
        """Select arrays of one acquisition, as `select` does in jax."""
        own = {name: array for name, array in arrays.items() if name != MOTION}
        return own | {name: arrays[name][number] for name in self.spatial.varying}

    def on_grid(self, parameters: Parameters, number: int | Int[Array, ""], axes: Axes) -> Float[Array, "k z y x"]:
        """Evaluate the field of one acquisition, where its motion takes it."""
        return self.spatial.on_grid(self.select(parameters, number), self.moved(parameters, number, axes))

    def at_rest(self, parameters: Parameters, number: int | Int[Array, ""], axes: Axes) -> Float[Array, "k z y x"]:
        """Evaluate the field of one acquisition without its motion, as neighbours are compared."""
        return self.spatial.on_grid(self.select(parameters, number), axes)

    def moved(self, parameters: Parameters, number: int | Int[Array, ""], axes: Axes) -> Axes:
        """Compute the coordinates at which the field of an acquisition is evaluated."""
        if not self.moves:
            return axes
        motion = MOTION_UNIT * (parameters[MOTION][number] - parameters[MOTION][0])
        z, y, x = (
            jnp.clip(jnp.exp(motion[1, i]) * jnp.asarray(axis, motion.dtype) + motion[0, i], -1.0, 1.0)
            for i, axis in enumerate(axes)
        )
        return z, y, x

    def all_on_grid(self, parameters: Parameters, axes: Axes) -> Float[Array, "acquisition k z y x"]:
        """Evaluate the fields of all acquisitions."""
        numbers = jnp.arange(self.count, dtype=jnp.int32)
        values: Array = jax.lax.map(lambda number: self.on_grid(parameters, number, axes), numbers)
        return values

    def fit_to_grid(
        self,
        parameters: dict[str, np.ndarray],
        values: Float[np.ndarray, "acquisition k z y x"],
        axes: Axes,
        shifts: Float[np.ndarray, "acquisition 3"],
    ) -> dict[str, np.ndarray]:
        """Fit each acquisition's field to its values on a grid.

        Args:
            parameters: Parameters of `init`.
            values: Values of each acquisition.
            axes: Coordinates of the grid.
            shifts: Position of each acquisition's specimen relative to the first one's, in normalised coordinates; used
                if the field moves.
        """
        fitted = {name: np.array(array) for name, array in parameters.items()}
        for number, own in enumerate(values):
            part = {name: np.array(array) for name, array in self._selected(fitted, number).items()}
            if self.moves:
                own = _shifted(own, -shifts[number])
                fitted[MOTION][number, 0] = -shifts[number] / MOTION_UNIT
            part = self.spatial.fit_to_grid(part, own, axes)
            for name in self.spatial.varying:
                fitted[name][number] = part[name]
        return fitted


def motion_of(parameters: Float[np.ndarray, "acquisition 2 3"]) -> Float[np.ndarray, "acquisition 2 3"]:
    """Compute shift and logarithm of the stretch of each acquisition from the array of motions."""
    motion = np.asarray(parameters, np.float64)
    return MOTION_UNIT * (motion - motion[:1])


def shifts_between(values: Float[np.ndarray, "acquisition k z y x"]) -> Float[np.ndarray, "acquisition 3"]:
    """Estimate the position of each acquisition's specimen relative to the first one's, in normalised coordinates.

    It is the peak of the cross-correlation of the first outputs; 0 where that lies beyond half of the box.
    """
    from skimage.registration import phase_cross_correlation

    shifts = np.zeros((len(values), 3))
    for number in range(1, len(values)):
        one, other = (np.asarray(values[i, 0], np.float64) for i in (0, number))
        if not (one.any() and other.any()):
            continue
        samples, _, _ = phase_cross_correlation(other, one, upsample_factor=10, normalization=None, disambiguate=False)
        shift = 2 * np.asarray(samples) / np.array(one.shape)
        shifts[number] = np.where(np.abs(shift) < LARGEST_SHIFT, shift, 0)
    return shifts


def _shifted(values: Float[np.ndarray, "k z y x"], shift: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "k z y x"]:
    """Shift values on a grid that fills the box, by a fraction of half the box along each axis."""
    from scipy.ndimage import shift as shift_array

    samples = (0.0, *(0.5 * shift * np.array(values.shape[1:])))
    return np.asarray(shift_array(values, samples, order=1, mode="nearest"), values.dtype)
