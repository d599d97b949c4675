"""Orders of a batch: the scans that are to be taken again, in spite of what their run folders hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .batch_record import BatchFolder, BatchRecord, State, stamp_of
from .batch_refresh import is_done, refresh_records
from .scan_list import ScanFile


def order_scans(
    folder: BatchFolder, scans: Sequence[ScanFile], deaths: Mapping[str, str], *, force: bool, resume: bool
) -> None:
    """Note which scans are to be taken again, by what their runs hold, and by what is asked for.

    Args:
        folder: Folder of the batch, whose record is changed.
        scans: Acquisitions with their names.
        deaths: Explanation of the scans over which a process died.
        force: Whether all begin anew.
        resume: Whether those that are not done go on.
    """
    records = folder.record.scans.values()
    if force:
        for record in records:
            record.order(anew=True)
    elif resume:
        refresh_records(folder.path, folder.record, deaths)
        for record in records:
            if folder.has_grown and record.status is State.DONE:
                record.order()
        order_changed(folder.path, folder.record, scans)


def order_changed(path: Path, record: BatchRecord, scans: Sequence[ScanFile]) -> None:
    """Have the runs begin anew whose acquisition has changed before there was a result.

    One whose acquisition has changed after that is refused by its fingerprint, so that its result stays.

    Args:
        path: Folder of the batch.
        record: Record of the batch, which is changed.
        scans: Acquisitions with their names.
    """
    for scan in scans:
        one = record.scans[scan.name]
        if one.stamp in ("", stamp_of(scan.path)) or one.status is State.RUNNING:
            continue
        one.deaths = 0
        if not is_done(path / scan.name):
            one.order(anew=True)
