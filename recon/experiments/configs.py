"""Configs of every kind of experiment, read by the kind that they name."""

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike

from ..config.base import Settings
from ..config.load import load_settings, parse_settings
from . import experiment_names, get_experiment


class _ConfigClasses(Mapping[str, type[Settings]]):
    """Class of configs for each kind of experiment, imported when it is looked up."""

    def __getitem__(self, kind: str) -> type[Settings]:
        if kind not in experiment_names():
            raise KeyError(kind)
        return get_experiment(kind).Config

    def __contains__(self, kind: object) -> bool:
        return kind in experiment_names()

    def __iter__(self) -> Iterator[str]:
        return iter(experiment_names())

    def __len__(self) -> int:
        return len(experiment_names())


CONFIG_CLASSES = _ConfigClasses()


def load_config(path: str | PathLike[str], overrides: Iterable[str] = ()) -> Settings:
    """Read a config file.

    Args:
        path: A YAML file.
        overrides: Assignments such as ``volume.depth=12 um``, which take precedence over the file.

    Returns:
        The settings of the kind of experiment that the file names.

    Raises:
        ConfigError: With every fault of the file and of the overrides.
    """
    return load_settings(path, CONFIG_CLASSES, overrides)


def parse_config(text: str, overrides: Iterable[str] = (), *, name: str = "config") -> Settings:
    """Read the text of a config; see :func:`load_config`.

    Args:
        text: YAML.
        overrides: Assignments that take precedence over the text.
        name: Name of the config in messages.

    Raises:
        ConfigError: With every fault.
    """
    return parse_settings(text, CONFIG_CLASSES, overrides, name=name)
