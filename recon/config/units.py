"""Table of units, for configs (``515 nm``, ``30 deg``, ``10 min``, ``4 GiB``) and for files (``micrometer``, ``Å⁻¹``).

A plain number is in SI. Decimal arithmetic keeps ``0.2 um`` equal to ``2e-7`` to the last bit, so that a config that is
written and read again is the same config.
"""

import math
import re
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

Dimension: TypeAlias = Literal[
    "length", "inverse length", "angle", "time", "energy", "temperature", "voltage", "memory", "number"
]

_DEGREE = Decimal("0.01745329251994329576923690768488612713")
_UNITS: dict[Dimension, dict[str, Decimal]] = {
    "length": {
        "m": Decimal(1),
        "cm": Decimal("1e-2"),
        "mm": Decimal("1e-3"),
        "um": Decimal("1e-6"),
        "µm": Decimal("1e-6"),  # the micro sign, U+00B5
        "μm": Decimal("1e-6"),  # the Greek letter, U+03BC
        "micron": Decimal("1e-6"),
        "microns": Decimal("1e-6"),
        "nm": Decimal("1e-9"),
        "angstrom": Decimal("1e-10"),
        "A": Decimal("1e-10"),
        "Å": Decimal("1e-10"),
        "pm": Decimal("1e-12"),
    },
    "inverse length": {
        f"{head}{unit}{tail}": factor
        for unit, factor in (
            ("m", Decimal(1)),
            ("mm", Decimal("1e3")),
            ("um", Decimal("1e6")),
            ("nm", Decimal("1e9")),
            ("A", Decimal("1e10")),
            ("Å", Decimal("1e10")),
            ("angstrom", Decimal("1e10")),
            ("pm", Decimal("1e12")),
        )
        for head, tail in (("1/", ""), ("", "^-1"), ("", "-1"))
    },
    "angle": {
        "rad": Decimal(1),
        "mrad": Decimal("1e-3"),
        "urad": Decimal("1e-6"),
        "deg": _DEGREE,
        "degree": _DEGREE,
        "degrees": _DEGREE,
        "°": _DEGREE,
        "mdeg": _DEGREE / 1000,
        "arcmin": _DEGREE / 60,
        "arcsec": _DEGREE / 3600,
    },
    "time": {
        "s": Decimal(1),
        "ms": Decimal("1e-3"),
        "min": Decimal(60),
        "h": Decimal(3600),
        "d": Decimal(86400),
    },
    "energy": {
        "J": Decimal(1),
        **{
            f"{prefix}{name}": Decimal(1000) ** n * Decimal("1.602176634e-19")
            for n, prefix in enumerate(("", "k", "M", "G"))
            for name in ("eV", "ev")
        },
        "KeV": Decimal("1.602176634e-16"),
    },
    "temperature": {"K": Decimal(1), "mK": Decimal("1e-3")},
    "voltage": {"V": Decimal(1), "mV": Decimal("1e-3"), "kV": Decimal(1000)},
    "memory": {
        "B": Decimal(1),
        **{f"{p}B": Decimal(1000) ** n for n, p in enumerate(("k", "M", "G", "T"), 1)},
        **{f"{p}iB": Decimal(1024) ** n for n, p in enumerate(("K", "M", "G", "T"), 1)},
    },
    "number": {"1": Decimal(1), "counts": Decimal(1), "%": Decimal("0.01"), "": Decimal(1)},
}
_FILE_SPELLINGS = {
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("millimeter", "millimetre"), "mm"),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), "um"),
    **dict.fromkeys(("nanometer", "nanometers", "nanometre", "nanometres"), "nm"),
    **dict.fromkeys(("angstroms", "ångström", "a"), "angstrom"),
    **dict.fromkeys(("radian", "radians"), "rad"),
    **dict.fromkeys(("µrad", "μrad", "microradian", "microradians"), "urad"),
    **dict.fromkeys(("millidegree", "millidegrees", "millideg"), "mdeg"),
    **dict.fromkeys(("joule", "joules", "j"), "J"),
    **dict.fromkeys(("ev", "electronvolt", "electronvolts", "electron volt", "electron volts"), "eV"),
    **dict.fromkeys(("kev", "kiloelectronvolt", "kiloelectronvolts", "kilo electron volt"), "keV"),
    **dict.fromkeys(("count", "photons", "photon", "electrons"), "counts"),
    **dict.fromkeys(("dimensionless", "a.u.", "arb. units", "none"), "1"),
}
"""Spellings of other programs, in lower case, beside the units that a config accepts."""
# Units in which a number may be written, largest first.
_OUTPUT_UNITS: dict[Dimension, tuple[str, ...]] = {
    "length": ("m", "mm", "um", "nm", "pm"),
    "inverse length": (),
    "angle": ("deg", "rad"),
    "time": ("h", "min", "s", "ms"),
    "energy": (),
    "temperature": ("K",),
    "voltage": ("kV", "V", "mV"),
    "memory": ("TiB", "GiB", "MiB", "KiB", "B"),
    "number": (),
}
_EXAMPLES: dict[Dimension, str] = {
    "length": "0.2 um",
    "inverse length": "2.67 1/A",
    "angle": "30 deg",
    "time": "10 min",
    "energy": "9 keV",
    "temperature": "295 K",
    "voltage": "1.2 V",
    "memory": "4 GiB",
    "number": "0.25",
}
SI_UNITS: dict[Dimension, str] = {dimension: next(iter(units)) for dimension, units in _UNITS.items()}
"""SI unit of each dimension."""
_QUANTITY = re.compile(r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*)?")
_MAX_TEXT = 100
"""Number of characters of a quantity: more than any number needs."""


