"""What a volume says about itself in formats that have no place for it: one line of JSON."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from ..sampled import Quantity
from ..volume import Volume

Corner = tuple[float, float, float]
KEY = "unflat"
UNNAMED = Quantity("value", "1", "")
UNKNOWN: Corner = (math.nan, math.nan, math.nan)
"""[m] Spacing of an outline whose file does not say it."""


def describe(volume: Volume) -> str:
    """Write kind, quantities, attributes and the first sample's place [m] as JSON."""
    return json.dumps(
        {
            "kind": volume.kind,
            "quantities": [[q.name, q.unit, q.meaning] for q in volume.quantities],
            "attributes": volume.attributes,
            "first": [float(a[0]) for a in (volume.z, volume.y, volume.x)],
        }
    )


def assemble(
    arrays: Sequence[np.ndarray], spacing: Sequence[float], described: str, kind: str, first: Corner | None = None
) -> Volume:
    """Make a volume of arrays (z, y, x) and what ``describe`` wrote, if anything.

    Args:
        arrays: One a quantity.
        spacing: [m] Distance between samples (z, y, x).
        described: JSON of ``describe``, or nothing for a foreign file.
        kind: Kind of experiment, if the JSON does not say.
        first: [m] Place of the first sample, if the JSON does not say; else the volume is centred on the origin.
    """
    facts = json.loads(described) if described else {}
    quantities = tuple(Quantity(*row) for row in facts.get("quantities", ()))
    if len(quantities) != len(arrays):
        quantities = (UNNAMED, *(Quantity(f"value_{i}", "1", "") for i in range(1, len(arrays))))[: len(arrays)]
    z, y, x = axes(arrays[0].shape, spacing, facts.get("first") or first)
    values = {q.name: np.asarray(array) for q, array in zip(quantities, arrays, strict=True)}
    return Volume(facts.get("kind", kind), z, y, x, values, quantities, facts.get("attributes", {}))


def axes(
    shape: Sequence[int], spacing: Sequence[float], first: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[m] Evenly spaced axes from a first sample, or with sample ``n // 2`` at the origin."""
    starts = first or [-(n // 2) * d for n, d in zip(shape, spacing, strict=True)]
    z, y, x = (start + np.arange(n) * float(d) for start, n, d in zip(starts, shape, spacing, strict=True))
    return z, y, x


def zeros(shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray:
    """Samples of an outline, which take no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def positive_spacing(volume: Volume) -> Corner:
    """[m] Distance between samples; along an axis of one sample that of the finest other axis, or 1 µm."""
    known = [d for d in volume.spacing if d > 0]
    z, y, x = (d or min(known, default=1e-6) for d in volume.spacing)
    return z, y, x


class NoSpacingError(DataError):
    """Nobody says how far apart a volume's samples are."""


def require_spacing(path: Path, spacing: Corner | None) -> Corner:
    """Give the spacing that a person named for a file that holds none.

    Raises:
        NoSpacingError: If nobody did.
    """
    if spacing is None:
        raise NoSpacingError(
            Diagnostic(
                str(path), "does not say how far apart its samples are", "give their distance, e.g. --spacing '0.1 um'"
            )
        )
    return spacing
