"""What a training learns from: real cells, the same turned in space, and simulated ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import DataError, Diagnostic, Stopped
from ....runs import RunContext
from ..cells import CellBatch
from ..config import ShapeSettings
from ..read import read_cells
from ..simulate import SimulatedCell, rotate_cell, simulate_cell
from .augmentation import TrainingCell, prepare_cell

_EDGE = 48
"""Samples along an axis of a simulated cell that is learned from."""
_HELD_OUT = 48
"""Simulated cells by which a network is judged that learns from all real ones."""
_LEAST = 16
"""Cells, real or simulated, without which nothing is learned."""


@dataclass(frozen=True)
class TrainingSet:
    """What there is to learn from.

    Args:
        real: Real cells.
        turned: Copies of each of them, turned in space.
        simulated: Cells that never lived.
    """

    real: list[TrainingCell]
    turned: list[list[TrainingCell]]
    simulated: list[TrainingCell]

    @property
    def beside(self) -> list[TrainingCell]:
        """All of which pictures are simulated; those that never lived come first."""
        return [*self.simulated, *(one for copies in self.turned for one in copies)]


def gather_training_set(settings: ShapeSettings, work: RunContext) -> TrainingSet:
    """Read the cells that the config names, turn them, and simulate others.

    Args:
        settings: The config.
        work: Who is told, and asked whether to stop.

    Raises:
        DataError: If the cells cannot be read, their shapes are not known, or all are too few to learn from.
        Stopped: If it was asked to end early.
    """
    wanted, cells = settings.train, _cells(settings)
    real = [] if cells is None else _real(cells)
    simulated = _simulated(settings.seed, wanted.specimens, work)
    turned = [] if cells is None else _turned(cells, settings.seed, wanted.turned, work)
    if len(real) + len(simulated) < _LEAST:
        message = f"{len(real)} real and {len(simulated)} simulated cells are too few to learn from"
        raise DataError(
            Diagnostic("train.specimens", message, f"name cells in train.data, or simulate {_LEAST} or more")
        )
    return TrainingSet(real, turned, simulated)


def _cells(settings: ShapeSettings) -> CellBatch | None:
    """The cells that the config names."""
    if settings.train.data is None:
        return None
    found = read_cells(settings, Path(settings.train.data))
    if found.inside is None:
        message = "the shapes of its cells are not known"
        raise DataError(Diagnostic(settings.train.data, message, "a network learns from cells with obj/ or /truth"))
    return found


def _real(cells: CellBatch) -> list[TrainingCell]:
    rows = zip(_shapes(cells), cells.images, cells.masks, cells.labels, strict=True)
    return [prepare_cell(inside, image, mask, label) for inside, image, mask, label in rows]


def _turned(cells: CellBatch, seed: int, count: int, work: RunContext) -> list[list[TrainingCell]]:
    """Copies of each real cell, turned in space, of which pictures are simulated."""
    found: list[list[TrainingCell]] = []
    for number, (inside, label) in enumerate(zip(_shapes(cells), cells.labels, strict=True)):
        _stop_if_asked(work)
        seen = [rotate_cell(np.random.default_rng([seed, 11, number, k]), inside, label) for k in range(count)]
        found.append([_specimen(cell) for cell in seen if cell.mask.any()])
        work.progress(number + 1, len(cells), turned=float(sum(map(len, found))))
    return found


def _shapes(cells: CellBatch) -> np.ndarray:
    return np.empty(0) if cells.inside is None else cells.inside


def _specimen(cell: SimulatedCell) -> TrainingCell:
    return prepare_cell(cell.inside, cell.image, cell.mask.astype(float), cell.label, simulated=True)


def _stop_if_asked(work: RunContext) -> None:
    if (reason := work.should_stop()) is not None:
        raise Stopped(f"{reason}: stopped before the first step; run again with --resume")


def _simulated(seed: int, count: int, work: RunContext) -> list[TrainingCell]:
    found: list[TrainingCell] = []
    for number in range(count):
        _stop_if_asked(work)
        found.append(_one_simulated(seed, number))
        work.progress(len(found), count, simulated=float(len(found)))
    return found


def simulate_held_out(seed: int) -> list[TrainingCell]:
    """Cells to judge a network by that learns from all real ones."""
    return [_one_simulated(seed + 1_000_003, number) for number in range(_HELD_OUT)]


def _one_simulated(seed: int, number: int) -> TrainingCell:
    rng = np.random.default_rng([seed, number])
    while True:
        cell = simulate_cell(rng, edge=_EDGE)
        if cell.mask.any():  # A bowl may have no section in its middle plane.
            return _specimen(cell)