def dimension_of(unit: str) -> Dimension | None:
    """Return the dimension of a unit, or None if the unit is unknown."""
    return next((dimension for dimension, units in _UNITS.items() if unit in units), None)


def si_factor(unit: str) -> float:
    """Return the number of SI units in one ``unit``.

    Raises:
        ValueError: If the unit is unknown.
    """
    dimension = dimension_of(unit)
    if dimension is None:
        raise ValueError(
            f"unknown unit {unit!r}; lengths are m, mm, um, nm or 1/nm, 1/A; angles rad, deg; times s, min, h"
        )
    return float(_UNITS[dimension][unit])


def conversion_factor(unit: str, expected: str) -> float:
    """Return the number of ``expected`` units in one ``unit``.

    Args:
        unit: Unit in the spelling of a file or of the config.
        expected: SI unit: ``m``, ``rad``, ``J``, ``1``, ``counts``, ``1/m``.

    Raises:
        ValueError: If the unit is unknown, or of another dimension.
    """
    if unit == expected:
        return 1.0
    if expected.startswith("1/"):
        return 1 / conversion_factor(_denominator(unit), expected.removeprefix("1/"))
    name = _FILE_SPELLINGS.get(unit.lower(), unit)
    dimension, required = dimension_of(name), dimension_of(expected)
    if dimension is None:
        raise ValueError(f"its unit {unit!r} is unknown")
    if dimension != required:
        raise ValueError(f"its unit {unit!r} is no {required}")
    return si_factor(name) / si_factor(expected)


def _denominator(unit: str) -> str:
    """Return ``nm`` of ``1/nm``, ``nm^-1``, ``nm**-1`` or ``nm⁻¹``.

    Raises:
        ValueError: If the unit is of none of these forms.
    """
    text = unit.replace(" ", "")
    for ending in ("^-1", "**-1", "⁻¹", "-1"):
        text = text.removesuffix(ending)
    denominator = text.removeprefix("1/")
    if denominator == unit:
        raise ValueError(f"its unit {unit!r} is not of the form 1/length")
    return denominator


