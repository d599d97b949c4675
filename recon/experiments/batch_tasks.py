"""A batch whose scans are tasks of an array in a queue: the tasks that are due, and the results of all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..runs.batch_files import PAGE, TABLE
from ..runs.batch_orders import order_changed
from ..runs.batch_record import BATCH, BatchFolder, BatchRecord, State, is_due, must_begin_anew, stamp_of
from ..runs.batch_refresh import read_deaths, refresh_records
from ..runs.job_script import Task
from ..runs.launch import LAUNCH
from ..runs.scan_list import ScanFile
from . import get_experiment
from .batch import BatchOptions, open_batch
from .batch_results import BatchResults


def plan_tasks(scans: Sequence[ScanFile], options: BatchOptions) -> list[Task]:
    """List the tasks that `prepare_tasks` would, and write nothing.

    Args:
        scans: Acquisitions with their names.
        options: Options of the batch.
    """
    former = BatchRecord.read(options.output) if options.resume else None
    record = former or BatchRecord("", {})
    record.add(options.output, [(scan.name, scan.path) for scan in scans])
    if options.resume:
        refresh_records(options.output, record)
        order_changed(options.output, record, scans)
    return _due_tasks(record, scans, options)


def prepare_tasks(method: str, config: Any, scans: Sequence[ScanFile], options: BatchOptions) -> list[Task]:
    """Make the folder of a batch, with its record, and list the tasks that are due.

    Args:
        method: ``fit``, ``phase`` or ``predict``.
        config: Settings of the experiment, for all scans.
        scans: Acquisitions with their names.
        options: Options of the batch.

    Raises:
        ConfigError: If the kind does not offer the method, or the folder is taken.
        DataError: If the folder cannot be written, or a file that the config names cannot be read.
    """
    with open_batch(method, config, scans, options) as folder:
        tasks = _due_tasks(folder.record, scans, options)
        due = {task.run.name for task in tasks}
        for scan in scans:
            record = folder.record.scans[scan.name]
            if scan.name in due and record.status is not State.RUNNING:
                record.order(anew=must_begin_anew(folder.path / scan.name, record))
            if scan.name in due:
                record.stamp = stamp_of(scan.path)
        folder.save()
        return tasks


def discard_batch(path: Path) -> None:
    """Remove the folder of a batch that could not be submitted, unless it holds runs."""
    if all(entry.name in (BATCH, LAUNCH) for entry in path.iterdir()):
        for entry in path.iterdir():
            entry.unlink()
        path.rmdir()


def write_batch_results(path: Path) -> tuple[Path, Path]:
    """Write the table and the page of a batch, from what its runs hold by now.

    Args:
        path: Folder of the batch.

    Returns:
        The two files.

    Raises:
        ConfigError: If another process works in it.
        DataError: If it holds no batch.
    """
    deaths = read_deaths(path)
    with BatchFolder.reopen(path) as folder:
        refresh_records(path, folder.record, deaths)
        folder.save()
        results = BatchResults(folder, get_experiment(str(folder.record.settings.get("kind", ""))))
        results.write_table()
        results.write_page(is_running=False)
    return path / TABLE, path / PAGE


def _due_tasks(record: BatchRecord, scans: Sequence[ScanFile], options: BatchOptions) -> list[Task]:
    """Tasks that are due; the number of each is the place of its scan in the record, which stays."""
    numbers = {name: number for number, name in enumerate(record.scans)}
    root, retry = options.output.absolute(), options.retry_failed
    return [
        Task(
            numbers[scan.name],
            scan.path.absolute(),
            root / scan.name,
            options.force or record.scans[scan.name].begins_anew,
        )
        for scan in scans
        if is_due(scan.path, record.scans[scan.name], retry_failed=retry)
    ]
