"""States of the scans of a batch whose runs other processes make, such as the tasks of an array in a queue."""

from pathlib import Path

from ..errors import ExitStatus
from ..io.json_text import json_object
from .batch_record import BatchRecord, ScanRecord, ScanStatus, stamp_of
from .contents import METRICS, Sentinel, read_ending
from .lock import lock_holder
from .logs import without_absolute_paths
from .task_log import newest_log, read_task_end, slurm_folder
from .verdict import Soundness, Verdict

_KILLED = 128
"""Exit status of a shell above which a signal has ended the process, so that the run has died."""


def refresh_records(folder: Path, record: BatchRecord) -> None:
    """Note what became of the scans of a batch, by their run folders and the logs of their tasks.

    Args:
        folder: Folder of the batch.
        record: Record of the batch, which is changed. The number of a task is the place of its scan in the record.
    """
    logs = slurm_folder(folder.resolve())
    for number, scan in enumerate(record.scans.values()):
        log = newest_log(logs, number)
        if log is not None:  # Without one, no queue has had it, and the record is right.
            _refresh(folder, scan, log)


def _refresh(folder: Path, scan: ScanRecord, log: Path) -> None:
    """Note what became of one scan."""
    run, end = folder / scan.name, read_task_end(log)
    ending = read_ending(run)
    if ending is not None:
        sentinel, reason = ending
        status = ScanStatus(sentinel.lower())
        exit_status = _exit_status_of_result(run) if sentinel is Sentinel.DONE else (end.exit_status if end else 1)
        is_sound = status is ScanStatus.DONE and exit_status == ExitStatus.DONE
        scan.end(status, _seconds(run), 0 if status is ScanStatus.STOPPED else exit_status, "" if is_sound else reason)
    elif end is not None and 0 < end.exit_status < _KILLED and end.exit_status != ExitStatus.STOPPED:
        faults = without_absolute_paths(end.faults) or f"its job ended with status {end.exit_status}"
        scan.end(ScanStatus.FAILED, 0.0, end.exit_status, faults)
    elif lock_holder(run) is not None:
        scan.status = ScanStatus.RUNNING
    scan.stamp = scan.stamp or stamp_of(folder.resolve() / scan.file)


def _exit_status_of_result(run: Path) -> int:
    verdict = Verdict.from_json(json_object(run / METRICS))
    failed = verdict is not None and verdict.soundness is Soundness.FAILED
    return int(ExitStatus.QUALITY if failed else ExitStatus.DONE)


def _seconds(run: Path) -> float:
    seconds = json_object(run / METRICS).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0
