"""Clock of a scan of a batch, which goes on where its run does."""

import time
from pathlib import Path

from .batch_record import ScanRecord, must_begin_anew
from .batch_refresh import is_done
from .contents import is_run


class ScanClock:
    """Time of a scan over all of its starts.

    Args:
        run: Folder of its run.
        record: Record of the scan at its start.
    """

    def __init__(self, run: Path, record: ScanRecord) -> None:
        goes_on = is_run(run) and not must_begin_anew(run, record)
        self._start, self._former = time.monotonic(), record.seconds if goes_on else 0.0
        self._steps = run / "metrics.jsonl"
        self._size = self._size_of_steps()
        self._was_done = is_done(run)

    @property
    def seconds(self) -> float:
        """[s] Time so far; that of a result which was there counts alone while no step is added to it."""
        if self._was_done and self._former and self._size_of_steps() == self._size:
            return self._former
        return self._former + time.monotonic() - self._start

    def _size_of_steps(self) -> int:
        return self._steps.stat().st_size if self._steps.is_file() else 0
