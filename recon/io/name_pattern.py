"""Numbers in the names of files: ``img_y{row}_x{column}.tif`` gives the row and column of each image.

Braces stand for a number, with sign and decimals, and name it; a unit may follow, ``angle_{angle in deg}.tif``. ``*``
and ``?`` stand for any text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from ..config.units import dimension_of

Numbers: TypeAlias = tuple[float, ...]

_FIELD = re.compile(r"\{\s*([A-Za-z_]\w*)(?:\s+in\s+([^{}]+?))?\s*\}")
_COUNTED = re.compile(r"[+-]?\d+(?:\.\d+)?")
_MOST_MISSING = 0.1
"""Largest share of the images of a grid that are named as missing; more are no grid."""
_MOST_NAMED = 5


@dataclass(frozen=True)
class NamePattern:
    """Pattern of file names with named numbers.

    Args:
        text: The pattern.
    """

    text: str

    @cached_property
    def fields(self) -> dict[str, str]:
        """Names of the numbers, in order, with their units; an empty unit where none is given."""
        return {match[1]: match[2] or "" for match in _FIELD.finditer(self.text)}

    def faults(self) -> str:
        """Describe the fault of a pattern that cannot be used; empty if it can."""
        names = [match[1] for match in _FIELD.finditer(self.text)]
        rest = _FIELD.sub("", self.text)
        if "{" in rest or "}" in rest:
            return "braces hold a name, as in {row}, or a name and a unit, as in {angle in deg}"
        if len(set(names)) < len(names):
            return "two numbers have one name"
        if re.search(r"\}\{", self.text):
            return "two numbers follow each other without a text between them"
        unknown = next((unit for unit in self.fields.values() if unit and dimension_of(unit) is None), "")
        return f"the unit {unknown!r} is unknown" if unknown else ""

    def match(self, name: str) -> Numbers | None:
        """Read the numbers in a name; None if it is of another form, NaN if it can be read in several ways."""
        long, short = (re.fullmatch(self._expression(mode), name) for mode in ("", "?"))
        if long is None or short is None:
            return None
        if long.groups() != short.groups():
            return tuple(float("nan") for _ in self.fields)
        return tuple(float(text) for text in long.groups())

    def _expression(self, mode: str) -> str:
        """Regular expression of the pattern, whose numbers are as long, or as short, as possible."""
        parts = []
        for literal, field in _split(self.text):
            parts.append("".join({"*": ".*?", "?": "."}.get(c, re.escape(c)) for c in literal))
            if field:
                parts.append(r"([+-]?\d+?(?:\.\d+?)??)" if mode else r"([+-]?\d+(?:\.\d+)?)")
        return "".join(parts)


def has_fields(name: str) -> bool:
    """Whether a name is a pattern with named numbers."""
    return "{" in name and "}" in name


def as_wildcard(name: str) -> str:
    """Write a pattern with named numbers as one with ``*``."""
    return re.sub(r"\{[^{}]*\}", "*", name)


def family(name: str) -> str:
    """Return a name with ``#`` for each of its numbers: names of one series are equal."""
    return _COUNTED.sub("#", name.lower())


def with_fields(name: str, fields: Sequence[str] = tuple("abcdefghijklmnopqrstuvwxyz")) -> str:
    """Write a name as a pattern of the names of its series: ``image_{a}.tif``.

    Args:
        name: Name of a file.
        fields: Names for its numbers; further numbers stay as they are.
    """
    names = iter(fields)
    return _COUNTED.sub(lambda match: f"{{{field}}}" if (field := next(names, "")) else match[0], name)


def changing_numbers(names: Sequence[str]) -> list[int]:
    """Places of the numbers that change from name to name; empty where the names are of several kinds."""
    numbers = [_COUNTED.findall(name) for name in names]
    if len({family(name) for name in names}) > 1:
        return []
    return [place for place, values in enumerate(zip(*numbers, strict=True)) if len(set(values)) > 1]


def suggest_pattern(names: Sequence[str], fields: Sequence[str]) -> str:
    """Write the names of a series as a pattern that names the numbers that change; empty if their number differs."""
    changing = changing_numbers(names)
    if len(changing) != len(fields):
        return ""
    matches = list(_COUNTED.finditer(names[0]))
    pattern = names[0]
    for place, field in reversed(list(zip(changing, fields, strict=True))):
        pattern = f"{pattern[: matches[place].start()]}{{{field}}}{pattern[matches[place].end() :]}"
    return pattern


def missing_numbers(names: Sequence[str]) -> str:
    """Describe the gaps in the only number that changes from name to name; empty if there are none."""
    changing = changing_numbers(names)
    if len(names) < 3 or len(changing) != 1:
        return ""
    return missing_of([(float(_COUNTED.findall(name)[changing[0]]),) for name in names])


def missing_of(numbers: Sequence[Numbers]) -> str:
    """Describe the gaps in a row, or a full grid, of numbers; empty if there are none, or too many for a grid.

    Args:
        numbers: Numbers of each image.
    """
    table = np.array(numbers, float)
    axes = [_regular(column) for column in table.T]
    if not len(numbers) or any(axis is None for axis in axes):
        return ""
    grid = np.stack(np.meshgrid(*(axis for axis in axes if axis is not None), indexing="ij"), -1).reshape(-1, len(axes))
    present = {tuple(row) for row in np.round(table, 9).tolist()}
    missing = [tuple(row) for row in np.round(grid, 9).tolist() if tuple(row) not in present]
    if not missing or len(missing) > max(_MOST_MISSING * len(grid), 1):
        return ""
    shown = ", ".join(" ".join(f"{value:g}" for value in row) for row in missing[:_MOST_NAMED])
    return f"{shown}{', …' if len(missing) > _MOST_NAMED else ''}"


def _regular(values: np.ndarray) -> np.ndarray | None:
    """Return all numbers from the first to the last at the smallest step; None if others lie between them."""
    rising = np.unique(values)
    if len(rising) == 1:
        return rising
    step = float(np.diff(rising).min())
    counted = np.round((rising - rising[0]) / step)
    if not np.allclose(rising, rising[0] + counted * step, rtol=0, atol=1e-6 * step) or counted[-1] > 10 * len(values):
        return None
    return np.asarray(rising[0] + np.arange(int(counted[-1]) + 1) * step)


def _split(text: str) -> list[tuple[str, str]]:
    """Split a pattern into texts, each with the name of the number that follows it; empty after the last."""
    parts, start = [], 0
    for match in _FIELD.finditer(text):
        parts.append((text[start : match.start()], match[1]))
        start = match.end()
    return [*parts, (text[start:], "")]
