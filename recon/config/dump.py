"""Writing of configs: YAML commented with the descriptions of the settings, and a JSON schema for editors."""

import json
from textwrap import wrap
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from .base import Settings, section_of
from .document import parse_document
from .source import Source

WIDTH = 100


def dump_commented(settings: Settings | type[Settings], *, only_set: bool = False, heading: str = "") -> str:
    """Write a config as commented YAML.

    Args:
        settings: Settings, or a class of them, which stands for its defaults.
        only_set: Whether to leave out values that were not set.
        heading: Text of a comment at the head of the file.

    Returns:
        YAML that loads back to the same settings.
    """
    instance = settings() if isinstance(settings, type) else settings
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    if heading:
        lines.append("")
    values = instance.model_dump(mode="json")
    return "\n".join(lines + _section(type(instance), values, instance if only_set else None, 0)) + "\n"


def setting_line(settings: Settings, key: str) -> str:
    """Write one setting as ``volume.depth: 9 um``.

    Args:
        settings: The config.
        key: Key of the setting, with dots between the sections.
    """
    value: Any = settings.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return f"{key}: {_scalar(value)}"


def json_schema(config_class: type[Settings]) -> str:
    """Write the JSON schema of a class of configs, as text."""
    kind = config_class.model_fields["kind"].get_default()
    schema = config_class.model_json_schema(schema_generator=_SchemaGenerator)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"unflat config: {kind}"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class _SchemaGenerator(GenerateJsonSchema):
    """Pydantic's generator; sources are written as their text."""

    def encode_default(self, dft: Any) -> Any:
        """Write a default as a config contains it."""
        return dft.text if isinstance(dft, Source) else super().encode_default(dft)


def _section(model: type[Settings], values: dict[str, Any], only_set: Settings | None, depth: int) -> list[str]:
    """Write the lines of a section.

    Args:
        model: Class of the section.
        values: Values by key, as JSON can hold them.
        only_set: Instance whose keys that were not set are left out; None to write every key.
        depth: Number of sections around it.
    """
    lines: list[str] = []
    indent = "  " * depth
    for name, field in model.model_fields.items():
        if only_set is not None and name not in only_set.model_fields_set:
            continue
        section, value = section_of(field.annotation), values[name]
        if section and depth == 0 and lines:
            lines.append("")
        lines += _comment(field, indent)
        if section and isinstance(value, dict):
            inner = getattr(only_set, name) if only_set is not None else None
            body = _section(section, value, inner, depth + 1)
            lines += [f"{indent}{name}:", *body] if body else [f"{indent}{name}: {{}}"]
        elif section and value is None:
            lines += [f"{indent}{name}: null", *_example(section, name, indent)]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            lines += [f"{indent}{name}:", *(f"{indent}  - {_item(item)}" for item in value)]
        else:
            lines.append(f"{indent}{name}: {_scalar(value)}")
    return lines


def _item(item: dict[str, Any]) -> str:
    """Write a mapping within a list on one line; one of one key without braces around it."""
    return _scalar(item) if len(item) != 1 else _scalar(item)[1:-1]


def _comment(field: FieldInfo, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in wrap(field.description or "", WIDTH - len(indent) - 2)]


def _example(section: type[Settings], name: str, indent: str) -> list[str]:
    """Show an absent section as comments, ready to be uncommented."""
    lines = [f"{indent}# {name}:"]
    for key, field in section.model_fields.items():
        example = field.examples[0] if field.examples else field.get_default(call_default_factory=True)
        example = getattr(example, "text", example)
        lines += [f"{indent}#   # {line}" for line in wrap(field.description or "", WIDTH - len(indent) - 6)]
        lines.append(f"{indent}#   {key}: {_scalar(example)}")
    return lines


def _scalar(value: Any) -> str:
    """Write a value on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_scalar(item)}' for key, item in value.items())}}}"
    if isinstance(value, str):
        return value if _is_safe(value) else json.dumps(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return format(value, ".1f")
    return json.dumps(value)


def _is_safe(text: str) -> bool:
    """Whether text stands in YAML without quotes, even within a list."""
    if not text or text != text.strip() or any(c in text for c in ",[]{}#&*!|>'\"%`\n\\"):
        return False
    try:
        return parse_document(f"value: {text}", "").data == {"value": text}
    except yaml.YAMLError:
        return False
