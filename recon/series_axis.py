"""Coordinate of a series of acquisitions: its name, its unit, and the position of each acquisition."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .config.units import SI_UNITS, dimension_of, parse_with_unit
from .errors import ConfigError, DataError, Diagnostic

ORDER = ""
"""Unit of positions that are plain numbers."""
FIRST, LAST = "first", "last"
"""Words for the positions of the first and of the last acquisition."""
WIDE_STEP = 3.0
"""Ratio to the median step from which a step is a gap."""
_KELVIN = 273.15
_CELSIUS = ("degC", "°C", "celsius")


@dataclass(frozen=True)
class SeriesAxis:
    """Coordinate of a series.

    Args:
        name: Name of the coordinate: ``time``, ``temperature``.
        unit: SI unit of the positions; empty for plain numbers.
        positions: Position of each acquisition, rising.

    Raises:
        DataError: If there are fewer than two positions, or they do not rise.
    """

    name: str
    unit: str
    positions: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.positions) < 2 or not np.isfinite(self.positions).all() or not (np.diff(self.positions) > 0).all():
            raise DataError(f"the positions {self.positions} of the series {self.name} are not two or more that rise")

    def locate(self, position: float) -> tuple[int, float]:
        """Find the acquisition at or before a position, and the fraction of the way to the next.

        Raises:
            ConfigError: If the position lies before the first or after the last acquisition.
        """
        first, last = self.positions[0], self.positions[-1]
        if not first <= position <= last:
            message = f"{self.describe(position)} lies outside the series, {self.range}"
            raise ConfigError(Diagnostic("--at", message, "the model does not extrapolate: take a position within"))
        number = min(int(np.searchsorted(self.positions, position, side="right")) - 1, len(self.positions) - 2)
        before, after = self.positions[number : number + 2]
        if position == after:
            return (number, 1.0) if number == len(self.positions) - 2 else (number + 1, 0.0)
        return number, float((position - before) / (after - before))

    @property
    def range(self) -> str:
        """Name, first and last position in words."""
        return f"{self.describe(self.positions[0])} to {self._with_unit(self.positions[-1])}"

    @property
    def steps(self) -> str:
        """Steps between neighbours in words: ``steps of 10 s``, ``steps of 5 s to 20 s``."""
        steps = np.diff(self.positions)
        least, largest = (f"{float(step):.4g} {self.unit}".strip() for step in (steps.min(), steps.max()))
        return f"steps of {least}" if least == largest else f"steps of {least} to {largest}"

    def gaps(self) -> list[tuple[float, float, float]]:
        """List the steps that are far wider than most: positions before and after, and ratio to the median step."""
        steps = np.diff(self.positions)
        ratios = steps / np.median(steps)
        wide = map(int, np.flatnonzero(ratios > WIDE_STEP))
        return [(self.positions[i], self.positions[i + 1], float(ratios[i])) for i in wide]

    def describe(self, position: float) -> str:
        """Write a position: ``time = 12.5 s``."""
        return f"{self.name} = {self._with_unit(position)}"

    def number(self, position: float) -> str:
        """Write the number of a position in as many digits as tell it from its neighbours."""
        return f"{position:.{self._digits}g}"

    @cached_property
    def _digits(self) -> int:
        """Significant digits that show a thousandth of the least step: of seconds since 1970, thirteen."""
        orders = math.log10(max(map(abs, self.positions)) / float(np.diff(self.positions).min()))
        return int(np.clip(4 + math.ceil(orders), 6, 17))

    def _with_unit(self, position: float) -> str:
        return f"{self.number(position)} {self.unit}".strip()

    def parse(self, text: str) -> float:
        """Read a position: ``time=12.5s``, ``12.5 s``, ``12.5`` in the series' own unit, ``first`` or ``last``.

        Raises:
            ConfigError: If it is none, or of another name or unit.
        """
        name, _, number = text.rpartition("=")
        if name and name.strip() != self.name:
            raise ConfigError(Diagnostic("--at", f"{text!r}: the series is over {self.name}", f"{self.range}"))
        if number.strip() in (FIRST, LAST):
            return self.positions[0 if number.strip() == FIRST else -1]
        try:
            value, unit = parse_position(number)
        except ValueError as error:
            raise ConfigError(
                Diagnostic("--at", str(error), f"write it as '{self.describe(self.positions[0])}'")
            ) from None
        if unit not in (ORDER, self.unit):
            message = f"{text!r} is in {unit}, and the series in {self.unit or 'plain numbers'}"
            raise ConfigError(Diagnostic("--at", message, f"the series: {self.range}"))
        return value


def parse_position(text: str) -> tuple[float, str]:
    """Read a number with or without a unit.

    Returns:
        The number in SI, and its SI unit; an empty one for a plain number.

    Raises:
        ValueError: If it is no finite number, or the unit is unknown.
    """
    own = text.strip()
    for celsius in _CELSIUS:
        if own.endswith(celsius):
            return _parse_number(own.removesuffix(celsius), text) + _KELVIN, "K"
    value, dimension = parse_with_unit(own)
    return value, ORDER if dimension in (None, "number") else SI_UNITS[dimension]


def _parse_number(number: str, text: str) -> float:
    """Read the number of a text that has a unit already."""
    value, dimension = parse_with_unit(number)
    if dimension is not None:
        raise ValueError(f"{text!r} has two units")
    return value


def convert_position(value: float, unit: str) -> tuple[float, str]:
    """Convert a number of a file to SI.

    Returns:
        The number, and its SI unit; an empty one for a plain number.

    Raises:
        ValueError: If the number is not finite, or the unit is unknown.
    """
    if not np.isfinite(value):
        raise ValueError(f"is {value}, and no finite number")
    if unit in ("", "1", "none", "dimensionless"):
        return value, ORDER
    if unit not in _CELSIUS and dimension_of(unit) is None:
        raise ValueError(f"has the unknown unit {unit!r}")
    return parse_position(f"{value!r} {unit}")


def require_rising(positions: Sequence[float], names: Sequence[str]) -> None:
    """Refuse positions of which two are equal.

    Args:
        positions: Positions, sorted.
        names: Names of the acquisitions, for the message.

    Raises:
        DataError: With both names.
    """
    for number in map(int, np.flatnonzero(np.diff(positions) <= 0)):
        message = f"{names[number]} and {names[number + 1]} have the same position, {positions[number]:g}"
        remedy = "leave one out, or give the positions: --series NAME=0,10,20"
        raise DataError(Diagnostic("--series", message, remedy))
