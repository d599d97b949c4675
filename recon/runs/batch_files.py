"""Names of the files in the folder of a batch, beside its run folders."""

from .batch_record import BATCH
from .launch import LAUNCH
from .lock import LOCK
from .watch_state import WATCH

TABLE = "results.csv"
PAGE = "index.html"
BATCH_FILES = (BATCH, TABLE, PAGE, LAUNCH, LOCK, WATCH)
