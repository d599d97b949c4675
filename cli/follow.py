"""Following of jobs in the queue: their states, what they write, and their exit status."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..recon.errors import ExitStatus
from ..recon.experiments.batch import SEVERITY
from ..recon.runs.slurm_queue import QueuedTask, task_states
from ..recon.runs.task_log import newest_log, read_tail, read_task_end
from ..recon.signals import interrupts_raised
from . import console
from .submission import SubmittedJobs

_INTERVAL, _LATER = 2.0, 10.0
"""[s] Time between two questions to SLURM, in the first minute and later."""
_LAST_LINES = 3
"""Lines of the log of a task that are shown at its end."""


def follow(jobs: SubmittedJobs) -> int:
    """Follow jobs until all have ended.

    Returns:
        The exit status of the command, of several tasks that of the worst.

    Raises:
        KeyboardInterrupt: At Ctrl-C; the jobs go on.
    """
    try:
        with interrupts_raised():
            statuses = _Follower(jobs, jobs.job).run()
            if jobs.closing:
                statuses += _Follower(jobs, jobs.closing).run()
    except KeyboardInterrupt:
        console.note(f"job {jobs.job} goes on: see unflat status and squeue; scancel {jobs.job} ends it")
        raise
    return _worst(statuses)


@dataclass
class _Follower:
    """One job, or array, that is followed."""

    jobs: SubmittedJobs
    job: str
    shown: dict[str, str] = field(default_factory=dict)
    read: int = 0

    def run(self) -> list[int]:
        """Show states and logs until the end; return the exit statuses."""
        start, last = time.monotonic(), list[QueuedTask]()
        while True:
            states = task_states(self.job)
            if states == []:  # SLURM forgets a job some minutes after its end.
                return self._statuses_by_logs() or [task.exit_status for task in last] or [1]
            for task in states or ():
                self._show(task)
            self._relay()
            if states and all(task.has_ended for task in states):
                return [task.exit_status for task in states]
            last = states or last
            time.sleep(_INTERVAL if time.monotonic() - start < 60 else _LATER)

    def _show(self, task: QueuedTask) -> None:
        """Print the state of a task where it is new."""
        state = f"{task.state}{f' ({task.reason})' if task.reason and not task.has_ended else ''}"
        if self.shown.get(task.name) == state:
            return
        self.shown[task.name] = state
        number = task.name.partition("_")[2]
        name = self.jobs.names.get(int(number), "") if number.isdecimal() else ""
        status = f", status {task.exit_status}" if task.has_ended and task.exit_status else ""
        console.note(f"job {task.name}{f' ({name})' if name else ''}: {state}{status}")
        if task.will_not_start:
            console.warn(f"it may never start; if so, Ctrl-C, scancel {self.job}, and ask for less")
        if name and task.has_ended and (log := newest_log(self.jobs.folder, int(number))):
            for line in read_tail(log)[-_LAST_LINES:]:
                console.note(f"  {line}")

    def _relay(self) -> None:
        """Print the new lines of the log of a single job."""
        log = self._log()
        try:
            with log.open("rb") as stream:
                stream.seek(self.read)
                text = stream.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self.read += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            console.note(line)

    def _log(self) -> Path:
        prefix = "report-" if self.job == self.jobs.closing else ""
        return self.jobs.folder / f"{prefix}{self.job}.log"

    def _statuses_by_logs(self) -> list[int]:
        logs = [newest_log(self.jobs.folder, number) for number in self.jobs.names] or [self._log()]
        ends = [read_task_end(log) for log in logs if log is not None]
        return [end.exit_status for end in ends if end is not None]


def _worst(statuses: Iterable[int]) -> int:
    """Exit status of several: stopped before failed, then by severity."""
    bad = {status for status in statuses if status}
    if ExitStatus.STOPPED in bad:
        return ExitStatus.STOPPED
    return next((int(status) for status in SEVERITY if status in bad), next(iter(sorted(bad)), 0))
