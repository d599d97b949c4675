"""Field of a series: a spatial field for each acquisition, of which neighbours share what they can.

Every acquisition, at the position s_i of the series, has arrays of its own (`Field.varying`: the grids, and not the
decoder), stacked along a first axis; between two positions they are interpolated linearly (`recon.model_series`). With
``moves`` each acquisition has a motion too, so that a specimen that drifts and swells has nearly the same grids: the
field is evaluated at s' = stretch · s + shift, clipped to the box, in normalised coordinates along each axis, and its
outputs are multiplied by one factor, its contrast: what swells is diluted.

Motions are relative to their mean over the series: with one acquisition as the reference, a common change of contrast
would be that of all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .base import Axes, Field, Parameters
from .numpy_fields import MOTION
from .series_start import at_rest

MOTION_UNIT = 0.1
"""Shift, in normalised coordinates, and logarithms of stretch and contrast, of 1 in the array of motions.

It sets their rate of learning. The array (acquisition, 7) holds the shift and the logarithm of the stretch along z, y
and x, and that of the contrast, relative to their mean.
"""


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
        return drawn | ({MOTION: np.zeros((self.count, 7), np.float32)} if self.moves else {})

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
        if not self.moves:
            return self.at_rest(parameters, number, axes)
        motion = MOTION_UNIT * (parameters[MOTION][number] - jnp.mean(parameters[MOTION], axis=0))
        z, y, x = (
            jnp.clip(jnp.exp(motion[3 + i]) * jnp.asarray(axis, motion.dtype) + motion[i], -1.0, 1.0)
            for i, axis in enumerate(axes)
        )
        return jnp.exp(motion[6]) * self.spatial.on_grid(self.select(parameters, number), (z, y, x))

    def at_rest(self, parameters: Parameters, number: int | Int[Array, ""], axes: Axes) -> Float[Array, "k z y x"]:
        """Evaluate the field of one acquisition without its motion, as neighbours are compared."""
        return self.spatial.on_grid(self.select(parameters, number), axes)

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
        motions: Float[np.ndarray, "acquisition 7"],
    ) -> dict[str, np.ndarray]:
        """Fit each acquisition's field to its values on a grid.

        Args:
            parameters: Parameters of `init`.
            values: Values of each acquisition.
            axes: Coordinates of the grid.
            motions: Motion of each acquisition to begin with, as of `motion_of`; used if the field moves.
        """
        fitted = {name: np.array(array) for name, array in parameters.items()}
        motions = motions - motions.mean(axis=0)
        for number, own in enumerate(values):
            part = {name: np.array(array) for name, array in self._selected(fitted, number).items()}
            if self.moves:
                own = at_rest(own, motions[number])
                fitted[MOTION][number] = motions[number] / MOTION_UNIT
            part = self.spatial.fit_to_grid(part, own, axes)
            for name in self.spatial.varying:
                fitted[name][number] = part[name]
        return fitted


def motion_of(parameters: Float[np.ndarray, "acquisition 7"]) -> Float[np.ndarray, "acquisition 7"]:
    """Compute shift, logarithm of the stretch, and that of the contrast of each acquisition, from the fitted array."""
    motion = np.asarray(parameters, np.float64)
    return np.asarray(MOTION_UNIT * (motion - motion.mean(axis=0)))
