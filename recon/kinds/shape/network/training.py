"""A whole training: from a config to a run folder with the network, or the networks of a cross-validation."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import ConfigError, DataError, Fault, Stopped
from ....networks.file import FILE_NAME, read
from ....runs import Workplace, peak_memory
from ....training.course import Course, first_weights
from ....training.loop import Training
from ..cells import Cells, cells_of
from ..settings import ShapeSettings
from ..simulated import SimulatedCell, simulated_cell, turned_cell
from .denoiser import Denoiser
from .specimens import Specimen, specimen
from .task import ShapeTask

_EDGE = 48
"""Samples along an axis of a simulated cell that is learned from."""
_HELD_OUT = 48
"""Simulated cells by which a network is judged that learns from all real ones."""
_LEAST = 16
"""Cells, real or simulated, without which nothing is learned."""


def train(settings: ShapeSettings, work: Workplace) -> dict[str, float]:
    """Train a network on cells of known shape, real and simulated.

    Args:
        settings: The config.
        work: Where everything goes, and who is told.

    Returns:
        The numbers of ``metrics.json``.

    Raises:
        ConfigError: If a cross-validation is asked for that would be none.
        DataError: If the cells cannot be read, or their shapes are not known.
        Stopped: If it was asked to end early.
    """
    wanted = settings.train
    _require_unseen(settings)
    denoiser = Denoiser(settings.network.widths, settings.network.blocks)
    weights = first_weights(wanted.network, "shape", denoiser.constants())
    cells = _cells(settings)
    real = [] if cells is None else _real(cells)
    simulated = _simulated(settings.seed, wanted.specimens, work)
    turned = [] if cells is None else _turned(cells, settings.seed, wanted.turned, work)
    if len(real) + len(simulated) < _LEAST:
        message = f"{len(real)} real and {len(simulated)} simulated cells are too few to learn from"
        raise DataError(Fault("train.specimens", message, f"name cells in train.data, or simulate {_LEAST} or more"))
    parts = _parts(settings, real)
    course = Course(work, len(parts) * wanted.steps)
    state = work.folder.latest_checkpoint()
    begun = 0 if state is None else int(state.facts["part"])
    judged: list[dict[str, float]] = []
    numbers: dict[str, float] = {}
    for part in parts:
        path = work.folder.path / part.name
        if part.number < begun:  # It was done before the run was stopped.
            judged.append(dict(read(path, "shape").provenance["numbers"]))
        else:
            learned, held_out = part.divided(real)
            held_out = held_out or _held_out(settings.seed)
            beside = [*simulated, *(one for i, copies in enumerate(turned) if i not in part.held_out for one in copies)]
            task = ShapeTask(denoiser, wanted, settings.seed, learned, beside, held_out, weights)
            training = Training(task, wanted, settings.seed)
            course.run(training, {"part": part.number})
            judged.append(training.judged or task.judge(training.state.mean))
            numbers |= course.write(training, "shape", denoiser.constants(), judged[-1], path, task.heights.arrays())
        course.before += wanted.steps
    numbers |= {name: float(np.mean([one[name] for one in judged])) for name in judged[0]}
    numbers |= {"steps": float(course.total), "examples": float(course.total * wanted.batch)}
    numbers |= {"real_cells": float(len(real)), "simulated_cells": float(len(simulated))}
    numbers |= {"held_out_real": float(any(part.held_out for part in parts))}
    numbers |= {"peak_memory_bytes": float(peak_memory()), "seconds": course.seconds}
    work.folder.write_numbers(numbers)
    return numbers


def _require_unseen(settings: ShapeSettings) -> None:
    """Refuse networks to begin with that may have learned from the very cells that a part holds out."""
    wanted = settings.train
    if wanted.folds and wanted.network is not None:
        message = f"{wanted.network!r} would begin every part, and may have seen the cells that the part is judged by"
        raise ConfigError(Fault("train.network", message, "leave it out, or train one network (train.folds=0)"))


@dataclass(frozen=True)
class Part:
    """One training of a run.

    Args:
        number: Of the part that is held out.
        name: Of the network's file.
        held_out: Which cells are.
    """

    number: int
    name: str
    held_out: frozenset[int]

    def divided(self, cells: Sequence[Specimen]) -> tuple[list[Specimen], list[Specimen]]:
        """Those that are learned from, and those that are not."""
        learned = [cell for i, cell in enumerate(cells) if i not in self.held_out]
        return learned, [cells[i] for i in sorted(self.held_out)]


def _parts(settings: ShapeSettings, real: Sequence[Specimen]) -> list[Part]:
    count = settings.train.folds
    if count == 0:
        return [Part(0, FILE_NAME, frozenset())]
    if count == 1 or count > len(real):
        message = f"{count} parts of {len(real)} real cells are no cross-validation"
        raise ConfigError(Fault("train.folds", message, "name cells in train.data, and choose 2 parts or more"))
    division = folds([cell.label for cell in real], count, settings.seed)
    return [Part(k, f"network-{k}.h5", frozenset(np.flatnonzero(division == k).tolist())) for k in range(count)]


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


def _cells(settings: ShapeSettings) -> Cells | None:
    """The cells that the config names."""
    if settings.train.data is None:
        return None
    found = cells_of(settings, Path(settings.train.data))
    if found.inside is None:
        message = "the shapes of its cells are not known"
        raise DataError(Fault(settings.train.data, message, "a network learns from cells with obj/ or /truth"))
    return found


def _real(cells: Cells) -> list[Specimen]:
    rows = zip(_shapes(cells), cells.images, cells.masks, cells.labels, strict=True)
    return [specimen(inside, image, mask, label) for inside, image, mask, label in rows]


def _turned(cells: Cells, seed: int, count: int, work: Workplace) -> list[list[Specimen]]:
    """Copies of each real cell, turned in space, of which pictures are simulated."""
    found: list[list[Specimen]] = []
    for number, (inside, label) in enumerate(zip(_shapes(cells), cells.labels, strict=True)):
        _stop_if_asked(work)
        seen = [turned_cell(np.random.default_rng([seed, 11, number, k]), inside, label) for k in range(count)]
        found.append([_specimen(cell) for cell in seen if cell.mask.any()])
        work.progress(number + 1, len(cells), turned=float(sum(map(len, found))))
    return found


def _shapes(cells: Cells) -> np.ndarray:
    return np.empty(0) if cells.inside is None else cells.inside


def _specimen(cell: SimulatedCell) -> Specimen:
    return specimen(cell.inside, cell.image, cell.mask.astype(float), cell.label, simulated=True)


def _stop_if_asked(work: Workplace) -> None:
    if (reason := work.stop()) is not None:
        raise Stopped(f"{reason}: stopped before the first step; run again with --resume")


def _simulated(seed: int, count: int, work: Workplace) -> list[Specimen]:
    found: list[Specimen] = []
    for number in range(count):
        _stop_if_asked(work)
        found.append(_one_simulated(seed, number))
        work.progress(len(found), count, simulated=float(len(found)))
    return found


def _held_out(seed: int) -> list[Specimen]:
    return [_one_simulated(seed + 1_000_003, number) for number in range(_HELD_OUT)]


def _one_simulated(seed: int, number: int) -> Specimen:
    rng = np.random.default_rng([seed, number])
    while True:
        cell = simulated_cell(rng, edge=_EDGE)
        if cell.mask.any():  # A bowl may have no section in its middle plane.
            return _specimen(cell)
