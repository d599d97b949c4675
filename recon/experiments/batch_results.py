"""Results of a batch: its table ``results.csv`` and its page ``index.html``."""

import math
from collections.abc import Collection, Mapping

from ..io.json_text import json_object
from ..io.table import Cell, Column, Table
from ..metrics import metric_named
from ..runs.batch_files import TABLE
from ..runs.batch_record import BatchFolder, ScanRecord, State
from ..runs.contents import METRICS
from ..runs.verdict import Verdict
from ..visualization.batch_page import BatchRow, write_batch_page
from .base import Experiment

_FEW = 6
"""Numbers in the table of a kind that names no main ones."""


class BatchResults:
    """Rows of a batch's table and page.

    Args:
        folder: Folder of the batch.
        experiment: Kind of experiment.
    """

    def __init__(self, folder: BatchFolder, experiment: Experiment) -> None:
        self._folder, self._experiment = folder, experiment
        self._rows = {name: self._row(scan) for name, scan in folder.record.scans.items()}

    def refresh(self, name: str) -> BatchRow:
        """Read the result of one scan anew, which may be a new one."""
        self._rows[name] = self._row(self._folder.record.scans[name])
        return self._rows[name]

    @property
    def rows(self) -> Collection[BatchRow]:
        """Rows of all scans."""
        return self._rows.values()

    def write_table(self) -> None:
        """Write ``results.csv``."""
        names = self._number_names()
        columns = (
            *map(Column, ("scan", "status", "verdict", "reasons")),
            *(Column(name, metric_named(name).unit) for name in names),
            Column("seconds", "s"),
            *map(Column, ("exit_status", "fault", "file")),
        )
        Table(columns, tuple(_cells(row, names) for row in self._rows.values())).save(self._folder.path / TABLE)

    def write_page(self, *, is_running: bool, newest_first: bool = False) -> None:
        """Write ``index.html``.

        Args:
            is_running: Whether scans are left, so that the page is to load itself again.
            newest_first: Whether the scan that ended last is on top.
        """
        metrics = [metric_named(name) for name in self._number_names()]
        rows = list(self._rows.values())
        if newest_first:
            rows.sort(key=_age, reverse=True)
        write_batch_page(self._folder.path, rows, metrics, is_running=is_running)

    def _row(self, scan: ScanRecord) -> BatchRow:
        run = self._folder.path / scan.name
        content = json_object(run / METRICS) if scan.status is State.DONE else {}
        numbers = {name: float(value) for name, value in content.items() if type(value) in (int, float)}
        return BatchRow(scan, Verdict.from_json(content), numbers)

    def _number_names(self) -> tuple[str, ...]:
        """Names of the numbers in the table: the main ones of the kind, or the first ones of its results."""
        if self._experiment.main_numbers:
            return self._experiment.main_numbers
        return tuple(next((row.numbers for row in self._rows.values() if row.numbers), {}))[:_FEW]


def _age(row: BatchRow) -> tuple[bool, float]:
    """Order of a row by time: scans that have not ended come after all others."""
    is_left = row.scan.status not in (State.DONE, State.FAILED)
    return is_left, row.scan.noted


def _cells(row: BatchRow, names: tuple[str, ...]) -> Mapping[str, Cell]:
    scan, verdict = row.scan, row.verdict
    return {
        "scan": scan.name,
        "status": str(scan.status),
        "verdict": "" if verdict is None else str(verdict.soundness),
        "reasons": "" if verdict is None else "; ".join(map(str, verdict.reasons)),
        **{name: row.numbers.get(name, math.nan) for name in names},
        "seconds": round(scan.seconds, 3) if scan.seconds else math.nan,
        "exit_status": scan.exit_status if scan.status in (State.DONE, State.FAILED) else "",
        "fault": " ".join(scan.fault.split()),
        "file": scan.file,
    }