def parse_with_unit(text: str) -> tuple[float, Dimension | None]:
    """Parse a number with or without a unit.

    Returns:
        The number in SI, and the dimension of its unit; None if it has no unit.

    Raises:
        ValueError: If it is no number, its unit is unknown, or the number is beyond the range of 64 bits.
    """
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{text[:40]!r}… is a text of {len(text)} characters and not a number with a unit")
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a number with a unit")
    number, unit = match[1], match[2] or ""
    _require_range(float(number), number)  # First: decimal arithmetic takes long over a large exponent, or fails.
    if not unit:
        return float(number), None
    dimension = dimension_of(unit)
    if dimension is None:
        raise ValueError(f"{text!r} has the unknown unit {unit!r}")
    return _require_range(float(Decimal(number) * _UNITS[dimension][unit]), number), dimension


def _require_range(value: float, text: str) -> float:
    """Return a number that its text does not exceed.

    Raises:
        ValueError: If it is infinite, or zero where the text has other digits.
    """
    if math.isinf(value) or (value == 0 and re.search("[1-9]", text.lower().partition("e")[0])):
        raise ValueError(f"{text!r} is {'smaller' if value == 0 else 'larger'} than numbers can be")
    return value


def is_number(text: str) -> bool:
    """Whether text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def with_article(noun: str) -> str:
    """Add the indefinite article: ``a length``, ``an angle``."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def parse_quantity(value: object, dimension: Dimension) -> object:
    """Parse a quantity of one dimension.

    A value that is neither text nor a number is returned as it is, for pydantic to refuse.

    Args:
        value: A number in SI, or text with a unit.
        dimension: Dimension that the unit must have.

    Raises:
        ValueError: If the text is no quantity of that dimension.
    """
    expected = f"{with_article(dimension)} such as {_EXAMPLES[dimension]!r}"
    if isinstance(value, bool):
        raise ValueError(f"{value} is not {expected}")  # noqa: TRY004 - pydantic gathers ValueErrors only
    if not isinstance(value, str):
        return value
    try:
        number, received = parse_with_unit(value)
    except ValueError as error:
        raise ValueError(f"{error}; expected {expected}") from None
    if received not in (dimension, None):
        raise ValueError(f"{value!r} is {with_article(str(received))}; expected {expected}")
    return number


def format_quantity(value: float, dimension: Dimension) -> str | float:
    """Write a quantity in a unit that suits its size.

    Args:
        value: Value in SI.
        dimension: Dimension of the value.

    Returns:
        The shortest text from which :func:`parse_quantity` returns exactly the same number, or the number itself where
        no unit suits.
    """
    # The largest unit that gives a number of the usual size; times are whole numbers: 90 s, not 1.5 min.
    for unit in _OUTPUT_UNITS[dimension]:
        size = float(_UNITS[dimension][unit])
        least = {"length": 0.1, "angle": 1e-4}.get(dimension, 1.0)  # Rocking curves have steps of 0.005 degrees.
        if least <= abs(value) / size < 1000:
            for digits in range(1, 16):
                number = format(value / size, f".{digits}g")
                number = format(Decimal(number), "f")
                if parse_with_unit(f"{number} {unit}")[0] == value and (dimension != "time" or "." not in number):
                    return f"{number} {unit}"
    return value


def _schema(dimension: Dimension) -> dict[str, Any]:
    units = sorted({u for u in _UNITS[dimension] if u})
    pattern = rf"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*({'|'.join(map(re.escape, units))})?\s*$"
    return {
        "anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}],
        "examples": [_EXAMPLES[dimension]],
    }


def _pydantic_annotations(dimension: Dimension) -> tuple[Any, ...]:
    """Annotations by which pydantic reads and writes a quantity of one dimension."""
    return (
        BeforeValidator(partial(parse_quantity, dimension=dimension)),
        PlainSerializer(partial(format_quantity, dimension=dimension), when_used="json"),
        WithJsonSchema(_schema(dimension)),
    )


Length: TypeAlias = Annotated[float, *_pydantic_annotations("length")]
Angle: TypeAlias = Annotated[float, *_pydantic_annotations("angle")]
Time: TypeAlias = Annotated[float, *_pydantic_annotations("time")]
Memory: TypeAlias = Annotated[float, *_pydantic_annotations("memory")]
