"""PyYAML's parser with the scalars of YAML 1.2, and limits of size and depth.

PyYAML alone reads YAML 1.1, where ``1e-3`` is text, ``on`` is true, ``012`` is ten and ``1:30`` is ninety. Here scalars
follow the core schema of YAML 1.2, and a file cannot name a Python object.
"""

import math
import re
from typing import Any

import yaml

MAX_DEPTH = 40
"""Number of lists and sections within each other."""
MAX_VALUES = 20_000
"""Number of keys and values of a config; aliases may repeat as many."""
MAX_INTEGER = 2**63 - 1
_MAX_SHOWN = 60
TAG_PREFIX = "tag:yaml.org,2002:"
_CORE_TAGS = {
    "null": (r"null|Null|NULL|~|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


PATTERNS = {tag: re.compile(rf"(?:{pattern})\Z") for tag, (pattern, _) in _CORE_TAGS.items()}


class RefusedError(Exception):
    """A text of YAML that is too large or too deep.

    Args:
        mark: Place of PyYAML.
        message: Description of the fault.
        remedy: Instruction to the user.
    """

    def __init__(self, mark: Any, message: str, remedy: str) -> None:
        super().__init__(message)
        self.mark, self.message, self.remedy = mark, message, remedy


class Alias(yaml.Node):
    """A use of an anchored node, at its own place.

    Args:
        target: The anchored node.
        event: The alias.
    """

    def __init__(self, target: yaml.Node, event: yaml.AliasEvent) -> None:
        super().__init__("alias", target, event.start_mark, event.end_mark)  # type: ignore[arg-type]
        self.name = event.anchor


class Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2 and limits of size and depth."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - the attribute by which PyYAML finds them

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node and all nodes below it; an alias stays a node of its own."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        self._count += 1
        if self._count > MAX_VALUES:
            remedy = "name a file of the data where long lists are due"
            raise RefusedError(event.start_mark, f"holds more than {MAX_VALUES} values", remedy)
        if self._depth >= MAX_DEPTH:
            message = f"lists or sections within each other more than {MAX_DEPTH} deep"
            raise RefusedError(event.start_mark, message, "no value of a config is that deep")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return Alias(node, event) if isinstance(event, yaml.AliasEvent) and node is not None else node


for _tag, (_, _starts) in _CORE_TAGS.items():
    Loader.add_implicit_resolver(f"{TAG_PREFIX}{_tag}", PATTERNS[_tag], ["" if c == "\0" else c for c in _starts])


def shorten(text: str, width: int = _MAX_SHOWN) -> str:
    """Cut a text that is too long for a message."""
    return text if len(text) <= width else f"{text[: width - 12]} … {text[-8:]}"


def parse_scalar(kind: str, text: str) -> Any:
    """Convert the text of a scalar.

    Args:
        kind: Tag of the scalar without its prefix: ``str``, ``int``.
        text: The text.

    Raises:
        ValueError: If it is too large or too small a number.
    """
    if kind == "int":
        return _parse_integer(text)
    if kind == "float":
        return _parse_float(text)
    return {"null": None, "bool": text.lower() == "true"}.get(kind, text)


def fits(kind: str, text: str) -> bool:
    """Whether a text is one of a kind of scalar; whole numbers are real ones too."""
    return any(PATTERNS[each].match(text) for each in ((kind, "int") if kind == "float" else (kind,)))


def _parse_integer(text: str) -> int:
    """Parse a whole number of YAML 1.2.

    Raises:
        ValueError: If it has more than 64 bits.
    """
    if len(text) > 400:
        raise ValueError(f"{shorten(text)} is a number of {len(text)} digits")
    value = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if abs(value) > MAX_INTEGER:
        raise ValueError(f"{shorten(text)} is too large for a whole number; for a real one write {float(value)!r}")
    return value


def _parse_float(text: str) -> float:
    """Parse a real number of YAML 1.2.

    Raises:
        ValueError: If it has digits, but is too large or too small for a number of 64 bits.
    """
    plain = text.lower().replace(".inf", "inf").replace(".nan", "nan")
    value = float(plain)
    if math.isinf(value) and "inf" not in plain:
        raise ValueError(f"{shorten(text)} is larger than numbers can be (1.8e308)")
    if value == 0 and re.search("[1-9]", plain.partition("e")[0]):
        raise ValueError(f"{shorten(text)} is smaller than numbers can be (5e-324)")
    return value
