"""Conversion of shapes to one-bit volumes, from occupancies or signed distances."""

import numpy as np
from jaxtyping import Bool

from ...errors import DataError, Diagnostic
from ...io.metadata import UNNAMED
from ...metrics.shapes import otsu_binarize
from ...volume import SIGNED_DISTANCE, Volume
from .schema import OCCUPANCY


def binarize(volume: Volume, where: str = "") -> Bool[np.ndarray, "*lead z y x"]:
    """Find the samples inside shapes.

    A signed distance is negative inside. Occupancies are cut by Otsu's threshold, as in SHAPR, each shape by its own;
    so are unnamed values of other programs, which must not be negative either.

    Args:
        volume: Volume with one of these quantities; axes of cells and draws may precede z, y, x.
        where: Location of the volume, for messages.

    Raises:
        DataError: If it has none of them, or a value is not finite, or negative in an occupancy.
    """
    if OCCUPANCY.name in volume.values:
        return _apply_threshold(volume.values[OCCUPANCY.name], OCCUPANCY.name, where)
    if SIGNED_DISTANCE in volume.values:
        distance = volume.values[SIGNED_DISTANCE]
        if not np.isfinite(distance).all():
            raise DataError(Diagnostic(where, f"{SIGNED_DISTANCE} holds values that are not finite", "sample it again"))
        return np.asarray(distance < 0)
    if UNNAMED.name in volume.values:
        return _apply_threshold(volume.values[UNNAMED.name], UNNAMED.name, where)
    names = ", ".join(volume.values)
    remedy = f"a shape is given by {OCCUPANCY.name} (0 outside, 1 inside) or {SIGNED_DISTANCE} (negative inside)"
    raise DataError(Diagnostic(where, f"holds {names}, which tells no inside from an outside", remedy))


def _apply_threshold(values: np.ndarray, name: str, where: str) -> Bool[np.ndarray, "*lead z y x"]:
    """Apply Otsu's threshold to each shape.

    Raises:
        DataError: If a value is complex, negative or not finite.
    """
    if values.dtype.kind not in "biuf":
        raise DataError(
            Diagnostic(where, f"{name} holds {values.dtype}; expected real numbers", "give a filled share, 0…1")
        )
    if values.size and values.dtype != bool and values.min() < 0:
        message = f"{name} holds {float(values.min()):g}, and a filled share is never negative"
        raise DataError(Diagnostic(where, message, f"name a distance that is negative inside {SIGNED_DISTANCE}"))
    inside = np.empty(values.shape, bool)
    for index in np.ndindex(values.shape[:-3]):
        inside[index] = otsu_binarize(values[index])
    return inside
