"""Arrays of an acquisition, described once: for the config, for files and for messages.

A settings class declares each array with ``array_field``; ``entries_of`` lists them. Readers, writers, checks and the
comments in the YAML all follow that one table.
"""

from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from .base import Settings
from .source import Source


@dataclass(frozen=True)
class Entry:
    """One array of an acquisition.

    Args:
        name: Name in the config and in ``Acquisition.arrays``.
        path: Path in a HDF5 file written by unflat.
        axes: Names of the axes, slowest first; a digit is a fixed size. Axes of one name have one size in a file.
            Several layouts may be given, one of which must fit.
        unit: SI unit ("m", "rad", "1", "counts").
        meaning: Description in one line, for messages and for ``unflat info``.
        required: Whether no acquisition is complete without it. Entries that share a ``choice`` replace one another.
        choice: Name of a group of entries of which one is needed.
        dtype: ``float``, ``complex``, ``integer``, ``text``, or ``exact`` for real numbers in the type of the file.
        at_least: Smallest allowed value, if any.
        positive: Whether every value must exceed 0.
        hides: Whether it marks the bad pixels of images of its size: 0 is good.
        photon: Whether the energy of a photon may stand for it: a wavelength.
        has_gaps: Whether NaN may stand for a value that was not recorded.
        marks_gaps: Whether the largest number of an unsigned type, or -1 and -2 of a signed one, stand for pixels
            without a value.
        needs_unit: Whether its numbers are ambiguous without a unit, as angles are.
    """

    name: str
    path: str
    axes: tuple[tuple[str, ...], ...]
    unit: str
    meaning: str
    required: bool = False
    choice: str = ""
    dtype: str = "float"
    at_least: float | None = None
    positive: bool = False
    hides: bool = False
    photon: bool = False
    has_gaps: bool = False
    needs_unit: bool = False
    marks_gaps: bool = False


def array_field(
    path: str,
    *layouts: str,
    unit: str,
    meaning: str,
    description: str = "",
    required: bool = False,
    choice: str = "",
    dtype: str = "float",
    at_least: float | None = None,
    positive: bool = False,
    hides: bool = False,
    photon: bool = False,
    marks_gaps: bool = False,
    has_gaps: bool = False,
) -> Any:
    """Declare a field of a settings class that gives the source of an array.

    Args:
        path: Path in a HDF5 file written by unflat: the field's default.
        layouts: Names of the axes, slowest first, as ``"view y x"``; ``""`` is a scalar. One of several must fit.
        unit: SI unit.
        meaning: Description in one line, for messages and for ``unflat info``.
        description: Comment in the YAML, for people who write a config; ``meaning`` by default.
        required: See `Entry`, as for all that follow.
        choice: Name of a group of entries of which one is needed.
        dtype: Type of the values.
        at_least: Smallest allowed value.
        positive: Whether every value must exceed 0.
        hides: Whether it marks bad pixels.
        photon: Whether the energy of a photon may stand for it.
        marks_gaps: Whether some whole numbers stand for pixels without a value.
        has_gaps: Whether NaN may stand for a value that was not recorded.

    Returns:
        The field, with its `Entry` in the metadata.
    """
    axes = tuple(tuple(layout.split()) for layout in layouts)
    entry = Entry("", path, axes, unit, meaning, required, choice, dtype, at_least, positive, hides, photon)
    entry = replace(entry, marks_gaps=marks_gaps, has_gaps=has_gaps)
    field: Any = Field(Source.parse(path), description=description or f"{meaning[0].upper()}{meaning[1:]}.")
    field.metadata.append(entry)
    return field


def entries_of(settings: type[Settings], prefix: str = "") -> tuple[Entry, ...]:
    """List the arrays that a settings class declares.

    Args:
        settings: Section of a config with fields made by `array_field`.
        prefix: Text before each name, such as ``"turn."`` for a section within ``acquisition:``.

    Returns:
        Entries in the order of the fields. A reader takes the sizes of axes from the first arrays, so that images
        come first.
    """
    return tuple(
        replace(entry, name=prefix + name)
        for name, field in settings.model_fields.items()
        for entry in field.metadata
        if isinstance(entry, Entry)
    )
