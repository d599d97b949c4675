"""Training cells: real ones, rotated copies of them with simulated pictures, and simulated ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import DataError, Diagnostic, Stopped
from ....runs import RunContext
from ..cells import CellBatch
from ..config import ShapeSettings
from ..read import read_cells
from ..simulate import SimulatedCell, rotate_cell, simulate_cell
from .appearance import TrainingAppearance
from .augmentation import TrainingCell, prepare_cell

_COPIES_COMPARED, _CELLS_COMPARED = 4, 400
"""Largest numbers of rotated copies of a cell and of simulated cells whose appearance is stored."""
_EDGE = 48
"""Samples along each axis of a simulated training cell."""
_HELD_OUT_CELLS = 48
"""Number of simulated cells that validate a network which is trained with all real ones."""
_FEWEST_CELLS = 16
"""Smallest number of real and simulated cells to train with."""


@dataclass(frozen=True)
class TrainingSet:
    """Cells to train with.

    Args:
        real: Real cells.
        turned: Rotated copies of each real cell.
        simulated: Simulated cells.
    """

    real: list[TrainingCell]
    turned: list[list[TrainingCell]]
    simulated: list[TrainingCell]

    def describe(self) -> str:
        """Describe the cells in one line."""
        classes = sorted({cell.label for cell in self.real} - {""})
        parts = []
        if self.real:
            of_classes = f" of {len(classes)} classes ({', '.join(classes)})" if classes else ""
            parts.append(f"{len(self.real)} real cells{of_classes}")
        if any(self.turned):
            parts.append("rotated copies of them")
        if self.simulated:
            parts.append(f"{len(self.simulated)} simulated red blood cells")
        return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]

    def appearance(self) -> TrainingAppearance:
        """Appearance of the cells, by which others are compared with them."""
        turned = [cell.inputs for copies in self.turned for cell in copies[:_COPIES_COMPARED]]
        groups = {"real": [cell.inputs for cell in self.real], "turned": turned}
        groups["simulated"] = [cell.inputs for cell in self.simulated[:_CELLS_COMPARED]]
        return TrainingAppearance.of(groups)

    @property
    def beside(self) -> list[TrainingCell]:
        """Cells whose pictures are simulated: simulated cells, and then rotated copies."""
        return [*self.simulated, *(cell for copies in self.turned for cell in copies)]


def gather_training_set(settings: ShapeSettings, work: RunContext) -> TrainingSet:
    """Read the cells that the config names, rotate copies of them, and simulate others.

    Args:
        settings: The config.
        work: Context of the run: progress callback and stop request.

    Raises:
        DataError: If the cells cannot be read, their shapes are not known, or there are too few of all.
        Stopped: If a stop was requested.
    """
    section, cells = settings.train, _read_known_cells(settings)
    real = [] if cells is None else _prepare_real(cells)
    simulated = _simulate(settings.seed, section.specimens, work)
    turned = [] if cells is None else _rotate_copies(cells, settings.seed, section.turned, work)
    if len(real) + len(simulated) < _FEWEST_CELLS:
        message = f"{len(real)} real and {len(simulated)} simulated cells are too few to learn from"
        raise DataError(
            Diagnostic("train.specimens", message, f"name cells in train.data, or simulate {_FEWEST_CELLS} or more")
        )
    return TrainingSet(real, turned, simulated)


def _read_known_cells(settings: ShapeSettings) -> CellBatch | None:
    """Read the cells that the config names, if any.

    Raises:
        DataError: If their shapes are unknown.
    """
    if settings.train.data is None:
        return None
    cells = read_cells(settings, Path(settings.train.data))
    if cells.inside is None:
        message = "the shapes of its cells are not known"
        raise DataError(Diagnostic(settings.train.data, message, "a network learns from cells with obj/ or /truth"))
    return cells


def _prepare_real(cells: CellBatch) -> list[TrainingCell]:
    rows = zip(_shapes(cells), cells.images, cells.masks, cells.labels, strict=True)
    return [prepare_cell(inside, image, mask, label) for inside, image, mask, label in rows]


def _rotate_copies(cells: CellBatch, seed: int, count: int, work: RunContext) -> list[list[TrainingCell]]:
    """Rotate copies of each real cell at random, and simulate their pictures."""
    turned: list[list[TrainingCell]] = []
    for number, (inside, label) in enumerate(zip(_shapes(cells), cells.labels, strict=True)):
        _stop_if_asked(work)
        copies = [rotate_cell(np.random.default_rng([seed, 11, number, k]), inside, label) for k in range(count)]
        turned.append([_prepare_simulated(cell) for cell in copies if cell.mask.any()])
        work.progress(number + 1, len(cells), turned=float(sum(map(len, turned))))
    return turned


def _shapes(cells: CellBatch) -> np.ndarray:
    return np.empty(0) if cells.inside is None else cells.inside


def _prepare_simulated(cell: SimulatedCell) -> TrainingCell:
    return prepare_cell(cell.inside, cell.image, cell.mask.astype(float), cell.label, simulated=True)


def _stop_if_asked(work: RunContext) -> None:
    if (reason := work.should_stop()) is not None:
        raise Stopped(f"{reason}: stopped before the first step; run again with --resume")


def _simulate(seed: int, count: int, work: RunContext) -> list[TrainingCell]:
    cells: list[TrainingCell] = []
    for number in range(count):
        _stop_if_asked(work)
        cells.append(_simulate_one(seed, number))
        work.progress(len(cells), count, simulated=float(len(cells)))
    return cells


def simulate_held_out(seed: int, work: RunContext) -> list[TrainingCell]:
    """Simulate the cells that validate a network which is trained with all real ones.

    Raises:
        Stopped: If a stop was requested.
    """
    return _simulate(seed + 1_000_003, _HELD_OUT_CELLS, work)


def _simulate_one(seed: int, number: int) -> TrainingCell:
    rng = np.random.default_rng([seed, number])
    while True:
        cell = simulate_cell(rng, edge=_EDGE)
        if cell.mask.any():  # A stomatocyte may have no section in its middle plane.
            return _prepare_simulated(cell)
