"""Parser of YAML 1.2 that records the place of every key and collects every fault.

PyYAML alone reads YAML 1.1, where ``1e-3`` is text, ``on`` is true, ``012`` is ten and ``1:30`` is ninety, and the last
of two equal keys wins silently. Here scalars follow the core schema of YAML 1.2, equal keys are a fault, and a file
cannot name a Python object.
"""

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from ..errors import Diagnostic

Keys: TypeAlias = tuple[str | int, ...]
"""Path of a value: ``("volume", "spacing", 0)``."""

_CORE_TAGS = {
    "null": (r"null|Null|NULL|~|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - the attribute by which PyYAML finds them


for _tag, (_pattern, _starts) in _CORE_TAGS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), ["" if c == "\0" else c for c in _starts]
    )


@dataclass
class ConfigDocument:
    """A parsed config: values, their places, and the faults of the text.

    Args:
        name: Name of the file, for messages.
        data: Nested dictionaries, lists and scalars.
        places: ``file:line:column`` of each key or list item, or the command-line option that set it.
        faults: Faults so far.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Keys, str] = field(default_factory=dict)
    faults: list[Diagnostic] = field(default_factory=list)

    def where(self, keys: Keys) -> str:
        """Return the place of a key, or of the nearest section around it."""
        while keys:
            if keys in self.places:
                return self.places[keys]
            keys = keys[:-1]
        return self.name


def parse_document(text: str, name: str) -> ConfigDocument:
    """Parse YAML 1.2.

    Args:
        text: The YAML.
        name: Name for messages.

    Returns:
        The document; for a text that is not YAML, one with empty data and a fault.
    """
    document = ConfigDocument(name)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        document.faults.append(_syntax_fault(error, name))
        return document
    except yaml.YAMLError as error:
        document.faults.append(Diagnostic(name, f"not a text of YAML: {str(error).splitlines()[0]}"))
        return document
    if node is None:
        return document
    data = _Builder(document).build(node, ())
    if isinstance(data, dict):
        document.data = data
    else:
        document.faults.append(Diagnostic(_place(name, node), f"expected lines 'key: value', found {_describe(data)}"))
    return document


def apply_override(document: ConfigDocument, assignment: str) -> None:
    """Apply ``--set key.path=value`` to a document; the value is parsed as YAML.

    Args:
        document: Document, changed in place.
        assignment: Text ``key.path=value``.
    """
    place = f"--set {assignment}"
    path, equals, text = assignment.partition("=")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        document.faults.append(Diagnostic(place, "is no assignment", "write --set volume.depth='12 um'"))
        return
    section = document.data
    for depth, key in enumerate(keys[:-1], 1):
        if section.get(key) is None:
            section[key] = {}
            document.places[keys[:depth]] = place
        if not isinstance(section[key], dict):
            document.faults.append(
                Diagnostic(place, f"{'.'.join(keys[:depth])} is the value {section[key]!r}, which holds no keys")
            )
            return
        section = section[key]
    # Parse a document of one key, so that a scalar, a list and a mapping pass the same checks.
    value = parse_document(f"value: {text}" if text.strip() else "value:", place)
    if value.faults:
        document.faults += [Diagnostic(place, fault.message, fault.remedy) for fault in value.faults]
        return
    section[keys[-1]] = value.data.get("value")
    for known in [known for known in document.places if known[: len(keys)] == keys]:
        del document.places[known]
    document.places[keys] = place


class _Builder:
    """Converter of PyYAML's nodes to values, which records places and faults in a document."""

    def __init__(self, document: ConfigDocument):
        self._document = document
        self._open: set[int] = set()
        self._scalars = _Loader("")

    def build(self, node: yaml.Node, keys: Keys) -> Any:
        """Convert a node and all nodes below it."""
        if id(node) in self._open:
            self._fault(node, "an alias that contains itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, keys)
            if isinstance(node, yaml.SequenceNode):
                return [self._item(item, (*keys, i)) for i, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.discard(id(node))

    def _item(self, node: yaml.Node, keys: Keys) -> Any:
        self._document.places[keys] = _place(self._document.name, node)
        return self.build(node, keys)

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not key or not isinstance(key, str):
                self._fault(key_node, "a key must be a word")
                continue
            here = (*keys, key)
            if key in result:
                first = self._document.places[here].rsplit(":", 2)[-2]
                self._fault(key_node, f"{'.'.join(map(str, here))}: is set already in line {first}", "keep one of them")
                continue
            self._document.places[here] = _place(self._document.name, key_node)
            result[key] = self.build(value_node, here)
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "str":
            return node.value
        if kind == "null":
            return None
        if kind == "bool":
            return node.value.lower() == "true"
        if kind == "int":
            text = node.value
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if kind == "float":
            return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
        self._fault(node, f"the tag {node.tag!r} is not allowed here", "write the plain value")
        return None

    def _fault(self, node: yaml.Node, message: str, remedy: str = "") -> None:
        self._document.faults.append(Diagnostic(_place(self._document.name, node), message, remedy))


def _place(name: str, node: yaml.Node) -> str:
    if name.startswith("--set"):
        return name
    return f"{name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _describe(value: Any) -> str:
    return {list: "a list", type(None): "nothing"}.get(type(value), f"the value {value!r}")


def _syntax_fault(error: yaml.MarkedYAMLError, name: str) -> Diagnostic:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark and not name.startswith("--set") else name
    problem = error.problem or "unreadable"
    if "'\\t'" in problem:
        return Diagnostic(where, "a tab where YAML needs spaces", "indent with spaces")
    remedy = "put quotes around a value that holds ': '" if "mapping values are not allowed" in problem else ""
    context = f" {error.context}" if error.context else ""
    return Diagnostic(where, f"not valid YAML: {problem}{context}", remedy)
