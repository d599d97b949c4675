"""Metadata of a volume in formats that have no place for it: one line of JSON; options of a reader."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic
from ..sampled import Point3, Quantity
from ..volume import Volume

_log = logging.getLogger(__name__)
KEY = "unflat"
_LARGEST_WHOLE = 1 << 24
"""Largest whole number up to which single precision has all."""
VOXEL: Final = "voxel"
"""Unit of lengths that count voxels of unknown size."""
UNNAMED = Quantity("value", "1", "")
UNKNOWN_SPACING: Point3 = (math.nan, math.nan, math.nan)
"""[m] Spacing of an outline whose file does not give it."""


@dataclass(frozen=True)
class VolumeOptions:
    """Options of a reader of volumes, for what a file of another program leaves open.

    Args:
        spacing: [m] Distance between samples (z, y, x), in place of that of the file; None for that of the file.
        kind: Kind of experiment if the file does not give it; empty if it is unknown.
        quantity: Name or number of the only quantity to read; all by default.
        time: Number of the time, of a file with several.
        position: Number or name of the stage's position, of a file with several; None for that of the file itself.
        is_hint: Whether spacing, quantity, time and position are only for files that leave them open.
        at: Position of a series of ours (``time=12.5s``); None for its last acquisition.
    """

    spacing: Point3 | None = None
    kind: str = ""
    quantity: str | None = None
    time: int | None = None
    position: str | None = None
    is_hint: bool = False
    at: str | None = None


def metadata_json(volume: Volume) -> str:
    """Return kind, quantities, attributes and coordinates of the first sample as JSON.

    Where lengths are in voxels, their unit and the distance of the samples stand there as well.
    """
    metadata: dict[str, Any] = {
        "kind": volume.kind,
        "quantities": [[q.name, q.unit, q.meaning] for q in volume.quantities],
        "attributes": volume.attributes,
        "first": [float(a[0]) for a in (volume.z, volume.y, volume.x)],
    }
    if volume.length_unit == VOXEL:
        metadata |= {"unit": VOXEL, "spacing": positive_spacing(volume)}
    return json.dumps(metadata)


def is_in_voxels(metadata: str) -> bool:
    """Whether JSON of `metadata_json` says that lengths are in voxels; other metadata do not."""
    return bool(metadata) and json.loads(metadata).get("unit") == VOXEL


def assemble(
    arrays: Sequence[np.ndarray],
    spacing: Sequence[float] | None,
    metadata: str,
    kind: str,
    first: Point3 | None = None,
    names: Sequence[str] = (),
) -> Volume:
    """Make a volume of arrays (z, y, x) and its metadata.

    Args:
        arrays: One for each quantity.
        spacing: [m] Distance between samples (z, y, x); None if it is unknown: coordinates then count samples.
        metadata: JSON of ``metadata_json``; empty for a file of another program.
        kind: Kind of experiment, if the JSON does not give it.
        first: [m] Coordinates of the first sample, if the JSON does not give them; the volume is centred on the origin
            if neither does.
        names: Names of the quantities, if the JSON does not give them.
    """
    stored = json.loads(metadata) if metadata else {}
    own: Sequence[float]
    start: Sequence[float] | None
    unit: Literal["m", "voxel"]
    if stored.get("unit") == VOXEL and spacing is None:
        own, start, unit = stored["spacing"], stored["first"], VOXEL
    elif stored.get("unit") == VOXEL and spacing is not None:
        sizes = zip(stored["first"], spacing, stored["spacing"], strict=True)
        own, start, unit = spacing, [place * new / old for place, new, old in sizes], "m"
    elif spacing is None:
        own, start, unit = (1.0, 1.0, 1.0), None, VOXEL
    else:
        own, start, unit = spacing, stored.get("first") or first, "m"
    quantities = tuple(Quantity(*row) for row in stored.get("quantities", ()))
    if len(quantities) != len(arrays):
        quantities = tuple(Quantity(name, "1", "") for name in quantity_names(len(arrays), names))
    z, y, x = even_axes(arrays[0].shape, own, start)
    values = {q.name: np.asarray(array) for q, array in zip(quantities, arrays, strict=True)}
    return Volume(stored.get("kind") or kind, z, y, x, values, quantities, stored.get("attributes", {}), unit)


def quantity_names(count: int, names: Sequence[str] = ()) -> list[str]:
    """Return distinct names for the arrays of a file: those that it gives, else ``value``, or ``channel_0`` and on."""
    if count == 1 and not any(names):
        return [UNNAMED.name]
    given = [names[i] if i < len(names) and names[i] else f"channel_{i}" for i in range(count)]
    return [name if given.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(given)]


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


def single_precision(arrays: Sequence[np.ndarray], exact: Sequence[type] = ()) -> np.dtype[Any]:
    """Return the type in which a format of single precision holds arrays without a change of whole numbers.

    Args:
        arrays: The arrays.
        exact: Types of whole numbers that the format holds besides.

    Raises:
        ConfigError: If whole numbers, such as labels, would be rounded.
    """
    if all(array.dtype.kind in "iub" for array in arrays):
        low, high = min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)
        fitting = [t for t in exact if np.iinfo(t).min <= low and high <= np.iinfo(t).max]
        if fitting:
            return np.dtype(fitting[0])
    largest = max((int(np.abs(a).max()) for a in arrays if a.dtype.kind in "iu"), default=0)
    if largest > _LARGEST_WHOLE:
        message = f"this format would round whole numbers up to {largest}"
        raise ConfigError(Diagnostic("", message, "write .h5 or .npz"))
    return np.dtype(np.float32)


def complete_spacing(path: Path, sizes: Sequence[float], options: VolumeOptions, hint: str = "") -> Point3 | None:
    """Return the distance between samples that the caller or a file gives.

    Args:
        path: The file, for messages.
        sizes: [m] Distances along z, y, x in the file; NaN, 0 or less where it does not give one.
        options: Distances that the caller gives: they replace those of the file, which is told, or only absent ones.
        hint: Reason why one may be absent from the file, for the message.

    Returns:
        The distances; None if the file gives none at all.

    Raises:
        DataError: If the file gives some of them only, and the caller none.
    """
    known = {axis: d for axis, d in zip("zyx", sizes, strict=True) if math.isfinite(d) and d > 0}
    given, is_complete = options.spacing, len(known) == len(sizes)
    if given is not None and not (options.is_hint and is_complete):
        if is_complete and not np.allclose(given, sizes, rtol=1e-3, atol=0):
            lengths = (",".join(map(_in_micrometres, each)) for each in (sizes, given))
            _log.warning("%s: its samples are %s apart in the file; --spacing %s is used instead", path, *lengths)
        return given
    if not known:
        return None
    if is_complete:
        z, y, x = sizes
        return float(z), float(y), float(x)
    absent = " and ".join(axis for axis in "zyx" if axis not in known)
    own = " and ".join(f"{_in_micrometres(d)} along {axis}" for axis, d in known.items())
    example = ",".join(_in_micrometres(known.get(axis, next(iter(known.values())))) for axis in "zyx")
    message = f"gives the distance of its samples as {own}, but none along {absent}{hint}"
    remedy = f"give all three, z,y,x: --spacing '{example}', with your own length along {absent}"
    raise DataError(Diagnostic(str(path), message, remedy))


def _in_micrometres(length: float) -> str:
    """Write a length [m] as an option of the command line takes it: ``0.17um``."""
    return f"{length * 1e6:.6g}um"


def select_quantity(volume: Volume, options: VolumeOptions, path: Path) -> Volume:
    """Select one quantity of a volume by its name, in any case, or by its number.

    Args:
        volume: The volume.
        options: Name or number of the quantity; all if it names none.
        path: File of the volume, for messages.

    Raises:
        ConfigError: If there is none of that name or number.
    """
    names, quantity = [q.name for q in volume.quantities], options.quantity
    if quantity is None or [quantity.strip("/")] == names or (options.is_hint and len(names) == 1):
        return volume
    return volume.only(find_quantity(names, quantity, str(path)))


def find_quantity(names: Sequence[str], quantity: str, where: str = "") -> str:
    """Find a quantity by its name, in any case, or by its number.

    Args:
        names: Names of all quantities.
        quantity: Name or number.
        where: File with the quantities, for messages.

    Raises:
        ConfigError: If there is none of that name or number.
    """
    same = [name for name in names if name == quantity] or [n for n in names if n.lower() == quantity.lower()]
    if not same and quantity.isdecimal() and int(quantity) < len(names):
        same = [names[int(quantity)]]
    if len(same) != 1:
        message = f"no quantity {quantity!r}: there are {listed(names)}"
        raise ConfigError(Diagnostic(where, message, "choose one by its number or its name"))
    return same[0]


def listed(names: Sequence[str]) -> str:
    """List quantities by number and name, as an option takes them: ``0 (membrane), 1 (DNA)``."""
    return ", ".join(f"{number} ({name})" for number, name in enumerate(names))
