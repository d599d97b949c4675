"""Sources of an acquisition's numbers and arrays: a dataset, an attribute, another file, or a literal in the config.

================================  ==========================================================
``/I_raw``                        the dataset (or variable) of that path
``/@medium_index``                the attribute of the group or dataset before the ``@``
``/x@step in mm``                 either of them, in a unit that the file does not state
``/stack as y x view``            a dataset whose axes come in another order
``mask.npy``                      the array of another file
``other.h5:/mask``                a dataset of another file
``scan.spec:54/th``               a motor or column of a scan
``leds.csv:row``, ``leds.csv:2``  a column of a table, by its name or its number from 1
``[leds.csv:row, leds.csv:col]``  several sources, stacked along a last axis
``0.63 um``                       a literal with its unit
``9 keV``                         for a wavelength: the energy of its photons
``1.33``, ``[1, 2]``              literals in SI
================================  ==========================================================

A unit written ``in …`` takes precedence over the unit that the file states; without both, numbers are in SI.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

import numpy as np
from jaxtyping import Num
from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from .advice import quoted
from .photon_energy import wavelength_of
from .units import Dimension, dimension_of, parse_with_unit, si_factor, with_article

_EXTENSIONS = (
    *("h5", "hdf5", "hdf", "he5", "nxs", "nx5", "cxi", "mat", "npy", "npz", "zarr", "mrc", "edf"),
    *("tif", "tiff", "png", "jpg", "jpeg", "bmp", "csv", "tsv", "txt", "dat", "asc", "fio", "spec"),
)
_FILE = re.compile(rf".*\.(?:{'|'.join(_EXTENSIONS)})", re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_INDEX = re.compile(r"\[[\d\s:,]+\]$")
_ORDER = re.compile(r"(.+?) as ([A-Za-z]\w*(?:[\s,]+[A-Za-z0-9]\w*)*)")


@dataclass(frozen=True)
class Source:
    """Source of one entry of an acquisition.

    Args:
        path: Path of the dataset, or of the group or dataset that has the attribute; in another file, the name of one
            of its arrays, or empty for its only one. Empty for a literal.
        attribute: Name of an attribute; empty for a dataset.
        unit: Unit of the stored numbers; empty for the unit that the file states, or else SI.
        literal: Value in SI: a number, nested lists of numbers, or None.
        text: Text in the config, for messages and for writing the config.
        file: Name of another file; empty for the acquisition itself.
        order: Names of the axes, slowest first; empty for the usual order.
        parts: Sources of equal shape that are stacked along a last axis; empty for a single source.
    """

    path: str = ""
    attribute: str = ""
    unit: str = ""
    literal: Any = None
    text: Any = None
    file: str = ""
    order: tuple[str, ...] = ()
    parts: tuple["Source", ...] = ()

    @property
    def is_literal(self) -> bool:
        """Whether the value stands in the config."""
        return not (self.path or self.file or self.parts)

    @property
    def value(self) -> Num[np.ndarray, "..."]:
        """The literal in SI, float64.

        Raises:
            ValueError: If the source is a place in a file.
        """
        if not self.is_literal:
            raise ValueError(f"{self} is a place in a file, not a value")
        return np.asarray(self.literal, float)

    @property
    def factor(self) -> float | None:
        """Number of SI units in the unit given with ``in``; None if no unit is given."""
        return si_factor(self.unit) if self.unit else None

    @property
    def place(self) -> str:
        """Place as a config names it, without unit and order of axes."""
        path = f"{self.file}{':' if self.file and (self.path or self.attribute) else ''}{self.path}"
        return f"{path}@{self.attribute}" if self.attribute else path

    def is_default(self, path: str) -> bool:
        """Whether the source is the path of an array in unflat's own files."""
        return self.path == path and not self.attribute and not self.file

    def in_unit(self, unit: str) -> str:
        """Text of the same place in another unit, for remedies."""
        if self.parts:
            return f"[{', '.join(quoted(part.in_unit(unit)) for part in self.parts)}]"
        if self.is_literal:
            return str(self.text)
        return f"{self.place}{' as ' if self.order else ''}{' '.join(self.order)} in {unit}"

    def as_file(self) -> "Source | None":
        """Read ``/data/x.h5:/p`` or ``/mask.npy`` as the name of a file; None for a path that names none.

        Such a text is the path of a dataset first, and the name of a file where there is no such dataset.
        """
        divided = _split_file(self.path) if self.path.startswith("/") and not self.file else None
        return None if divided is None else replace(self, file=divided[0], path=divided[1])

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
        if isinstance(value, list | tuple) and any(_is_place(item) for item in value):
            return cls(parts=tuple(cls.parse(item, dimension, photon=photon) for item in value), text=value)
        if not _is_place(value):
            return cls(literal=_literal(value, dimension, photon=photon), text=value)
        place, unit = _split_unit(value)
        if unit and dimension and dimension_of(unit) not in (dimension, "energy" if photon else dimension):
            raise ValueError(f"{value!r} is in {unit!r}, which is no {dimension}")
        place, order = _split_order(place)
        file, path = ("", place) if place.startswith("/") else _split_file(place) or ("", place)
        path, attribute = _split_attribute(value, path)
        if path.startswith("/"):
            path = path if path == "/" else path.rstrip("/")
        return cls(path, attribute, unit, None, value, file, order)

    def __str__(self) -> str:
        return str(self.text)


