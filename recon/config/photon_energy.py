"""Wavelength of light by the energy of its photons, λ = h c / E, where a config or a file gives the energy."""

from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from .units import conversion_factor, format_quantity, parse_quantity, parse_with_unit

PLANCK_TIMES_LIGHT = 6.62607015e-34 * 299792458.0
"""h c [J m], exact in SI since 2019."""


def wavelength_of(energy: float) -> float:
    """Compute the wavelength [m] of photons of an energy [J].

    Raises:
        ValueError: If the energy is not positive.
    """
    if not (np.isfinite(energy) and energy > 0):
        raise ValueError(f"a photon's energy of {energy:g} J is not positive")
    return PLANCK_TIMES_LIGHT / energy


def is_energy(unit: str) -> bool:
    """Whether a unit in the spelling of a file is one of energy."""
    try:
        conversion_factor(unit, "J")
    except ValueError:
        return False
    return True


def parse_wavelength(value: object) -> object:
    """Parse a length, or a photon's energy as its wavelength [m].

    Args:
        value: A number in metres, or text with a unit of length or energy.

    Raises:
        ValueError: If the text is neither.
    """
    if isinstance(value, str):
        try:
            number, dimension = parse_with_unit(value)
        except ValueError:
            dimension = None
        if dimension == "energy":
            return wavelength_of(number)
    try:
        return parse_quantity(value, "length")
    except ValueError as error:
        raise ValueError(f"{error}, or an energy such as '9 keV'") from None


def _schema() -> dict[str, Any]:
    return {"anyOf": [{"type": "number"}, {"type": "string"}], "examples": ["532 nm", "9 keV"]}


Wavelength: TypeAlias = Annotated[
    float,
    BeforeValidator(parse_wavelength),
    PlainSerializer(lambda value: format_quantity(value, "length"), when_used="json"),
    WithJsonSchema(_schema()),
]
"""[m] A wavelength, written as a length or as the energy of its photons."""
