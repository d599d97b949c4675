"""States of the scans of a batch whose runs other processes make, such as the tasks of an array in a queue."""

from collections.abc import Mapping
from pathlib import Path

from ..errors import ExitStatus
from ..io.json_text import json_object
from .batch_record import BatchRecord, ScanRecord, State, is_newer, must_begin_anew, stamp_of
from .contents import METRICS, Sentinel, read_ending
from .death import explain
from .lock import LockHolder, lock_holder
from .logs import without_absolute_paths
from .run_state import read_new_ending, read_state
from .task_log import TaskEnd, newest_log, read_task_end, slurm_folder
from .verdict import Soundness, Verdict

_KILLED = 128
"""Exit status of a shell above which a signal has ended the process, so that the run has died."""


def read_deaths(folder: Path) -> dict[str, str]:
    """Explain the scans of a batch over which a process died, by their names.

    This must come before the lock of the batch is taken, which replaces that of the process.

    Args:
        folder: Folder of the batch, which may be absent.

    Raises:
        DataError: If its record is damaged.
    """
    record = BatchRecord.read(folder)
    return {} if record is None else _deaths_of(folder, record)


def refresh_records(folder: Path, record: BatchRecord, deaths: Mapping[str, str] | None = None) -> None:
    """Note what became of the scans of a batch, by their run folders and the logs of their tasks.

    Args:
        folder: Folder of the batch.
        record: Record of the batch, which is changed. The number of a task is the place of its scan in the record.
        deaths: Explanation of the scans over which a process died; None to seek them here, without the batch's lock.
    """
    logs = slurm_folder(folder.resolve())
    deaths = _deaths_of(folder, record) if deaths is None else deaths
    for number, scan in enumerate(record.scans.values()):
        log = newest_log(logs, number)
        _refresh(folder, scan, read_task_end(log) if log and is_newer(log, scan.noted) else None, deaths)
        if log or scan.status is not State.WAITING:
            scan.stamp = scan.stamp or stamp_of(folder.resolve() / scan.file)


def _refresh(folder: Path, scan: ScanRecord, end: TaskEnd | None, deaths: Mapping[str, str]) -> None:
    """Note what became of one scan, where its run folder or the log of its task is newer than its record."""
    run = folder / scan.name
    ending, holder = read_new_ending(run, scan), lock_holder(run)
    scan.begins_anew = must_begin_anew(run, scan)
    if ending is not None:
        sentinel, reason = ending
        status = State(sentinel.lower())
        exit_status = _exit_status_of_result(run) if sentinel is Sentinel.DONE else (end.exit_status if end else 1)
        is_sound = status is State.DONE and exit_status == ExitStatus.DONE
        status_of_scan = 0 if status is State.STOPPED else exit_status
        scan.end(status, _seconds(run) or scan.seconds, status_of_scan, "" if is_sound else reason)
    elif end is not None and 0 < end.exit_status < _KILLED and end.exit_status != ExitStatus.STOPPED:
        faults = without_absolute_paths(end.faults) or f"its job ended with status {end.exit_status}"
        scan.end(State.FAILED, 0.0, end.exit_status, faults)
    elif scan.name in deaths:
        scan.status, scan.fault = State.DIED, deaths[scan.name]
    elif holder is not None and not holder.has_ended(LockHolder.current()):
        scan.status = State.RUNNING
    elif scan.status is State.DONE and not is_done(run):
        scan.order()


def _deaths_of(folder: Path, record: BatchRecord) -> dict[str, str]:
    states = {name: explain(read_state(folder / name, scan)) for name, scan in record.scans.items()}
    return {name: state.reason for name, state in states.items() if state.state is State.DIED}


def is_done(run: Path) -> bool:
    """Whether a run folder holds a result."""
    ending = read_ending(run)
    return ending is not None and ending[0] is Sentinel.DONE


def _exit_status_of_result(run: Path) -> int:
    verdict = Verdict.from_json(json_object(run / METRICS))
    failed = verdict is not None and verdict.soundness is Soundness.FAILED
    return int(ExitStatus.QUALITY if failed else ExitStatus.DONE)


def _seconds(run: Path) -> float:
    seconds = json_object(run / METRICS).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0
