"""Parser of YAML 1.2 that records the place of every key and collects every fault.

A key of the whole config may be a path, as ``--set`` and messages write it: ``volume.depth: 9 um``.

Equal keys are a fault, where PyYAML would let the last of them win.
"""

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from ..errors import Diagnostic
from .text import line_and_column
from .yaml_loader import (
    MAX_DEPTH,
    MAX_VALUES,
    PATTERNS,
    TAG_PREFIX,
    Alias,
    Loader,
    RefusedError,
    fits,
    parse_scalar,
    shorten,
)

Keys: TypeAlias = tuple[str | int, ...]
"""Path of a value: ``("volume", "spacing", 0)``."""


@dataclass
class ConfigDocument:
    """A parsed config: values, their places, and the faults of the text.

    Args:
        name: Name of the file, for messages.
        data: Nested dictionaries, lists and scalars.
        places: ``file:line:column`` of each key or list item, or the command-line option that set it.
        faults: Faults so far.
        refused: Keys that have a fault already, so that what follows from it is not reported.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Keys, str] = field(default_factory=dict)
    faults: list[Diagnostic] = field(default_factory=list)
    refused: set[Keys] = field(default_factory=set)

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
    loader: Loader | None = None
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return document
        data = _Builder(document).build(node, ())
    except RefusedError as error:
        document.faults.append(Diagnostic(_place(name, error.mark), error.message, error.remedy))
        return document
    except yaml.MarkedYAMLError as error:
        document.faults.append(_syntax_fault(error, name))
        return document
    except yaml.reader.ReaderError as error:
        document.faults.append(_character_fault(error, text, name))
        return document
    except (ValueError, OverflowError):  # PyYAML converts the numbers of %YAML and of \U in quotes without a check.
        place = _place(name, loader.get_mark() if loader else None)
        document.faults.append(Diagnostic(place, "not valid YAML: a number that no character or version has"))
        return document
    if isinstance(data, dict):
        document.data = data
    else:
        place, remedy = _place(name, node.start_mark), ""
        if isinstance(data, str) and re.match(r"\w+:\S", data):
            remedy = "put a space after the colon"
        document.faults.append(Diagnostic(place, f"expected lines 'key: value', found {_describe(data)}", remedy))
    return document


def apply_override(document: ConfigDocument, assignment: str) -> None:
    """Apply ``--set key.path=value`` to a document; the value is parsed as YAML.

    Args:
        document: Document, changed in place.
        assignment: Text ``key.path=value`` or ``key.path: value``.
    """
    place = f"--set {shorten(assignment, 80)}"
    path, equals, text = assignment.partition("=")
    if ": " in path:  # As a config has it, and as messages write it.
        path, equals, text = assignment.partition(": ")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        document.faults.append(Diagnostic(place, "is no assignment", "write --set volume.depth='12 um'"))
        return
    if len(keys) > MAX_DEPTH:
        document.faults.append(Diagnostic(place, f"names a key within more than {MAX_DEPTH} sections"))
        return
    section = document.data
    for depth, key in enumerate(keys[:-1], 1):
        if section.get(key) is None:
            section[key] = {}
            document.places[keys[:depth]] = place
        if not isinstance(section[key], dict):
            value = shorten(repr(section[key]))
            document.faults.append(
                Diagnostic(place, f"{'.'.join(keys[:depth])} is the value {value}, which holds no keys")
            )
            return
        section = section[key]
    known = {known for known in document.places if known[: len(keys)] == keys}
    section[keys[-1]] = _override_value(document, text, place, keys)
    document.places = {k: p for k, p in document.places.items() if k not in known} | {keys: place}
    if section[keys[-1]] is not None:  # A fault of the value that is replaced no longer matters to the sections.
        document.refused = {k for k in document.refused if k[: len(keys)] != keys}


def _override_value(document: ConfigDocument, text: str, place: str, keys: Keys) -> Any:
    """Parse the value of an assignment; None with a fault of the document where it is no value."""
    # Parse a document of one key, so that a scalar, a list and a mapping pass the same checks.
    value = parse_document(f"value: {text}" if text.strip() else "value:", place)
    faults = [Diagnostic(place, fault.message, fault.remedy) for fault in value.faults]
    if not faults and set(value.data) != {"value"}:
        faults = [Diagnostic(place, "sets more than one key", "give each its own --set")]
    if not faults and value.data["value"] is None and text.strip().startswith("#"):
        faults = [Diagnostic(place, "is empty: '#' begins a comment", "put quotes around the value")]
    if faults:
        document.faults += faults
        document.refused.add(keys)
        return None
    return value.data["value"]


class _Builder:
    """Converter of PyYAML's nodes to values, which records places and faults in a document."""

    def __init__(self, document: ConfigDocument):
        self._document = document
        self._open: set[int] = set()
        self._alias: Alias | None = None
        self._repeated = 0

    def build(self, node: yaml.Node, keys: Keys) -> Any:
        """Convert a node and all nodes below it."""
        if isinstance(node, Alias):
            return self._target(node, keys)
        if id(node) in self._open:
            return self._fault(node, keys, "an alias that contains itself")
        self._require_few(keys)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node, keys)
            if node.tag not in (f"{TAG_PREFIX}map", f"{TAG_PREFIX}seq"):
                return self._fault(node, keys, f"the tag {shorten(repr(node.tag))} is not allowed here", "leave it out")
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, keys)
            return [self._item(item, (*keys, i)) for i, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _target(self, alias: Alias, keys: Keys) -> Any:
        """Convert the node that an alias repeats."""
        outer, self._alias = self._alias, self._alias or alias
        try:
            return self.build(alias.value, keys)
        finally:
            self._alias = outer

    def _require_few(self, keys: Keys) -> None:
        """Refuse aliases that multiply to more values, or deeper ones, than a config holds."""
        if self._alias is None:
            return
        self._repeated += 1
        if self._repeated > MAX_VALUES or len(keys) > MAX_DEPTH:
            amount = f"more than {MAX_VALUES} values" if self._repeated > MAX_VALUES else "lists too deep"
            message = f"the alias '*{shorten(str(self._alias.name), 30)}' stands for {amount}"
            raise RefusedError(self._alias.start_mark, message, "write the values out, without aliases")

    def _item(self, node: yaml.Node, keys: Keys) -> Any:
        self._document.places[keys] = _place(self._document.name, node.start_mark)
        return self.build(node, keys)

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        result: dict[str, Any] = {}
        dotted: list[tuple[yaml.Node, tuple[str, ...], yaml.Node]] = []
        for key_node, value_node in node.value:
            key = self._key(key_node, keys)
            if key is None:
                continue
            if not keys and "." in key and all(key.split(".")):  # As messages and --set write it.
                dotted.append((key_node, tuple(key.split(".")), value_node))
            else:
                self._set(result, key_node, (*keys, key), value_node)
        for key_node, path, value_node in dotted:
            section, count = result, 1
            while count < len(path) and isinstance(section.setdefault(path[count - 1], {}), dict):
                self._document.places.setdefault(path[:count], _place(self._document.name, key_node.start_mark))
                section, count = section[path[count - 1]], count + 1
            if count < len(path):
                self._fault(key_node, path, f"{'.'.join(path[:count])} is a value, which holds no keys")
            else:
                self._set(section, key_node, path, value_node)
        return result

    def _set(self, section: dict[str, Any], key_node: yaml.Node, keys: Keys, value_node: yaml.Node) -> None:
        """Build the value of a key of a section."""
        if keys[-1] in section:
            first = self._document.places[keys].rsplit(":", 2)[-2]
            name = shorten(".".join(map(str, keys)))
            self._fault(key_node, keys, f"{name}: is set already in line {first}", "keep one of them")
            return
        self._document.places[keys] = _place(self._document.name, key_node.start_mark)
        section[str(keys[-1])] = self.build(value_node, keys)

    def _key(self, node: yaml.Node, keys: Keys) -> str | None:
        """Return the text of a key; None with a fault where it is none."""
        key = node.value if isinstance(node, yaml.ScalarNode) else None
        if not key or not isinstance(key, str):
            self._fault(node, keys, "a key must be a word")
            return None
        if key == "<<":
            self._fault(node, keys, "merge keys '<<' are not a part of YAML 1.2", "write the keys out")
            return None
        if key != key.strip():
            message = f"{shorten(repr(key))} begins or ends with a space of another kind than YAML's"
            self._fault(node, keys, message, "type plain spaces")
            return None
        return key

    def _scalar(self, node: yaml.ScalarNode, keys: Keys) -> Any:
        kind, text = node.tag.removeprefix(TAG_PREFIX), node.value
        if kind == "str":
            return text
        if kind not in PATTERNS:
            tag = shorten(repr(node.tag))
            return self._fault(node, keys, f"the tag {tag} is not allowed here", "write the plain value")
        if not fits(kind, text):
            message = f"{shorten(repr(text))} has the tag !!{kind}, which it does not fit"
            return self._fault(node, keys, message, "leave it out")
        try:
            return parse_scalar(kind, text)
        except ValueError as error:
            return self._fault(node, keys, str(error))

    def _fault(self, node: yaml.Node, keys: Keys, message: str, remedy: str = "") -> None:
        place = _place(self._document.name, (self._alias or node).start_mark)
        self._document.faults.append(Diagnostic(place, message, remedy))
        self._document.refused.add(keys)


def _place(name: str, mark: Any) -> str:
    if mark is None or name.startswith("--set"):
        return name
    return f"{name}:{mark.line + 1}:{mark.column + 1}"


def _describe(value: Any) -> str:
    return {list: "a list", type(None): "nothing"}.get(type(value), f"the value {shorten(repr(value))}")


def _character_fault(error: yaml.reader.ReaderError, text: str, name: str) -> Diagnostic:
    """Name the character that YAML does not allow."""
    line, column = line_and_column(text, error.position)
    place = name if name.startswith("--set") else f"{name}:{line}:{column}"
    code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
    return Diagnostic(place, f"not a text of YAML: it holds the control character U+{code:04X}", "remove it")


def _syntax_fault(error: yaml.MarkedYAMLError, name: str) -> Diagnostic:
    where = _place(name, error.problem_mark or error.context_mark)
    problem = error.problem or "unreadable"
    if "'\\t'" in problem:
        return Diagnostic(where, "a tab where YAML needs spaces", "indent with spaces")
    remedy = "put quotes around a value that holds ': '" if "mapping values are not allowed" in problem else ""
    context = f" {error.context}" if error.context else ""
    return Diagnostic(where, shorten(f"not valid YAML: {problem}{context}", 200), remedy)
