"""Labels of quantities, and lengths in the units that people read: µm and nm."""

from dataclasses import replace

import numpy as np

from ..sampled import Quantity

_NANOMETRE_LIMIT = 0.9995e-6
"""[m] Length from which text gives µm: shorter ones round to at most 999 nm."""
_NANOMETRE_LIMIT_OF_BAR = 5e-7
"""[m] Largest value of a colour bar from which its numbers are in µm rather than nm."""
_SMALL = 1e-2
"""Largest value of a colour bar without a unit below which its numbers are given in a power of a thousand."""


def quantity_label(quantity: Quantity) -> str:
    """Return the axis label of a quantity: ``refractive index n``, ``absorption κ``, ``displacement (m)``."""
    symbol = {"refractive_index": " $n$", "absorption": " $κ$"}.get(quantity.name, "")
    unit = f" ({quantity.unit})" if quantity.unit not in ("", "1") else ""
    return quantity.name.replace("_", " ") + symbol + unit


def colour_bar_unit(quantity: Quantity, low: float | None, high: float | None) -> tuple[float, str]:
    """Return the factor from a quantity's values to the numbers of its colour bar, and the bar's label.

    Small numbers without a unit, such as strains, are given in powers of a thousand: in full they leave the label no
    room.
    """
    largest = max(abs(low or 0.0), abs(high or 0.0))
    if quantity.unit in ("", "1") and 0 < largest < _SMALL:
        power = 3 * int(np.floor(np.log10(largest) / 3))
        return 10.0**-power, f"{quantity_label(quantity)} ($10^{{{power}}}$)"
    if quantity.unit != "m":
        return 1.0, quantity_label(quantity)
    factor, unit = (1e9, "nm") if largest < _NANOMETRE_LIMIT_OF_BAR else (1e6, "µm")
    return factor, quantity_label(replace(quantity, unit=unit))


def display_unit(unit: str) -> tuple[float, str]:
    """Return the factor from a unit of length (``m`` or ``voxel``) to the unit on axes, and its name."""
    return (1.0, "voxels") if unit == "voxel" else (1e6, "µm")


def format_length(length: float, unit: str = "m") -> str:
    """Format a length to three digits: ``2 µm``, ``250 nm``, ``−12.5 µm``, or ``5 voxels``.

    Args:
        length: The length, in ``unit``.
        unit: ``m``, which is shown in µm or nm, or ``voxel``.
    """
    if unit == "voxel":
        return f"{length:.3g} voxels".replace("-", "−")
    if length and abs(length) < _NANOMETRE_LIMIT:
        return f"{length * 1e9:.3g} nm".replace("-", "−")
    return f"{length * 1e6:.3g} µm".replace("-", "−")


def format_position(name: str, position: float, unit: str = "m") -> str:
    """Format the position of a plane on an axis: ``z = −0.10 µm``.

    Args:
        name: Name of the axis.
        position: The position, in ``unit``.
        unit: ``m``, which is shown in µm, or ``voxel``.
    """
    factor, label = display_unit(unit)
    return f"${name}$ = {position * factor + 0.0:.2f} {label}".replace("-", "−")


def round_length(limit: float) -> float:
    """Return the largest of 1, 2, 5 × 10ⁿ that is at most a limit, in the unit of the limit."""
    decade = 10.0 ** np.floor(np.log10(limit))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= limit * (1 + 1e-9)))
