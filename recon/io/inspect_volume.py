"""What a volume file of another program's format holds, for people."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .volume_formats import format_of, outline

_FORMS = {"mrc": "MRC map", "vti": "VTK image data", "tiff": "OME-TIFF"}


def describe(path: Path) -> list[str] | None:
    """Describe a volume in MRC, VTI or our own OME-TIFF, from its header alone; None of any other file.

    Raises:
        DataError: If it is torn, or no volume.
    """
    volume = outline(path)
    if volume is None:
        return None
    lines = [
        f"{path}: {_FORMS[format_of(path)]}",
        f"  volume of a {volume.kind}" if volume.kind else "  volume",
        f"  {grid((volume.z, volume.y, volume.x))}",
    ]
    lines += [f"  @{name} = {value}" for name, value in volume.attributes.items()]
    for quantity in volume.quantities:
        words = [quantity.name, str(volume.values[quantity.name].dtype), f"[{quantity.unit}]", quantity.meaning]
        lines.append("  " + "  ".join(word for word in words if word))
    return lines


def grid(axes: Sequence[np.ndarray]) -> str:
    """Tell numbers, distances and extents of samples.

    Args:
        axes: [m] Coordinates along z, y, x; those of unknown spacing are NaN.
    """
    counts = " x ".join(str(len(axis)) for axis in axes)
    steps = [float(axis[-1] - axis[0]) / max(len(axis) - 1, 1) * 1e9 for axis in axes]
    if not np.isfinite(steps).all():
        return f"{counts} samples (z, y, x), nobody says how far apart"
    extents = " x ".join(f"{len(axis) * step * 1e-3:.4g}" for axis, step in zip(axes, steps, strict=True))
    return f"{counts} samples (z, y, x), {' x '.join(f'{step:.4g}' for step in steps)} nm apart, {extents} um in all"
