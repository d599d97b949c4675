"""Complex density from three raw outputs of a field: amplitude, unwrapped phase, occupancy, phase slope along a vector.

Notation
--------
s, a, b   raw outputs of the field
o         occupancy, 1/(1 + e^(−K s)): 0 outside the object, 1 inside
w         (a + i b)·e^(−i plane): a smooth complex wave without the ramp and the offset that diffraction cannot tell
ρ         density o·w; its modulus is the amplitude, its angle the phase −G·u

The wave has no unit modulus and its phase is no output of its own: a dislocation winds the phase by 2π around a line,
which no smooth real function can, while a smooth complex one does by passing through 0 on the line, as the density of
a crystal seen at a finite resolution does.

A phase beyond ±π is read from a coarse unwrapped grid: the angle of w is shifted to the branch nearest to the grid.
The slope of the phase along G is a difference over a ten-thousandth of a voxel in double precision, which is as good as
the derivative and needs no unwrapping. Where the amplitude is below the surface's, phase, displacement and strain are
0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from ..errors import DataError
from . import numpy_spline
from .numpy_common import get_weight

OUTPUTS = 3
"""Number of raw outputs of the field."""
SHARPNESS = 4.0
"""K."""
PLANE, REFERENCE = "head/plane", "head/reference"
"""Weights: offset and slopes of the phase's plane in normalised coordinates, and the unwrapped grid, where needed."""
AMPLITUDE, OCCUPANCY, SLOPE = 0, 2, 4
"""Numbers of quantities; the others are the phase."""
_TYPE, _VERSION = "crystal", 1

Raw = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "k n"]]


@dataclass(frozen=True)
class DensityHead:
    """Map from raw outputs to the quantities of a complex density.

    Args:
        sharpness: K.
        surface: Modulus of o·w at the surface of the object.
        plane: Phase at the box's middle, and its slopes along the normalised z, y and x [rad].
        reference: [rad] Unwrapped phase at the centres of the cells of a coarse grid; None where it is within ±π.
        step: Half a difference along G, in normalised coordinates; None where G is not known.
        length: [m] Length of the whole difference.
    """

    sharpness: float
    surface: float
    plane: Float[np.ndarray, " 4"]
    reference: Float[np.ndarray, "1 _z _y _x"] | None = None
    step: Float[np.ndarray, " 3"] | None = None
    length: float = 1.0

    @classmethod
    def load(cls, description: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> "DensityHead":
        """Make it from a model file's description and weights.

        Raises:
            DataError: If the description is of a type or version not known here, or not complete.
        """
        if description.get("type") != _TYPE or description.get("version") != _VERSION:
            head = f"{description.get('type')!r} of version {description.get('version')!r}"
            raise DataError(f"unknown head {head}; this version of unflat knows {_TYPE!r} of version {_VERSION}")
        try:
            step = np.array(description["step"], float) if "step" in description else None
            return cls(
                float(description["sharpness"]),
                float(description["surface"]),
                np.asarray(get_weight(weights, PLANE, (4,)), float),
                np.asarray(weights[REFERENCE], float) if REFERENCE in weights else None,
                step,
                float(description.get("length", 1.0)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the description of the head is not complete: {error!r}") from error

    @property
    def outputs(self) -> int:
        """Number of values at a point: amplitude, phase, occupancy, and along G phase and slope again."""
        return 3 if self.step is None else 5

    def density(self, raw: Raw, s: Float[np.ndarray, "n 3"]) -> Complex[np.ndarray, " n"]:
        """Evaluate the density ρ at normalised points."""
        values = raw(s)
        return np.asarray(self._occupancy(values) * self._wave(values, s))

    def values(self, raw: Raw, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "q n"]:
        """Evaluate all quantities at normalised points.

        Args:
            raw: Function that evaluates the field.
            s: Normalised points.
        """
        own = raw(s)
        occupancy, wave = self._occupancy(own), self._wave(own, s)
        amplitude = occupancy * np.abs(wave)
        inside = amplitude >= self.surface
        phase = np.where(inside, self._phase(wave, s), 0)
        quantities = [amplitude, phase, occupancy]
        if self.step is not None:
            quantities += [phase, np.where(inside, self._slope(raw, s), 0)]
        return np.stack(quantities)

    def value(self, number: int, raw: Raw, precise: Raw, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Evaluate one quantity at normalised points, and no more of the field than it takes.

        Args:
            number: Number of the quantity among `values`.
            raw: Function that evaluates the field, in any precision.
            precise: Function that evaluates it in double precision, for differences.
            s: Normalised points.
        """
        own = raw(s)
        if number == OCCUPANCY:
            return self._occupancy(own)
        amplitude = self._occupancy(own) * np.hypot(own[1], own[2])
        if number == AMPLITUDE:
            return np.asarray(amplitude)
        inside = amplitude >= self.surface
        values, places = np.zeros(len(s)), s[inside]
        if number == SLOPE:
            values[inside] = self._slope(precise, places)
        else:
            values[inside] = self._phase(self._wave(own[:, inside], places), places)
        return values

    def _slope(self, raw: Raw, s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Slope of the phase along G."""
        after, before = (self._wave(raw(np.clip(p, -1, 1)), p) for p in (s + self.step, s - self.step))
        return np.asarray(np.angle(after * np.conj(before)) / self.length)

    def _occupancy(self, raw: Float[np.ndarray, "k n"]) -> Float[np.ndarray, " n"]:
        return np.asarray(1 / (1 + np.exp(-self.sharpness * raw[0])))

    def _wave(self, raw: Float[np.ndarray, "k n"], s: Float[np.ndarray, "n 3"]) -> Complex[np.ndarray, " n"]:
        plane = self.plane[0] + s @ self.plane[1:]
        return np.asarray((raw[1] + 1j * raw[2]) * np.exp(-1j * plane))

    def _phase(self, wave: Complex[np.ndarray, " n"], s: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        if self.reference is None:
            return np.asarray(np.angle(wave))
        near = numpy_spline.linear_at_points(self.reference, s)[0]
        return np.asarray(near + np.angle(wave * np.exp(-1j * near)))
