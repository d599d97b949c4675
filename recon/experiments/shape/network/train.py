"""Training of a network: from a config to a run folder with the network, or the networks of a cross-validation."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....errors import ConfigError, Diagnostic
from ....io.network_file import FILE_NAME, SAMPLING_STEPS, TEACHER, read
from ....optimize.network_trainer import NetworkTrainer
from ....optimize.training_run import TrainingRun, initial_weights
from ....runs import RunContext, RunOutcome
from ..config import ShapeSettings
from .augmentation import TrainingCell
from .denoiser import ShapeDenoiser
from .objective import ShapeObjective
from .training_data import TrainingSet, gather_training_set, simulate_held_out

_KIND = "shape"

Numbers = dict[str, float]


def train(context: RunContext) -> RunOutcome:
    """Train a network on cells of known shape, real and simulated.

    Args:
        context: Config and folder.

    Raises:
        ConfigError: If a cross-validation is asked for that would be none.
        DataError: If the cells cannot be read, or their shapes are not known.
        Stopped: If the training was asked to end early.
    """
    settings = context.config
    section = settings.train
    _require_unseen(settings)
    constants = ShapeDenoiser(settings.network.widths, settings.network.blocks).constants()
    weights = initial_weights(section.network, _KIND, constants)
    sources = gather_training_set(settings, context)
    parts = _parts(settings, sources.real)
    each = section.steps + section.distil
    run = TrainingRun(context, len(parts) * each)
    state = context.folder.latest_checkpoint()
    first = 0 if state is None else int(state.metadata["part"])
    validations: list[Numbers] = []
    numbers: Numbers = {}
    for part in parts:
        run.before = part.number * each
        if part.number < first:  # It was done before the run was stopped.
            validations.append(dict(read(context.folder.path / part.name, _KIND).provenance["numbers"]))
        else:
            learned, held_out = part.divide(sources)
            held_out = held_out or simulate_held_out(settings.seed, context)
            objective = ShapeObjective(
                settings.network, section, settings.seed, learned.real, learned.beside, held_out, weights
            )
            validation, size = _train_part(objective, part, run, learned)
            validations.append(validation)
            numbers |= size
    numbers |= {name: float(np.mean([one[name] for one in validations])) for name in validations[0]}
    numbers |= {"steps": float(run.total), "examples": float(run.total * section.batch)}
    numbers |= {"real_cells": float(len(sources.real)), "simulated_cells": float(len(sources.simulated))}
    numbers |= {"held_out_real": float(any(part.held_out for part in parts))}
    return RunOutcome(numbers | {"seconds": run.seconds})


def _train_part(
    objective: ShapeObjective, part: "Fold", run: TrainingRun, learned: TrainingSet
) -> tuple[Numbers, Numbers]:
    """Train the network of a part, distil it, and write it with the description of its cells.

    Returns:
        The numbers of its validation, and those of its size.
    """
    settings, folder = objective.settings, run.context.folder
    path, teacher, state = folder.path / part.name, folder.path / part.teacher, folder.latest_checkpoint()
    if not settings.distil:
        return _run(objective, part, run, path.name, learned)
    if state is None or (int(state.metadata["part"]), bool(state.metadata["distilled"])) != (part.number, True):
        _run(objective, part, run, teacher.name, learned)
    run.before += settings.steps
    # The file is read even if it was just written, rounded: a run that goes on has nothing else.
    return _run(objective.for_distillation(read(teacher, _KIND).weights), part, run, path.name, learned)


def _run(
    objective: ShapeObjective, part: "Fold", run: TrainingRun, name: str, learned: TrainingSet
) -> tuple[Numbers, Numbers]:
    """Take the steps of an objective that are left, and write the network."""
    trainer = NetworkTrainer(objective, objective.settings, objective.seed)
    run.run(trainer, {"part": part.number, "distilled": objective.teacher is not None})
    metadata = {SAMPLING_STEPS: objective.sampling_steps}
    statistics = objective.thickness_prior.arrays() | learned.appearance().arrays()
    path = run.context.folder.path / name
    validation = trainer.validation
    return validation, run.write(trainer, _KIND, validation, path, statistics, metadata, learned.describe())


@dataclass(frozen=True)
class Fold:
    """One training of a run.

    Args:
        number: Number of the part that is held out.
        name: Name of the network's file.
        teacher: Name of the file of the network before it was distilled.
        held_out: Numbers of the real cells that are held out.
    """

    number: int
    name: str
    teacher: str
    held_out: frozenset[int]

    def divide(self, sources: TrainingSet) -> tuple[TrainingSet, list[TrainingCell]]:
        """Divide cells into those to learn from, without any copy of a held-out one, and the held-out ones."""
        learned = [i for i in range(len(sources.real)) if i not in self.held_out]
        turned = [sources.turned[i] for i in learned] if sources.turned else []
        return TrainingSet([sources.real[i] for i in learned], turned, sources.simulated), [
            sources.real[i] for i in sorted(self.held_out)
        ]


def _parts(settings: ShapeSettings, real: Sequence[TrainingCell]) -> list[Fold]:
    """List the trainings of a run: one, or one for each part of a cross-validation."""
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
    section = settings.train
    if section.folds and section.network is not None:
        message = f"{section.network!r} would begin every part, and may have seen the cells that the part is judged by"
        raise ConfigError(Diagnostic("train.network", message, "leave it out, or train one network (train.folds=0)"))


def folds(labels: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Divide cells into parts, in each of which every class has its share.

    Args:
        labels: Class of each cell.
        count: Number of parts.
        seed: Seed of the division.

    Returns:
        Number of the part of each cell.
    """
    rng, division, next_part = np.random.default_rng(seed), np.zeros(len(labels), int), 0
    by_class = defaultdict(list)
    for i, label in enumerate(labels):
        by_class[label].append(i)
    for label in sorted(by_class):
        cells = rng.permutation(by_class[label])
        division[cells] = (next_part + np.arange(len(cells))) % count  # The rest of one class evens out the next.
        next_part += len(cells)
    return division
