"""Numbers, settings and commands in messages, written so that they work as printed."""

import math
import shlex
from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from difflib import get_close_matches
from pathlib import Path
from typing import SupportsFloat

from .units import Dimension, format_quantity, si_factor


def exact(value: SupportsFloat) -> str:
    """Write a number with the fewest digits from which the same number is read: ``65535``, ``0.1``."""
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def quantity(value: SupportsFloat, dimension: Dimension = "length") -> str:
    """Write a quantity in SI with a unit and the fewest digits from which the same number is read: ``0.17 um``."""
    written = format_quantity(float(value), dimension)
    if isinstance(written, str):
        return written
    unit = {"length": "nm", "angle": "rad", "time": "s"}[dimension]
    return f"{float(f'{float(value) / si_factor(unit):.15g}')!r} {unit}"


def at_least(value: SupportsFloat, digits: int = 3) -> str:
    """Write a lower limit with a few digits, rounded up, so that the number itself is allowed."""
    return _rounded(value, digits, ROUND_CEILING)


def at_most(value: SupportsFloat, digits: int = 3) -> str:
    """Write an upper limit with a few digits, rounded down, so that the number itself is allowed."""
    return _rounded(value, digits, ROUND_FLOOR)


def shell(*words: str | Path) -> str:
    """Write words of a command line, quoted where the shell needs it: ``unflat info 'my scan.h5'``."""
    return shlex.join(map(str, words))


def quoted(text: str) -> str:
    """Write a text of YAML in single quotes, which stand twice inside."""
    return "'" + text.replace("'", "''") + "'"


def did_you_mean(
    wrong: str, choices: Iterable[str], *, most: int = 1, cutoff: float = 0.6, show: Callable[[str], str] = str
) -> str:
    """Suggest the most similar of some choices: ``did you mean 'depth'?``; empty if none is similar.

    Args:
        wrong: Text that was given.
        choices: Texts that are known.
        most: Number of suggestions.
        cutoff: Least similarity, from 0 to 1.
        show: Function that writes a choice as it is to be given.
    """
    similar = get_close_matches(wrong, list(choices), most, cutoff)
    return f"did you mean {' or '.join(repr(show(choice)) for choice in similar)}?" if similar else ""


def _rounded(value: SupportsFloat, digits: int, rounding: str) -> str:
    with localcontext() as context:
        context.prec, context.rounding = digits, rounding
        return format(+Decimal(repr(float(value))), "g") if math.isfinite(float(value)) else exact(value)
