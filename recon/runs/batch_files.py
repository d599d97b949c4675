"""Names of the files in the folder of a batch, beside its run folders."""

from pathlib import Path

from .batch_record import BATCH
from .launch import LAUNCH
from .lock import LOCK
from .watch_state import WATCH

TABLE = "results.csv"
PAGE = "index.html"
BATCH_FILES = (BATCH, TABLE, PAGE, LAUNCH, LOCK, WATCH)


def is_batch(path: Path) -> bool:
    """Whether a folder holds the runs of several acquisitions."""
    return (path / BATCH).is_file()
