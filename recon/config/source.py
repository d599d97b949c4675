"""Sources of an acquisition's numbers and arrays: a dataset, an attribute, or a literal in the config.

====================  =======================================================
``/I_raw``            the dataset (or variable) of that path
``/@medium_index``    the attribute of the group or dataset before the ``@``
``/x@step in mm``     either of them, in a unit that the file does not state
``0.63 um``           a literal with its unit
``9 keV``             for a wavelength: the energy of its photons
``1.33``, ``[1, 2]``  literals in SI
====================  =======================================================

A unit written ``in …`` takes precedence over the ``units`` attribute of the dataset; without both, numbers are in SI.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np
from jaxtyping import Num
from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from .photon_energy import wavelength_of
from .units import Dimension, dimension_of, parse_with_unit, si_factor, with_article


@dataclass(frozen=True)
class Source:
    """Source of one entry of an acquisition.

    Args:
        path: Path of the dataset, or of the group or dataset that has the attribute; empty for a literal.
        attribute: Name of an attribute; empty for a dataset.
        unit: Unit of the stored numbers; empty for the unit that the file states, or else SI.
        literal: Value in SI: a number, nested lists of numbers, or None.
        text: Text in the config, for messages and for writing the config.
    """

    path: str = ""
    attribute: str = ""
    unit: str = ""
    literal: Any = None
    text: Any = None

    @property
    def is_literal(self) -> bool:
        """Whether the value stands in the config."""
        return not self.path

    @property
    def value(self) -> Num[np.ndarray, "..."]:
        """The literal in SI, float64.

        Raises:
            ValueError: If the source is a path.
        """
        if not self.is_literal:
            raise ValueError(f"{self} is a place in a file, not a value")
        return np.asarray(self.literal, float)

    @property
    def factor(self) -> float | None:
        """Number of SI units in the unit given with ``in``; None if no unit is given."""
        return si_factor(self.unit) if self.unit else None

    @classmethod
    def parse(cls, value: Any, dimension: Dimension | None = None, *, photon: bool = False) -> "Source":
        """Parse the value of a source in a config.

        Args:
            value: Text, a number, or (nested) lists of numbers and quantities.
            dimension: Dimension that the unit must have; None for any.
            photon: Whether the energy of a photon may stand for a length, its wavelength.

        Raises:
            ValueError: If it is none of the forms above.
        """
        if isinstance(value, Source):
            return value
        if not (isinstance(value, str) and value.startswith("/")):
            return cls(literal=_literal(value, dimension, photon=photon), text=value)
        place, _, unit = value.partition(" in ")
        place, unit = place.strip(), unit.strip()
        if unit and dimension_of(unit) is None:
            raise ValueError(f"{value!r} has the unknown unit {unit!r}")
        if unit and dimension and dimension_of(unit) not in (dimension, "energy" if photon else dimension):
            raise ValueError(f"{value!r} is in {unit!r}, which is no {dimension}")
        path, at, attribute = place.partition("@")
        if at and not attribute:
            raise ValueError(f"{value!r} names no attribute after '@'")
        return cls(path if path == "/" else path.rstrip("/"), attribute, unit, None, value)

    def __str__(self) -> str:
        return str(self.text)


def _literal(value: Any, dimension: Dimension | None, *, photon: bool = False) -> Any:
    if isinstance(value, list | tuple):
        return [_literal(item, dimension, photon=photon) for item in value]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is neither a number nor a path such as '/data' or '/@attribute in um'")  # noqa: TRY004
    if not isinstance(value, str):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return float(value)
    try:
        number, received = parse_with_unit(value)
    except ValueError as error:
        raise ValueError(f"{error}, and it is no path: paths start with '/'") from None
    if photon and received == "energy":
        return wavelength_of(number)
    if received is not None and dimension is not None and received != dimension:
        raise ValueError(f"{value!r} is {with_article(received)}; expected {with_article(dimension)}")
    return number


def _schema(dimension: Dimension | None, *, photon: bool = False) -> GetPydanticSchema:
    """Define how pydantic reads and writes a source: as its text."""

    def build(_source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: Source.parse(value, dimension, photon=photon),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda source: source.text),
        )

    def describe(_schema: Any, _handler: Any) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "array"}],
            "examples": ["/entry/data", "/@wavelength in um", 1.33],
        }

    return GetPydanticSchema(build, describe)


AnySource: TypeAlias = Annotated[Source, _schema(None)]
LengthSource: TypeAlias = Annotated[Source, _schema("length")]
WavelengthSource: TypeAlias = Annotated[Source, _schema("length", photon=True)]
InverseLengthSource: TypeAlias = Annotated[Source, _schema("inverse length")]
AngleSource: TypeAlias = Annotated[Source, _schema("angle")]
NumberSource: TypeAlias = Annotated[Source, _schema("number")]
