"""Names of the files in the folder of a batch, beside its run folders."""

from pathlib import Path

from ..io.network_file import FILE_NAME as NETWORK
from .batch_record import BATCH
from .launch import LAUNCH
from .learning_record import LEARNING
from .lock import LOCK
from .preview_record import PREVIEW
from .watch_state import WATCH

RECEIVED = "received"
"""Folder of the acquisitions that a stream brought."""
TABLE = "results.csv"
PAGE = "index.html"
BATCH_FILES = (BATCH, TABLE, PAGE, LAUNCH, LOCK, WATCH, PREVIEW, LEARNING, NETWORK, RECEIVED)


def is_batch(path: Path) -> bool:
    """Whether a folder holds the runs of several acquisitions."""
    return (path / BATCH).is_file()
