"""Settings that an acquisition itself tells: the places of its arrays in a foreign file."""

from dataclasses import dataclass
from pathlib import Path

from ..config import with_overrides
from ..config.base import KindSettings
from ..config.entries import Entry
from ..errors import ConfigError
from ..io.likely_names import likely_source, only_stack
from ..io.open import open_tree
from .base import Experiment

_NAMED = ("HDF5", "NPZ", "MATLAB")
"""Beginnings of the formats whose arrays a person names."""


@dataclass(frozen=True)
class KnownArrays:
    """Arrays of an acquisition that a config can find.

    Args:
        places: Place of each array by its name, at its usual path or elsewhere.
        assignments: Assignments ``KEY=VALUE`` for those that are elsewhere.
    """

    places: dict[str, str]
    assignments: list[str]


def known_arrays(experiment: Experiment, config: KindSettings, path: Path) -> KnownArrays:
    """Find the arrays of an acquisition.

    Args:
        experiment: Kind of experiment.
        config: Config so far.
        path: Acquisition of any format.

    Raises:
        DataError: If the acquisition cannot be opened.
    """
    places: dict[str, str] = {}
    assignments: list[str] = []
    questions = {question.setting: question for question in experiment.questions}
    with open_tree(path, experiment.readers()) as tree:
        for entry in experiment.schema:
            if tree.array(entry.path) is not None:
                places[entry.name] = entry.path
                continue
            setting, source = f"acquisition.{entry.name}", None
            question = questions.get(setting)
            if question is not None:
                source = likely_source(tree, entry, question.names, question.least, question.most)
            elif _is_main(experiment, entry) and tree.form.startswith(_NAMED):
                source = only_stack(tree, max(map(len, entry.axes)))
            if source is not None and _is_accepted(config, f"{setting}={source}"):
                places[entry.name] = source
                assignments.append(f"{setting}={source}")
    return KnownArrays(places, assignments)


def _is_main(experiment: Experiment, entry: Entry) -> bool:
    """Whether an array is the main one of the kind."""
    return entry.name == experiment.schema[0].name


def _is_accepted(config: KindSettings, assignment: str) -> bool:
    """Whether a config takes an assignment."""
    try:
        with_overrides(config, [assignment])
    except ConfigError:
        return False
    return True
