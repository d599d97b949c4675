"""Checkpoints of phasing, and a row of ``metrics.jsonl`` for each start."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...devices import release_memory
from ...io.json_text import json_records
from ...runs import RunFolder

_START_METRICS = ("llk", "llk_free", "chi_rms", "support")
"""Metrics of each start in ``metrics.jsonl``."""


class CheckpointWriter:
    """Writer of checkpoints, and of a row of ``metrics.jsonl`` for each start that has ended.

    Args:
        folder: Run folder.
        first: Number of the first start: the number of starts that were written before these.
        withheld: Whether pixels are withheld; without them there is no deviance of them to write.
    """

    def __init__(self, folder: RunFolder, first: int = 0, *, withheld: bool = True) -> None:
        self._folder = folder
        self._names = tuple(name for name in _START_METRICS if withheld or name != "llk_free")
        self._first = first
        self._written: set[int] | None = None
        self._step = 0

    def save(self, step: int, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Write a checkpoint, and the rows of the starts that have ended."""
        self._step = step
        self.write_rows(metadata["table"])
        self._folder.save_checkpoint(step, arrays, metadata)
        release_memory()

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of starts that are not in ``metrics.jsonl`` yet."""
        if self._written is None:
            self._written = self._read_written()
        for row in rows:
            number = self._first + int(row["number"])
            if number not in self._written:
                self._written.add(number)
                self._folder.append_metrics(self._step, start=number, **{name: row[name] for name in self._names})

    def _read_written(self) -> set[int]:
        """Read the numbers of the starts that an earlier session of the run has written."""
        file = self._folder.path / "metrics.jsonl"
        records = json_records(file) if file.is_file() else []
        starts = [record.get("start") for record in records]
        return {int(start) for start in starts if isinstance(start, int | float) and math.isfinite(start)}