def _is_place(value: Any) -> bool:
    """Whether a value of a config names a place: a path, or another file."""
    if not isinstance(value, str):
        return False
    ends = [match.start() for match in re.finditer(r" (?:in|as) ", value)]
    return value.startswith("/") or any(_split_file(value[:end]) for end in (*ends, len(value)))


def _split_unit(text: str) -> tuple[str, str]:
    """Split the unit from a place; the order of axes may stand before or behind it.

    Raises:
        ValueError: If the unit is unknown.
    """
    place, separator, unit = text.rpartition(" in ")
    unit, behind, order = unit.partition(" as ")
    unit = unit.strip()
    if not separator or (_split_file(unit) and dimension_of(unit) is None):
        return text.strip(), ""  # The last " in " is part of a file's name.
    if dimension_of(unit) is None:
        raise ValueError(f"{text!r} has the unknown unit {unit!r}")
    return f"{place.strip()}{behind}{order}".strip(), unit


def _split_order(place: str) -> tuple[str, tuple[str, ...]]:
    """Split the order of axes from a place."""
    match = _ORDER.fullmatch(place)
    return (match[1].strip(), tuple(match[2].replace(",", " ").split())) if match else (place, ())


def _split_file(place: str) -> tuple[str, str] | None:
    """Split the name of a file from that of an array in it; None for a text that names no file."""
    colon = place.find(":", 2 if _DRIVE.match(place) else 0)
    if colon > 0:
        return place[:colon], place[colon + 1 :]
    index = _INDEX.search(place)
    if index and _FILE.fullmatch(place[: index.start()]):
        return place[: index.start()], index[0]
    name, at, attribute = place.rpartition("@")
    if at and _FILE.fullmatch(name):
        return name, f"/@{attribute}"
    is_file = _FILE.fullmatch(place) or place.startswith(("./", "../", "~/", ".\\", "..\\")) or _DRIVE.match(place)
    return (place, "") if is_file or (place.endswith("/") and not place.startswith("/")) else None


def _split_attribute(text: str, path: str) -> tuple[str, str]:
    """Split an attribute from the path of its group or dataset.

    Raises:
        ValueError: If no name follows the ``@``.
    """
    head, at, attribute = path.rpartition("@")
    if not at or re.search(r"[/:]", attribute):  # The sign belongs to the name of a folder.
        return path, ""
    if not attribute:
        raise ValueError(f"{text!r} names no attribute after '@'")
    return head or "/", attribute


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
        places = "paths start with '/'; another file is named as mask.npy, other.h5:/data, ./table:column"
        raise ValueError(f"{error}, and it is no path: {places}") from None
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
            "examples": ["/entry/data", "/@wavelength in um", "other.h5:/data", 1.33],
        }

    return GetPydanticSchema(build, describe)


AnySource: TypeAlias = Annotated[Source, _schema(None)]
LengthSource: TypeAlias = Annotated[Source, _schema("length")]
WavelengthSource: TypeAlias = Annotated[Source, _schema("length", photon=True)]
InverseLengthSource: TypeAlias = Annotated[Source, _schema("inverse length")]
AngleSource: TypeAlias = Annotated[Source, _schema("angle")]
NumberSource: TypeAlias = Annotated[Source, _schema("number")]
