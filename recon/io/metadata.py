"""Metadata of a volume in formats that have no place for it: one line of JSON."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from ..sampled import Point3, Quantity
from ..volume import Volume

KEY = "unflat"
UNNAMED = Quantity("value", "1", "")
UNKNOWN_SPACING: Point3 = (math.nan, math.nan, math.nan)
"""[m] Spacing of an outline whose file does not give it."""


def metadata_json(volume: Volume) -> str:
    """Return kind, quantities, attributes and coordinates of the first sample [m] as JSON."""
    return json.dumps(
        {
            "kind": volume.kind,
            "quantities": [[q.name, q.unit, q.meaning] for q in volume.quantities],
            "attributes": volume.attributes,
            "first": [float(a[0]) for a in (volume.z, volume.y, volume.x)],
        }
    )


def assemble(
    arrays: Sequence[np.ndarray], spacing: Sequence[float], metadata: str, kind: str, first: Point3 | None = None
) -> Volume:
    """Make a volume of arrays (z, y, x) and its metadata.

    Args:
        arrays: One for each quantity.
        spacing: [m] Distance between samples (z, y, x).
        metadata: JSON of ``metadata_json``; empty for a file of another program.
        kind: Kind of experiment, if the JSON does not give it.
        first: [m] Coordinates of the first sample, if the JSON does not give them; the volume is centred on the origin
            if neither does.
    """
    stored = json.loads(metadata) if metadata else {}
    quantities = tuple(Quantity(*row) for row in stored.get("quantities", ()))
    if len(quantities) != len(arrays):
        quantities = (UNNAMED, *(Quantity(f"value_{i}", "1", "") for i in range(1, len(arrays))))[: len(arrays)]
    z, y, x = even_axes(arrays[0].shape, spacing, stored.get("first") or first)
    values = {q.name: np.asarray(array) for q, array in zip(quantities, arrays, strict=True)}
    return Volume(stored.get("kind") or kind, z, y, x, values, quantities, stored.get("attributes", {}))


def even_axes(
    shape: Sequence[int], spacing: Sequence[float], first: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[m] Evenly spaced axes from a first sample, or with sample ``n // 2`` at the origin."""
    starts = first or [-(n // 2) * d for n, d in zip(shape, spacing, strict=True)]
    z, y, x = (start + np.arange(n) * float(d) for start, n, d in zip(starts, shape, spacing, strict=True))
    return z, y, x


def placeholder(shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray:
    """Return zeros that take no memory, for the samples of an outline."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def positive_spacing(volume: Volume) -> Point3:
    """[m] Distance between samples; along an axis of one sample that of the finest other axis, or 1 µm."""
    known = [d for d in volume.spacing if d > 0]
    z, y, x = (d or min(known, default=1e-6) for d in volume.spacing)
    return z, y, x


class NoSpacingError(DataError):
    """Unknown distance between the samples of a volume."""


def require_spacing(path: Path, spacing: Point3 | None) -> Point3:
    """Return the spacing that the user gave for a file that holds none.

    Raises:
        NoSpacingError: If the user gave none.
    """
    if spacing is None:
        message, remedy = "does not say how far apart its samples are", "give their distance, e.g. --spacing '0.1 um'"
        raise NoSpacingError(Diagnostic(str(path), message, remedy))
    return spacing
