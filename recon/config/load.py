"""Reading of config files: validated settings, or every fault of the file at once.

The classes of configs come from the caller, by the name that a config gives in its key ``kind``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError

from ..errors import ConfigError, Diagnostic
from .advice import did_you_mean
from .base import Settings, section_of
from .document import ConfigDocument, Keys, apply_override, parse_document
from .text import read_config_text
from .yaml_loader import shorten

ConfigClasses: TypeAlias = Mapping[str, type[Settings]]
"""Classes of configs by kind; a mapping may import a class when it is asked for."""

_MAX_FAULTS = 30
"""Number of faults of the values that a message lists."""
_MAX_MESSAGE = 300
_MESSAGES = {
    "missing": "is required",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "model_type": "must be a section of keys",
    "dict_type": "must be a section of keys",
}


def load_settings(path: str | PathLike[str], classes: ConfigClasses, overrides: Iterable[str] = ()) -> Settings:
    """Read a config file.

    Args:
        path: A YAML file.
        classes: Classes of configs by kind.
        overrides: Assignments such as ``volume.depth=12 um``, which take precedence over the file.

    Returns:
        An instance of the class for the kind that the file names.

    Raises:
        ConfigError: With every fault of the file and of the overrides.
    """
    try:
        text = read_config_text(path)
    except OSError as error:
        remedy = f"write one with 'unflat init {next(iter(classes), 'KIND')} -o FILE'"
        raise ConfigError(
            Diagnostic(
                str(path), f"cannot be read: {error.strerror}", remedy if isinstance(error, FileNotFoundError) else ""
            )
        ) from None
    return parse_settings(text, classes, overrides, name=str(path))


def parse_settings(
    text: str, classes: ConfigClasses, overrides: Iterable[str] = (), *, name: str = "config"
) -> Settings:
    """Read the text of a config; see :func:`load_settings`.

    Args:
        text: YAML.
        classes: Classes of configs by kind.
        overrides: Assignments that take precedence over the text.
        name: Name of the config in messages.

    Raises:
        ConfigError: With every fault.
    """
    document = parse_document(text, name)
    if document.faults and not document.data:
        raise ConfigError(*document.faults)  # Not YAML: faults that follow from that would only distract.
    for assignment in overrides:
        apply_override(document, assignment)
    config_class = _class_for(document, classes)
    settings = _validate(document, config_class) if config_class else None
    if settings is None or document.faults:
        raise ConfigError(*_in_order(document.faults))
    return settings


def with_overrides(settings: Settings, overrides: Iterable[str]) -> Settings:
    """Change some values of settings, as ``--set`` does.

    Args:
        settings: Settings, which stay as they are.
        overrides: Assignments such as ``volume.depth=12 um``.

    Raises:
        ConfigError: With every fault of the overrides.
    """
    document = ConfigDocument("config", settings.model_dump(mode="json"))
    for assignment in overrides:
        apply_override(document, assignment)
    changed = _validate(document, type(settings))
    if changed is None or document.faults:
        raise ConfigError(*document.faults)
    return changed


def _class_for(document: ConfigDocument, classes: ConfigClasses) -> type[Settings] | None:
    """Look up the class for the document's kind; without one, add a fault to the document."""
    kind = document.data.get("kind")
    if isinstance(kind, str) and kind in classes:
        return classes[kind]
    message = "is required" if kind is None else f"{shorten(repr(kind))} is no kind of experiment"
    remedy = "write " + " or ".join(f"'kind: {name}'" for name in classes)
    document.faults.append(Diagnostic(document.where(("kind",)), f"kind: {message}", remedy))
    return None


def _validate(document: ConfigDocument, model: type[Settings]) -> Settings | None:
    """Validate a document. Faults are added to it; the result is then None."""
    _refuse_flags(document, document.data, model, ())
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        diagnosed = (_diagnose(document, model, dict(detail)) for detail in details[:_MAX_FAULTS])
        document.faults += [fault for fault in diagnosed if fault is not None]
        if len(details) > _MAX_FAULTS:
            document.faults.append(Diagnostic(document.name, f"{len(details) - _MAX_FAULTS} further faults"))
        return None


def _refuse_flags(document: ConfigDocument, data: Mapping[str, Any], model: type[Settings], keys: Keys) -> None:
    """Add a fault for each true or false where a number is due: to pydantic they are 1 and 0."""
    for name, field in model.model_fields.items():
        value, here, types = data.get(name), (*keys, name), set(_types_in(field.annotation))
        section = next((t for t in types if issubclass(t, Settings)), None)
        if section:
            items = [(here, value)] if isinstance(value, dict) else _numbered(value, here)
            for place, item in items:
                if isinstance(item, dict):
                    _refuse_flags(document, item, section, place)
        elif (
            types & {int, float} and bool not in types and (flags := [f for f in _leaves(value) if isinstance(f, bool)])
        ):
            message = f"{'.'.join(map(str, here))}: is {str(flags[0]).lower()} where a number is due"
            document.faults.append(Diagnostic(document.where(here), message))
            document.refused.add(here)


