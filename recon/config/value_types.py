"""Types of config values that may be written in several forms: lengths, lists of lengths, selections of views."""

from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from .units import format_quantity, parse_quantity

Auto: TypeAlias = Literal["auto"]


def _parse_lengths(value: Any, *, count: int, scalar: bool, auto: bool, zero: bool = False) -> Any:
    """Parse a positive length, a list of ``count`` lengths, or ``auto``.

    Args:
        value: Value in the YAML.
        count: Number of lengths in a list.
        scalar: Whether one length stays a number; otherwise it is repeated ``count`` times.
        auto: Whether ``auto`` is allowed.
        zero: Whether 0 is allowed.
    """
    listed = f"a list of {count}, as ['0.2 um'{', …' if count > 1 else ''}]"
    forms = ["a length such as '0.2 um'", *([listed] if count > 1 else []), *(["'auto'"] if auto else [])]
    expected = f"expected {' or '.join(forms)}"
    if auto and value == "auto":
        return "auto"
    many = isinstance(value, list | tuple)
    if many and len(value) != count:
        raise ValueError(f"{len(value)} numbers; {expected}")
    numbers = []
    for item in value if many else [value]:
        number = parse_quantity(item, "length")
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"{item!r} is no length; {expected}")  # noqa: TRY004 - pydantic gathers ValueErrors only
        if not (0 < number < float("inf") or (zero and number == 0)):
            raise ValueError(f"{item!r} is {'negative' if zero else 'not positive'}; {expected}")
        numbers.append(float(number))
    if many or not scalar:
        return tuple(numbers if many else numbers * count)
    return numbers[0]


def _format_lengths(value: Any) -> Any:
    if isinstance(value, tuple):
        return [format_quantity(item, "length") for item in value]
    return value if isinstance(value, str) else format_quantity(value, "length")


def _schema(count: int, auto: bool) -> dict[str, Any]:
    one: list[dict[str, Any]] = [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]
    many = {"type": "array", "items": {"anyOf": one}, "minItems": count, "maxItems": count}
    return {"anyOf": [*one, *([many] if count > 1 else [])], "examples": ["auto", "0.2 um"] if auto else ["0.2 um"]}


LengthOrAuto: TypeAlias = Annotated[
    float | Auto,
    PlainValidator(partial(_parse_lengths, count=1, scalar=True, auto=True)),
    PlainSerializer(_format_lengths, when_used="json"),
    WithJsonSchema(_schema(1, True)),
]
"""[m] A length, or ``auto``."""

MarginOrAuto: TypeAlias = Annotated[
    float | Auto,
    PlainValidator(partial(_parse_lengths, count=1, scalar=True, auto=True, zero=True)),
    PlainSerializer(_format_lengths, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}], "examples": ["auto", "2 um"]}),
]
"""[m] A length that may be 0, or ``auto``."""

Spacing: TypeAlias = Annotated[
    float | tuple[float, float, float] | Auto,
    PlainValidator(partial(_parse_lengths, count=3, scalar=True, auto=True)),
    PlainSerializer(_format_lengths, when_used="json"),
    WithJsonSchema(_schema(3, True)),
]
"""[m] One length, one for each of z, y, x, or ``auto``."""

Extent: TypeAlias = Annotated[
    tuple[float, float] | Auto,
    PlainValidator(partial(_parse_lengths, count=2, scalar=False, auto=True)),
    PlainSerializer(_format_lengths, when_used="json"),
    WithJsonSchema(_schema(2, True)),
]
"""[m] Lengths along y and x (one length for both), or ``auto``."""

Pitch: TypeAlias = Annotated[
    tuple[float, float],
    PlainValidator(partial(_parse_lengths, count=2, scalar=False, auto=False)),
    PlainSerializer(_format_lengths, when_used="json"),
    WithJsonSchema(_schema(2, False)),
]
"""[m] Lengths along y and x; one length for both."""


def _parse_label(value: Any) -> Any:
    """Parse the number or name of a channel, a position, or any other part of a file."""
    if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, int) and value < 0):
        raise ValueError(f"{value!r} is neither a number from 0 nor a name")
    return value


Label: TypeAlias = Annotated[
    int | str,
    PlainValidator(_parse_label),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": [0, "DAPI"]}),
]
"""Number, from 0, or name of a part of a file."""


def _parse_views(value: Any) -> Any:
    """Parse a selection of views: ``all``, a slice, or a list of indices."""
    expected = "expected 'all', a slice such as '::2' or '0:40', or a list of indices"
    if isinstance(value, list | tuple):
        if not value or not all(isinstance(i, int) and not isinstance(i, bool) for i in value):
            raise ValueError(f"{value!r} holds no indices; {expected}")
        return tuple(value)
    if value == "all":
        return "all"
    parts = value.split(":") if isinstance(value, str) else []
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= 3 or (len(numbers) == 3 and numbers[2] == 0):
        raise ValueError(f"{value!r} selects no views; {expected}")
    return value


Views: TypeAlias = Annotated[
    str | tuple[int, ...],
    PlainValidator(_parse_views),
    # Without it pydantic 2.14 warns of the list that it makes of the tuple.
    PlainSerializer(lambda views: views if isinstance(views, str) else list(views)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}, "minItems": 1}],
            "examples": ["all", "::2", "0:40", [0, 3, 6]],
        }
    ),
]
"""Selection of views; :func:`view_indices` converts it to indices."""


_MOST_VIEWS = 1_000_000


def view_indices(views: str | tuple[int, ...], count: int) -> list[int]:
    """Convert a selection of views to indices.

    Args:
        views: A value of type ``Views``.
        count: Number of views of the acquisition.

    Raises:
        ValueError: If it selects nothing, an index is beyond the last view, or there are more views than any file has.
    """
    if count > _MOST_VIEWS:
        raise ValueError(f"{count} views are more than the {_MOST_VIEWS} that can be read")
    if isinstance(views, tuple):
        beyond = [i for i in views if not -count <= i < count]
        if beyond:
            raise ValueError(f"view {beyond[0]} is beyond the last of {count} views")
        chosen = [i % count for i in views]
    elif views == "all":
        chosen = list(range(count))
    else:
        chosen = list(range(count)[slice(*(int(p) if p.strip() else None for p in views.split(":")))])
    if not chosen:
        raise ValueError(f"{views!r} selects none of {count} views")
    return chosen
