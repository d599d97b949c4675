"""Lines that ``unflat watch`` prints: scans, previews, faults, and the one that shows what is waited for."""

import sys
from typing import TYPE_CHECKING

from . import console
from .batch import print_row

if TYPE_CHECKING:
    from rich.status import Status

    from ..recon.experiments.base import Experiment
    from ..recon.experiments.preview import Preview
    from ..recon.experiments.watch import WatchProgress
    from ..recon.runs.learning_record import Lesson
    from ..recon.visualization.batch_page import BatchRow

_SHOWN = 3
"""Most names in the line that is shown while scans are waited for."""


class WatchLines:
    """Lines that a watch prints.

    Args:
        experiment: Kind of experiment.
        method: Method.
    """

    def __init__(self, experiment: "Experiment", method: str) -> None:
        self.experiment, self.method = experiment, method
        self.waiting = WaitingLine()

    def show_row(self, row: "BatchRow") -> None:
        """Print what became of a scan."""
        print_row(self.experiment, self.method, row)

    def show_preview(self, name: str, preview: "Preview") -> None:
        """Print a preview in one line."""
        self.waiting(None)
        console.print_line(f"{name}: {preview.line}")

    def show_lesson(self, lesson: "Lesson") -> None:
        """Print what the network has learned in one line."""
        self.waiting(None)
        console.print_line(f"{lesson.line}; {console.format_duration(lesson.seconds)}")

    def warn(self, text: str) -> None:
        """Print a fault that stops nothing."""
        self.waiting(None)
        console.warn(text)


class WaitingLine:
    """Line that is shown while scans are waited for: one that refreshes at a terminal, a new one after a scan else."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._shown = ""

    def __call__(self, progress: "WatchProgress | None") -> None:
        """Show the progress; None removes the line."""
        if progress is None or console.is_quiet():
            if self._status is not None:
                self._status.stop()
                self._status = None
            return
        text = f"waiting for scans: {progress.done} done, {progress.failed} set aside"
        if sys.stderr.isatty():
            names = [f"{one.path.name} {one.reason}" for one in progress.arriving[:_SHOWN]]
            self._show("; ".join([text, *names, *(["…"] if len(progress.arriving) > _SHOWN else [])]))
        elif text != self._shown:
            self._shown = text
            console.note(text)

    def _show(self, text: str) -> None:
        from rich.console import Console
        from rich.text import Text

        if self._status is None:
            self._status = Console(stderr=True).status(Text(text))
            self._status.start()
        else:
            self._status.update(Text(text))
