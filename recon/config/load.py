"""From a config file to settings, or to every fault of it at once."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError, Diagnostic
from .base import Settings, section_of
from .document import ConfigDocument, Keys, read_document, set_value

_FRIENDLY = {
    "missing": "is required",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "model_type": "must be a section of keys",
    "dict_type": "must be a section of keys",
}


def load_config(path: str | PathLike[str], overrides: Iterable[str] = ()) -> Settings:
    """Read a config file.

    Args:
        path: A YAML file.
        overrides: Assignments ``volume.depth=12 um`` that go before the file.

    Returns:
        The settings of the kind that the file names.

    Raises:
        ConfigError: With every fault of the file and of the overrides.
    """
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(Diagnostic(str(path), f"not text: byte {error.start} is not UTF-8")) from None
    except OSError as error:
        remedy = "write one with 'unflat init cell -o FILE'" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(Diagnostic(str(path), f"cannot be read: {error.strerror}", remedy)) from None
    return parse_config(text, overrides, name=str(path))


def parse_config(text: str, overrides: Iterable[str] = (), *, name: str = "config") -> Settings:
    """Read a config from its text; ``load_config`` says the rest.

    Args:
        text: YAML.
        overrides: Assignments that go before the text.
        name: Name for messages.

    Raises:
        ConfigError: With every fault.
    """
    document = read_document(text, name)
    if document.faults and not document.data:
        raise ConfigError(*document.faults)  # no YAML: what follows from that would only distract
    for assignment in overrides:
        set_value(document, assignment)
    model = _model(document)
    settings = _validate(document, model) if model else None
    if settings is None or document.faults:
        raise ConfigError(*_in_order(document.faults))
    return settings


def with_overrides(settings: Settings, overrides: Iterable[str]) -> Settings:
    """Change some values of settings, as ``--set`` does.

    Raises:
        ConfigError: With every fault of the overrides.
    """
    document = ConfigDocument("config", settings.model_dump(mode="json"))
    for assignment in overrides:
        set_value(document, assignment)
    changed = _validate(document, type(settings))
    if changed is None or document.faults:
        raise ConfigError(*document.faults)
    return changed


def _model(document: ConfigDocument) -> type[Settings] | None:
    from ..experiments import NAMES, get_experiment, why_not

    kind = document.data.get("kind")
    if isinstance(kind, str) and kind in NAMES:
        return get_experiment(kind).settings
    known = " or ".join(f"'kind: {name}'" for name in NAMES)
    if kind is None:
        document.faults.append(Diagnostic(document.where(("kind",)), "kind: is required", f"write {known}"))
    else:
        document.faults.append(Diagnostic(document.where(("kind",)), f"kind: {why_not(kind)}", f"write {known}"))
    return None


def _validate(document: ConfigDocument, model: type[Settings]) -> Settings | None:
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        document.faults += [_fault(document, model, dict(detail)) for detail in error.errors(include_url=False)]
        return None


def _fault(document: ConfigDocument, model: type[Settings], detail: dict[str, Any]) -> Diagnostic:
    keys = _real_keys(document, detail["loc"], detail["type"])
    kind, value = detail["type"], detail.get("input")
    key = ".".join(map(str, keys))
    remedy = ""
    if kind == "extra_forbidden":
        message, remedy = "unknown key", _did_you_mean(model, keys)
    elif kind == "literal_error":
        choices = [choice.strip("'") for choice in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        message = f"{value!r} is none of {', '.join(choices)}"
        remedy = _closest(str(value), choices)
    elif kind == "value_error":
        message = str(detail["ctx"]["error"])
    elif kind in ("too_short", "too_long") and isinstance(value, list | tuple):
        wanted = detail["ctx"].get("max_length", detail["ctx"].get("min_length"))
        message = f"must be a list of {wanted}, not {list(value)!r}"
    elif value is None and kind != "missing":
        message, remedy = "must not be empty", "give it a value, or delete the line for its default"
    elif kind in _FRIENDLY:
        message = _FRIENDLY[kind] if kind == "missing" else f"{_FRIENDLY[kind]}, not {value!r}"
    else:
        message = f"{_lower(detail['msg']).replace('input should', 'must')}, not {value!r}"
    return Diagnostic(document.where(keys), f"{key}: {message}" if key else message, remedy)


def _real_keys(document: ConfigDocument, loc: Sequence[str | int], kind: str) -> Keys:
    """Drop what pydantic adds to a location (names of union members): keep keys that the document has."""
    keys: list[str | int] = []
    data: Any = document.data
    for part in loc:
        if _holds(data, part):
            data = data[part]
        elif kind == "missing" and part == loc[-1]:
            pass
        else:
            continue
        keys.append(part)
    return tuple(keys)


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _did_you_mean(model: type[Settings], keys: Keys) -> str:
    """Look for the key that was meant: in the same section, then in any other."""
    wrong = str(keys[-1])
    section = _section_at(model, keys[:-1])
    if section and (close := get_close_matches(wrong, section.model_fields, 1)):
        return f"did you mean {close[0]!r}?"
    everywhere = dict(_all_keys(model))
    if wrong in everywhere:
        return f"did you mean {everywhere[wrong]!r}?"
    if close := get_close_matches(wrong, everywhere, 1, 0.75):
        return f"did you mean {everywhere[close[0]]!r}?"
    return f"known here: {', '.join(section.model_fields)}" if section else ""


def _closest(wrong: str, choices: list[str]) -> str:
    close = get_close_matches(wrong, choices, 1)
    return f"did you mean {close[0]!r}?" if close else ""


def _section_at(model: type[Settings], keys: Keys) -> type[Settings] | None:
    found: type[Settings] | None = model
    for key in keys:
        field = found.model_fields.get(str(key)) if found else None
        found = section_of(field.annotation) if field else None
    return found


def _all_keys(model: type[Settings], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, field in reversed(model.model_fields.items()):
        if section := section_of(field.annotation):
            yield from _all_keys(section, f"{prefix}{name}.")
        yield name, f"{prefix}{name}"


def _in_order(faults: list[Diagnostic]) -> list[Diagnostic]:
    """Sort by line and column; what has none comes last."""

    def place(fault: Diagnostic) -> tuple[int, int]:
        *_, line, column = ("", "", *fault.where.rsplit(":", 2))
        return (int(line), int(column)) if line.isdigit() and column.isdigit() else (1 << 30, 0)

    return sorted(faults, key=place)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
