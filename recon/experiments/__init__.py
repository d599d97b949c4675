"""Kinds of experiment, and their registry.

Another package adds a kind by an entry point of the group ``unflat.experiments``: its name is the kind's, its value the
`Experiment` subclass. A program adds one by :func:`register`.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from ..errors import ConfigError
from .base import Experiment

BUILT_IN = {
    "cell": "cell.experiment:CellExperiment",
    "crystal": "crystal.experiment:CrystalExperiment",
    "shape": "shape.experiment:ShapeExperiment",
}
"""Module and class of the kinds of this package."""
_GROUP = "unflat.experiments"
_registered: dict[str, Experiment] = {}


def register(experiment: Experiment) -> None:
    """Add a kind of experiment to this process."""
    _registered[experiment.name] = experiment


def experiment_names() -> tuple[str, ...]:
    """Names of all kinds: those of this package first."""
    return tuple(dict.fromkeys((*BUILT_IN, *_registered, *_plugins())))


def get_experiment(name: str) -> Experiment:
    """Look up a kind of experiment.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name in _registered:
        return _registered[name]
    if name in BUILT_IN:
        module, _, member = BUILT_IN[name].partition(":")
        register(getattr(import_module(f".{module}", __name__), member)())
    elif name in _plugins():
        register(_plugins()[name].load()())
    else:
        raise ConfigError(f"kind: {unknown_kind(name)}; there is {', '.join(experiment_names())}")
    return _registered[name]


def unknown_kind(name: object) -> str:
    """Message for a name of no kind."""
    return f"{name!r} is no kind of experiment"


@cache
def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP)}
