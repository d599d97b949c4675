"""Volumes of other programs as shapes: masks, probabilities, signed distances."""

import logging
from dataclasses import replace

import numpy as np

from ...errors import DataError, Diagnostic
from ...sampled import Quantity
from ...volume import SIGNED_DISTANCE, Volume
from .schema import OCCUPANCY

_log = logging.getLogger(__name__)
_LEAST_FILLED = 0.5
"""Least share inside a shape by which fractions are known as filled shares; smaller ones may be any quantity."""
_LARGEST_BYTE = 255


def recognizes(volume: Volume) -> bool:
    """Whether a volume holds an occupancy or a signed distance, or its only quantity has the numbers of an occupancy.

    These are two different numbers, or whole numbers up to 255, or fractions up to 1, at least a half somewhere.
    """
    if OCCUPANCY.name in volume.values or SIGNED_DISTANCE in volume.values:
        return True
    values = volume.main
    if len(volume.values) > 1 or values.dtype.kind not in "biuf":
        return False
    if values.dtype == bool:
        return True
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0):
        return False
    if bool(((values == low) | (values == high)).all()) or _are_8_bit(values, high):
        return True
    return _LEAST_FILLED <= high <= 1.0


def identify(volume: Volume) -> Volume:
    """Name the quantity of a volume.

    Raises:
        DataError: If its numbers are complex, or negative and no distances.
    """
    if OCCUPANCY.name in volume.values or SIGNED_DISTANCE in volume.values:
        return volume
    values = volume.main
    if values.dtype.kind not in "biuf":
        raise DataError(Diagnostic("", f"holds {values.dtype}, which is no shape", "give a mask, or filled shares 0…1"))
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size and float(finite.min()) < 0:
        return _named(volume, _as_distance(values), Quantity(SIGNED_DISTANCE, volume.length_unit, "negative inside"))
    return _named(volume, values, OCCUPANCY)


def _are_8_bit(values: np.ndarray, high: float) -> bool:
    """Whether all numbers are whole and at most 255."""
    return high <= _LARGEST_BYTE and (values.dtype.kind in "iu" or bool((values == np.rint(values)).all()))


def _as_distance(values: np.ndarray) -> np.ndarray:
    """Return numbers of both signs as a distance that is negative inside: the faces of the box are outside.

    Raises:
        DataError: If the faces have both signs.
    """
    faces = np.concatenate([np.ravel(part) for axis in range(3) for part in _outermost(values, axis)])
    negative = float(np.mean(faces < 0))
    if 0 < negative < 1 or float(values.max()) <= 0:
        message = f"holds numbers down to {float(values.min()):.4g}, and a mask has none below 0"
        remedy = "a signed distance is known by its faces, which are all outside: leave a margin around the shape"
        raise DataError(Diagnostic("", message, remedy))
    side = "positive" if negative else "negative"
    _log.warning("numbers of both signs are taken as a signed distance that is %s inside", side)
    return -values if negative else values


def _outermost(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    planes = np.moveaxis(values, axis, 0)
    return planes[0], planes[-1]


def _named(volume: Volume, values: np.ndarray, quantity: Quantity) -> Volume:
    return replace(volume, values={quantity.name: values}, quantities=(quantity,))
