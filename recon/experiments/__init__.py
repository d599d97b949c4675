"""The kinds of experiment, by name."""

from importlib import import_module

from ..errors import ConfigError
from .base import Experiment

NAMES = ("cell", "crystal", "shape")


def get_experiment(name: str) -> Experiment:
    """Find a kind of experiment.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in NAMES:
        raise ConfigError(f"kind: {why_not(name)}; there is {', '.join(NAMES)}")
    kind: Experiment = import_module(f".{name}", __name__).KIND
    return kind


def why_not(name: object) -> str:
    """Say why there is no kind of that name."""
    return f"{name!r} is no kind of experiment"
