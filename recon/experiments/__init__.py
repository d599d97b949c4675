"""Kinds of experiment, and their registry.

Another package adds a kind by an entry point of the group ``unflat.experiments``: its name is the kind's, its value the
`Experiment` subclass. A program adds one by :func:`register`.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from ..errors import ConfigError, Diagnostic
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
        ConfigError: If there is none of that name, or the package that adds it cannot be loaded.
    """
    if name in _registered:
        return _registered[name]
    if name in BUILT_IN:
        module, _, member = BUILT_IN[name].partition(":")
        register(getattr(import_module(f".{module}", __name__), member)())
    elif name in _plugins():
        register(_load(_plugins()[name]))
    else:
        raise ConfigError(f"kind: {unknown_kind(name)}; there is {', '.join(experiment_names())}")
    return _registered[name]


def unknown_kind(name: object) -> str:
    """Message for a name of no kind."""
    return f"{name!r} is no kind of experiment"


def top_level_packages() -> frozenset[str]:
    """Names of the top-level packages and modules of other packages that add kinds to this process."""
    modules = [point.module for point in _plugins().values()]
    modules += [type(experiment).__module__ for experiment in _registered.values()]
    return frozenset(module.partition(".")[0] for module in modules) - {__name__.partition(".")[0]}


def _load(point: EntryPoint) -> Experiment:
    """Make the experiment of another package.

    Raises:
        ConfigError: If its module cannot be imported, or holds no such kind.
    """
    package = point.dist.name if point.dist else point.module
    place = f"the kind {point.name!r} of package {package!r} cannot be loaded"
    try:
        kind = point.load()
        if not (isinstance(kind, type) and issubclass(kind, Experiment)):
            raise TypeError(f"{point.value} is no subclass of Experiment")
        experiment = kind()
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(Diagnostic(place, message, f"mend or uninstall {package}")) from error
    if experiment.name != point.name:
        message = f"{point.value} has the name {experiment.name!r}"
        raise ConfigError(Diagnostic(place, message, "give the class and its entry point one name"))
    return experiment


@cache
def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP)}
