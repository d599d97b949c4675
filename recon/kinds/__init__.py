"""The kinds of experiment, by name."""

from importlib import import_module

from ..errors import ConfigError
from .base import Kind

NAMES = ("cell",)


def kind_named(name: str) -> Kind:
    """Find a kind of experiment.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in NAMES:
        raise ConfigError(f"unknown kind {name!r}: there are {', '.join(NAMES)}")
    kind: Kind = import_module(f".{name}", __name__).KIND
    return kind
