"""What lies inside a shape, whichever quantity tells it."""

import numpy as np
from jaxtyping import Bool

from ...errors import DataError, Diagnostic
from ...io.metadata import UNNAMED
from ...metrics.shapes import otsu_binarize
from ...volume import SIGNED_DISTANCE, Volume
from .schema import OCCUPANCY


def binarize(volume: Volume, where: str = "") -> Bool[np.ndarray, "*lead z y x"]:
    """Tell the samples that lie in a shape.

    A signed distance is negative there. An occupancy is cut by Otsu's threshold, as SHAPR does, each shape by its own;
    so are another program's numbers that have no name, which no more than an occupancy may be negative.

    Args:
        volume: With one of these; before the axes z, y, x there may be others, of cells and draws.
        where: Where it stands, for messages.

    Raises:
        DataError: If it holds neither, or a value is not finite, or negative in an occupancy.
    """
    if OCCUPANCY.name in volume.values:
        return _cut(volume.values[OCCUPANCY.name], OCCUPANCY.name, where)
    if SIGNED_DISTANCE in volume.values:
        distance = volume.values[SIGNED_DISTANCE]
        if not np.isfinite(distance).all():
            raise DataError(Diagnostic(where, f"{SIGNED_DISTANCE} holds values that are not finite", "sample it again"))
        return np.asarray(distance < 0)
    if UNNAMED.name in volume.values:
        return _cut(volume.values[UNNAMED.name], UNNAMED.name, where)
    held = ", ".join(volume.values)
    remedy = f"a shape is told by {OCCUPANCY.name} (0 outside, 1 inside) or {SIGNED_DISTANCE} (negative inside)"
    raise DataError(Diagnostic(where, f"holds {held}, which tells no inside from an outside", remedy))


def _cut(values: np.ndarray, name: str, where: str) -> Bool[np.ndarray, "*lead z y x"]:
    """Cut each shape by its own threshold.

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
    found = np.empty(values.shape, bool)
    for index in np.ndindex(values.shape[:-3]):
        found[index] = otsu_binarize(values[index])
    return found