def _types_in(annotation: Any) -> Iterator[type]:
    """Yield the classes in an annotation such as ``tuple[float, float] | None``."""
    if get_args(annotation):
        for part in get_args(annotation):
            yield from _types_in(part)
    elif isinstance(annotation, type):
        yield annotation


def _numbered(value: Any, keys: Keys) -> list[tuple[Keys, Any]]:
    """Return the items of a list with their keys; none of any other value."""
    return [((*keys, i), item) for i, item in enumerate(value)] if isinstance(value, list | tuple) else []


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the scalars in nested lists."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _diagnose(document: ConfigDocument, model: type[Settings], detail: dict[str, Any]) -> Diagnostic | None:
    """Translate an error of pydantic to the place, the value and a remedy; None if the value has a fault already."""
    keys = _document_keys(document, detail["loc"], detail["type"])
    if any(keys[: len(refused)] == refused for refused in document.refused if refused):
        return None
    key = shorten(".".join(map(str, keys)), _MAX_MESSAGE // 2)
    message, remedy = _describe_error(model, keys, detail)
    message = shorten(f"{key}: {message}" if key else message, _MAX_MESSAGE)
    return Diagnostic(document.where(keys), message, remedy)


def _describe_error(model: type[Settings], keys: Keys, detail: dict[str, Any]) -> tuple[str, str]:
    """Return the message and the remedy for an error of pydantic; the remedy may be empty."""
    error_type, value = detail["type"], detail.get("input")
    if error_type == "extra_forbidden":
        return "unknown key", _similar_key(model, keys)
    if error_type == "literal_error":
        choices = [choice.strip("'") for choice in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return f"{shorten(repr(value))} is none of {', '.join(choices)}", did_you_mean(str(value), choices)
    if error_type == "value_error":  # Raised by a validator of unflat, in its final words.
        return str(detail["ctx"]["error"]), ""
    if error_type == "missing":
        return _MESSAGES[error_type], ""
    if value is None:
        return "must not be empty", "give it a value, or delete the line for its default"
    return f"{_expectation(detail)}, not {shorten(repr(value))}", ""


def _expectation(detail: dict[str, Any]) -> str:
    """Describe the values that would be accepted in place of a wrong one: ``must be a number``."""
    error_type, value = detail["type"], detail.get("input")
    if error_type in ("too_short", "too_long") and isinstance(value, list | tuple):
        return f"must be a list of {detail['ctx'].get('max_length', detail['ctx'].get('min_length'))}"
    if error_type in _MESSAGES:
        return _MESSAGES[error_type]
    return _lower(detail["msg"]).replace("input should", "must")


def _document_keys(document: ConfigDocument, location: Sequence[str | int], error_type: str) -> Keys:
    """Return the keys of an error's location without the names of union members, which pydantic adds."""
    keys: list[str | int] = []
    data: Any = document.data
    for part in location:
        if _holds(data, part):
            data = data[part]
        elif error_type == "missing" and part == location[-1]:
            pass
        else:
            continue
        keys.append(part)
    return tuple(keys)


def _holds(data: Any, part: str | int) -> bool:
    """Return whether a section has a key, or a list an index."""
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _similar_key(model: type[Settings], keys: Keys) -> str:
    """Suggest a similar key: of the same section first, then of any other; without one, list the section's keys."""
    wrong = str(keys[-1])
    first, dot, rest = wrong.partition(".")
    if dot and _section_at(model, (*keys[:-1], first)):
        return f"write it within its section, '{first}: {{{rest}: VALUE}}'"
    section = _section_at(model, keys[:-1])
    if section and (here := did_you_mean(wrong, section.model_fields)):
        return here
    everywhere = dict(_all_keys(model))
    if elsewhere := did_you_mean(wrong, everywhere, cutoff=0.75, show=everywhere.__getitem__):
        return elsewhere
    return f"known here: {', '.join(section.model_fields)}" if section else ""


def _section_at(model: type[Settings], keys: Keys) -> type[Settings] | None:
    """Return the class of the section at some keys; None if the class has no such section."""
    section: type[Settings] | None = model
    for key in keys:
        field = section.model_fields.get(str(key)) if section else None
        section = section_of(field.annotation) if field else None
    return section


def _all_keys(model: type[Settings], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Yield the name and the dotted path of each key; of equal names the one to prefer comes last."""
    for name, field in reversed(model.model_fields.items()):
        if section := section_of(field.annotation):
            yield from _all_keys(section, f"{prefix}{name}.")
        yield name, f"{prefix}{name}"


def _in_order(faults: list[Diagnostic]) -> list[Diagnostic]:
    """Sort by line and column; faults without a line come last."""

    def place(fault: Diagnostic) -> tuple[bool, int, int]:
        """Return whether the line is unknown, then line and column."""
        *_, line, column = ("", "", *fault.where.rsplit(":", 2))
        is_known = line.isdigit() and column.isdigit()
        return (False, int(line), int(column)) if is_known else (True, 0, 0)

    return sorted(faults, key=place)


def _lower(text: str) -> str:
    """Put the first letter of a text in lower case."""
    return text[:1].lower() + text[1:]
