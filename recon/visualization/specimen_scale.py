"""Colours of the quantities of a specimen.

The range holds for the whole specimen, not for the planes of one figure, so that all pictures of a result compare.
"""

import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Shaped

from ..model import Model
from ..sampled import Quantity, Sampled
from ..slice_plane import SlicePlane
from ..volume import Volume
from .colour_scale import ColourScale, choose_scale
from .planes import point_of_highest_contrast

_FINE, _COARSE = (96, 320), (48, 200)
"""Number of samples along the longest edge of the grid in which the planes are placed, and of the planes.

The coarse ones are for many draws and for networks, which take seconds more.
"""
_MOST_SAMPLES = 1 << 20

T = TypeVar("T")


class _Memo:
    """Scales of the specimens that live; a specimen cannot be hashed, and is not kept by its scales."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Sampled], dict[str, Any]]] = {}
        self._lock = threading.RLock()

    def get(self, specimen: Sampled, name: str, make: Callable[[], T]) -> T:
        """Return what is known of a specimen by a name, or make it."""
        with self._lock:
            reference, entries = self._known.get(id(specimen), (None, {}))
            if reference is None or reference() is not specimen:
                entries = {}
                self._known = {key: known for key, known in self._known.items() if known[0]() is not None}
                self._known[id(specimen)] = (weakref.ref(specimen), entries)
            if name not in entries:
                entries[name] = make()
            value: T = entries[name]
            return value


_MEMO = _Memo()


def colour_scale(specimen: Sampled, quantity: str | None = None) -> ColourScale:
    """Choose the colours of a real quantity of a specimen.

    Args:
        specimen: A model or a volume.
        quantity: Name of the quantity; the main one by default.
    """
    chosen = specimen.real_quantity(quantity)
    return _MEMO.get(specimen, chosen.name, lambda: _specimen_scale(specimen, chosen))


def _specimen_scale(specimen: Sampled, quantity: Quantity) -> ColourScale:
    planes = _MEMO.get(specimen, "", lambda: _central_planes(specimen))
    values = np.concatenate([specimen.on_plane(plane, quantity.name).ravel() for plane in planes])
    if not isinstance(specimen, Volume):
        return choose_scale(quantity, values, specimen.background(quantity.name))
    samples = specimen.values[quantity.name]
    within = np.clip(values, np.fmin.reduce(samples, axis=None), np.fmax.reduce(samples, axis=None))
    return choose_scale(quantity, within, specimen.background(quantity.name), _own_samples(samples))


def _central_planes(specimen: Sampled) -> list[SlicePlane]:
    """Place three planes through the highest contrast of the main quantity, as the report does."""
    is_fast = not isinstance(specimen, Model) or (not specimen.is_pointwise and specimen.draws == 1)
    longest, size = _FINE if is_fast else _COARSE
    point = point_of_highest_contrast(specimen, specimen.real_quantities[0].name, longest)
    low, high = (np.asarray(corner) for corner in specimen.bounds)
    pitch = float((high - low).max()) / size
    counts = [max(1, int(n)) for n in np.rint((high - low) / pitch)]
    planes = []
    for normal, (down, right) in enumerate(((1, 2), (0, 2), (0, 1))):
        centre = (low + high) / 2
        centre[normal] = point[normal]
        steps = pitch * np.eye(3)
        planes.append(SlicePlane(centre, steps[right], steps[down], counts[right], counts[down]))
    return planes


def _own_samples(array: Shaped[np.ndarray, "z y x"]) -> Shaped[np.ndarray, " n"]:
    """Samples of a volume, evenly thinned out; between wrapped phases or at a rim, splines would overshoot."""
    flat = array.reshape(-1)
    step = -(-flat.size // _MOST_SAMPLES)
    step += step > 1 and step % 2 == 0  # Not a divisor of the usual lengths of axes.
    return flat[::step]
