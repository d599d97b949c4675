"""Units as files write them."""

from ..config.units import dimension_of, si_factor

# The spellings of other programs, beside those that a config takes.
_SPELLINGS = {
    "meter": "m",
    "meters": "m",
    "metre": "m",
    "metres": "m",
    "millimeter": "mm",
    "millimetre": "mm",
    "micrometer": "um",
    "micrometers": "um",
    "micrometre": "um",
    "micrometres": "um",
    "nanometer": "nm",
    "nanometers": "nm",
    "nanometre": "nm",
    "nanometres": "nm",
    "angstroms": "angstrom",
    "ångström": "angstrom",
    "a": "angstrom",
    "radian": "rad",
    "radians": "rad",
    "count": "counts",
    "photons": "counts",
    "photon": "counts",
    "electrons": "counts",
    "dimensionless": "1",
    "a.u.": "1",
    "arb. units": "1",
    "none": "1",
}


def factor(unit: str, expected: str) -> float:
    """Give the number of ``expected`` in one ``unit``.

    Args:
        unit: As the file or the config has it.
        expected: SI unit of the entry: ``m``, ``rad``, ``1``, ``counts``, ``1/m``.

    Raises:
        ValueError: If the unit is unknown, or measures something else.
    """
    if unit == expected:
        return 1.0
    if expected.startswith("1/"):
        return _inverse(unit, expected)
    name = _SPELLINGS.get(unit.lower(), unit)
    found, wanted = dimension_of(name), dimension_of(expected)
    if found is None:
        raise ValueError(f"its unit {unit!r} is unknown")
    if found != wanted:
        raise ValueError(f"its unit {unit!r} is no {wanted}")
    return si_factor(name) / si_factor(expected)


def _inverse(unit: str, expected: str) -> float:
    text = unit.replace(" ", "")
    for ending in ("^-1", "**-1", "⁻¹", "-1"):
        text = text.removesuffix(ending) if text.endswith(ending) else text
    denominator = text.removeprefix("1/")
    if denominator == unit:
        raise ValueError(f"its unit {unit!r} is not of the form 1/length")
    return 1 / factor(denominator, expected.removeprefix("1/"))
