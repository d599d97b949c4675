"""A whole training: from a config to a run folder with the network, or the networks of a cross-validation."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import ConfigError, Diagnostic
from ....io.network_file import FILE_NAME, STEPS_OF_ANSWER, TEACHER, read
from ....optimize.trainer import Trainer
from ....optimize.training_run import TrainingRun, first_weights
from ....runs import RunContext, RunOutcome
from ..config import ShapeSettings
from .augmentation import TrainingCell
from .denoiser import ShapeDenoiser
from .objective import ShapeObjective
from .training_data import TrainingSet, gather_training_set, simulate_held_out

_KIND = "shape"


def train(context: RunContext) -> RunOutcome:
    """Train a network on cells of known shape, real and simulated.

    Args:
        context: Config and folder.

    Raises:
        ConfigError: If a cross-validation is asked for that would be none.
        DataError: If the cells cannot be read, or their shapes are not known.
        Stopped: If it was asked to end early.
    """
    settings, work = context.config, context
    wanted = settings.train
    _require_unseen(settings)
    denoiser = ShapeDenoiser(settings.network.widths, settings.network.blocks)
    weights = first_weights(wanted.network, _KIND, denoiser.constants())
    sources = gather_training_set(settings, work)
    parts = _parts(settings, sources.real)
    each = wanted.steps + wanted.distil
    course = TrainingRun(work, len(parts) * each)
    state = work.folder.latest_checkpoint()
    begun = 0 if state is None else int(state.metadata["part"])
    judged: list[dict[str, float]] = []
    numbers: dict[str, float] = {}
    for part in parts:
        course.before = part.number * each
        if part.number < begun:  # It was done before the run was stopped.
            judged.append(dict(read(work.folder.path / part.name, _KIND).provenance["numbers"]))
        else:
            learned, held_out = part.divided(sources)
            held_out = held_out or simulate_held_out(settings.seed)
            task = ShapeObjective(denoiser, wanted, settings.seed, learned.real, learned.beside, held_out, weights)
            own, size = _learned(task, part, course)
            judged.append(own)
            numbers |= size
    numbers |= {name: float(np.mean([one[name] for one in judged])) for name in judged[0]}
    numbers |= {"steps": float(course.total), "examples": float(course.total * wanted.batch)}
    numbers |= {"real_cells": float(len(sources.real)), "simulated_cells": float(len(sources.simulated))}
    numbers |= {"held_out_real": float(any(part.held_out for part in parts))}
    return RunOutcome(numbers | {"seconds": course.seconds})


def _learned(task: ShapeObjective, part: "Fold", course: TrainingRun) -> tuple[dict[str, float], dict[str, float]]:
    """Train the network of a part, distil it, and write it.

    Returns:
        How well it does; and its size.
    """
    wanted, folder = task.settings, course.work.folder
    path, teacher, state = folder.path / part.name, folder.path / part.teacher, folder.latest_checkpoint()
    if not wanted.distil:
        return _run(task, part, course, path)
    if state is None or (int(state.metadata["part"]), bool(state.metadata["distilled"])) != (part.number, True):
        _run(task, part, course, teacher)
    course.before += wanted.steps
    # The file is read even if it was just written, rounded: a run that goes on has nothing else.
    return _run(task.distilling(read(teacher, _KIND).weights), part, course, path)


def _run(
    task: ShapeObjective, part: "Fold", course: TrainingRun, path: Path
) -> tuple[dict[str, float], dict[str, float]]:
    """Take the steps of a task that are left, and write the network."""
    training = Trainer(task, task.settings, task.seed)
    course.run(training, {"part": part.number, "distilled": task.teacher is not None})
    judged = training.judged or task.judge(training.state.mean)
    facts = {STEPS_OF_ANSWER: task.steps_of_answer}
    size = course.write(training, _KIND, task.denoiser.constants(), judged, path, task.heights.arrays(), facts)
    return judged, size


@dataclass(frozen=True)
class Fold:
    """One training of a run.

    Args:
        number: Of the part that is held out.
        name: Of the network's file.
        teacher: Of that of the network before it was distilled.
        held_out: Which cells are.
    """

    number: int
    name: str
    teacher: str
    held_out: frozenset[int]

    def divided(self, sources: TrainingSet) -> tuple[TrainingSet, list[TrainingCell]]:
        """What is learned from, without anything of the cells that are held out; and those."""
        kept = [i for i in range(len(sources.real)) if i not in self.held_out]
        turned = [sources.turned[i] for i in kept] if sources.turned else []
        return TrainingSet([sources.real[i] for i in kept], turned, sources.simulated), [
            sources.real[i] for i in sorted(self.held_out)
        ]


def _parts(settings: ShapeSettings, real: Sequence[TrainingCell]) -> list[Fold]:
    count = settings.train.folds
    if count == 0:
        return [Fold(0, FILE_NAME, f"{TEACHER}.h5", frozenset())]
    if count == 1 or count > len(real):
        message = f"{count} parts of {len(real)} real cells are no cross-validation"
        raise ConfigError(Diagnostic("train.folds", message, "name cells in train.data, and choose 2 parts or more"))
    division = folds([cell.label for cell in real], count, settings.seed)
    each = [frozenset(np.flatnonzero(division == k).tolist()) for k in range(count)]
    return [Fold(k, f"network-{k}.h5", f"{TEACHER}-{k}.h5", held_out) for k, held_out in enumerate(each)]


def _require_unseen(settings: ShapeSettings) -> None:
    """Refuse networks to begin with that may have learned from the very cells that a part holds out."""
    wanted = settings.train
    if wanted.folds and wanted.network is not None:
        message = f"{wanted.network!r} would begin every part, and may have seen the cells that the part is judged by"
        raise ConfigError(Diagnostic("train.network", message, "leave it out, or train one network (train.folds=0)"))


def folds(labels: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Divide cells into parts, in each of which every class has its share.

    Args:
        labels: Class of each cell.
        count: Number of parts.
        seed: Of the division.

    Returns:
        Number of the part of each cell.
    """
    rng, division, next_part = np.random.default_rng(seed), np.zeros(len(labels), int), 0
    by_class = defaultdict(list)
    for i, label in enumerate(labels):
        by_class[label].append(i)
    for label in sorted(by_class):
        cells = rng.permutation(by_class[label])
        division[cells] = (next_part + np.arange(len(cells))) % count  # What is left of one class evens out the next.
        next_part += len(cells)
    return division
