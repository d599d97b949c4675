"""Logs of jobs in a queue: the exit status of a task, and its reasons."""

import re
from dataclasses import dataclass
from pathlib import Path

from .job_script import END

_TAIL = 1 << 16
"""[bytes] End of a log that is read."""
_END = re.compile(rf"{re.escape(END)} (\d+)")


def slurm_folder(output: Path) -> Path:
    """Folder of the scripts and logs of the jobs that write to an output, beside it: a run itself names no place."""
    return output.with_name(f"{output.name}.slurm")


@dataclass(frozen=True)
class TaskEnd:
    """End of a task, by its log.

    Args:
        exit_status: Exit status of the command.
        faults: Errors, a line each.
    """

    exit_status: int
    faults: str


def read_task_end(log: Path) -> TaskEnd | None:
    """Read the last end of a task from its log; None where the task has not ended, or was started again since."""
    lines = read_tail(log)
    places = [(place, match) for place, line in enumerate(lines) if (match := _END.match(line))]
    if not places:
        return None
    last, match = places[-1]
    first = places[-2][0] + 1 if len(places) > 1 else 0
    after = [line for line in lines[last + 1 :] if not line.startswith("unflat: ")]
    faults = [line.removeprefix("error: ") for line in lines[first:last] if line.startswith("error: ")]
    return None if after else TaskEnd(int(match[1]), "\n".join(faults))


def newest_log(folder: Path, number: int) -> Path | None:
    """Newest log of the task of an array, by its number; None where there is none."""
    return max(folder.glob(f"*_{number}.log"), key=lambda log: log.stat().st_mtime, default=None)


def read_tail(log: Path) -> list[str]:
    """Read the last lines of a log; none where it cannot be read."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL))
            return stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
