"""Cubic splines between the samples of arrays, with the coefficients of the latest arrays at hand."""

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Inexact, Int, Shaped

_HALF_TURN = np.pi * (1 + 1e-6)
"""[rad] Largest magnitude of wrapped phases, with the rounding of single precision."""
COEFFICIENTS = 4
"""Number of arrays whose coefficients are stored: those of the quantities that a view shows together."""


class SplineCache:
    """Spline coefficients of the arrays that were sampled last, for any number of threads."""

    def __init__(self) -> None:
        self._arrays: OrderedDict[str, Inexact[np.ndarray, "z y x"]] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> "tuple[type[SplineCache], tuple[()]]":
        """Copy as an empty one."""
        return SplineCache, ()

    def get(self, name: str, read: Callable[[], Shaped[np.ndarray, "z y x"]]) -> Inexact[np.ndarray, "z y x"]:
        """Return the coefficients of an array, in single precision unless its values are in double.

        Args:
            name: Name of the array.
            read: Function that returns it.
        """
        from scipy.ndimage import spline_filter

        with self._lock:
            if name not in self._arrays:
                values = read()
                precision = np.result_type(np.float32, values.dtype)
                plain = np.asarray(values, precision)
                self._arrays[name] = spline_filter(plain, order=3, output=precision, mode="mirror")
                while len(self._arrays) > COEFFICIENTS:
                    self._arrays.popitem(last=False)
            self._arrays.move_to_end(name)
            return self._arrays[name]


def interpolate(
    coefficients: Inexact[np.ndarray, "z y x"], index: Float[np.ndarray, "3 *n"]
) -> Inexact[np.ndarray, "*n"]:
    """Evaluate the splines at fractional indices (z, y, x), in double precision."""
    from scipy.ndimage import map_coordinates

    precision = np.result_type(np.float64, coefficients.dtype)
    return np.asarray(map_coordinates(coefficients, index, output=precision, order=3, mode="mirror", prefilter=False))


def on_circle(phases: Float[np.ndarray, "z y x"]) -> Inexact[np.ndarray, "z y x"]:
    """Turn wrapped phases [rad] into points e^(iφ) of the circle, for splines that cross ±π; leave other phases.

    Phases are wrapped if they stay within ±π and reach over more than half a turn.
    """
    largest = float(np.max(np.abs(phases), initial=0.0))
    if largest > _HALF_TURN or float(np.ptp(phases)) <= np.pi:
        return phases
    return np.exp(np.asarray(1j * phases))


def nearest_sample(index: Float[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Round fractional indices to those of the nearest sample."""
    return np.floor(index + 0.5).astype(int)
