"""Numbers, settings and commands in messages, written so that they work as printed."""

import math
import shlex
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from pathlib import Path

from .units import Dimension, format_quantity


def exact(value: float) -> str:
    """Write a number with the fewest digits from which the same number is read: ``65535``, ``0.1``."""
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def quantity(value: float, dimension: Dimension = "length") -> str:
    """Write a quantity in SI with a unit and the fewest digits from which the same number is read: ``0.17 um``."""
    written = format_quantity(float(value), dimension)
    unit = {"length": " m", "angle": " rad", "time": " s"}.get(dimension, "")
    return written if isinstance(written, str) else f"{exact(written)}{unit}"


def at_least(value: float, digits: int = 3) -> str:
    """Write a lower limit with a few digits, rounded up, so that the number itself is allowed."""
    return _rounded(value, digits, ROUND_CEILING)


def at_most(value: float, digits: int = 3) -> str:
    """Write an upper limit with a few digits, rounded down, so that the number itself is allowed."""
    return _rounded(value, digits, ROUND_FLOOR)


def shell(*words: str | Path) -> str:
    """Write words of a command line, quoted where the shell needs it: ``unflat info 'my scan.h5'``."""
    return shlex.join(map(str, words))


def quoted(text: str) -> str:
    """Write a text of YAML in single quotes, which stand twice inside."""
    return "'" + text.replace("'", "''") + "'"


def _rounded(value: float, digits: int, rounding: str) -> str:
    with localcontext() as context:
        context.prec, context.rounding = digits, rounding
        return format(+Decimal(repr(float(value))), "g") if math.isfinite(value) else exact(value)
