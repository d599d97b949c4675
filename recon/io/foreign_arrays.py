"""Arrays of other programs, whose axes have no names, as the quantities of a volume."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import ConfigError, Diagnostic
from .metadata import VolumeOptions
from .stack_axes import channel_axis


def foreign_quantities(path: Path, arrays: Mapping[str, np.ndarray], options: VolumeOptions) -> dict[str, np.ndarray]:
    """Select the arrays (z, y, x) of a file that are one volume; four axes are split into channels.

    Args:
        path: The file.
        arrays: Arrays of the file by name.
        options: Name of the only quantity to read.

    Returns:
        Real or complex arrays of one shape by name; nothing if the file holds none.

    Raises:
        ConfigError: If arrays of several shapes are there and none is chosen, or axes cannot be told apart.
    """
    numbers = {name: array for name, array in arrays.items() if array.dtype.kind in "biufc" and array.size}
    chosen = (options.quantity or "").strip("/")
    if chosen in numbers:
        numbers = {chosen: numbers[chosen]}
    split: dict[str, np.ndarray] = {}
    for name, array in numbers.items():
        whole = np.squeeze(array) if array.ndim > 3 else array
        if whole.ndim == 3:
            split[name] = whole
        elif whole.ndim == 4:
            axis = channel_axis(whole.shape, f"{path}:{name}")
            parts = np.moveaxis(whole, axis, 0)
            split |= {f"{name}_{i}" if len(numbers) > 1 else f"channel_{i}": part for i, part in enumerate(parts)}
    shapes = {array.shape for array in split.values()}
    if len(shapes) > 1:
        listed = ", ".join(f"{name} ({' x '.join(map(str, array.shape))})" for name, array in split.items())
        remedy = f"choose one: --channel {next(iter(split))}"
        raise ConfigError(Diagnostic(str(path), f"holds arrays of several sizes: {listed}", remedy))
    return split
