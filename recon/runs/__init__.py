"""Runs of reconstructions: folder, lock, checkpoints, logs, progress and requests to stop."""

from ..io.atomic import require_writable_name, write_atomically
from ..io.safe_hdf5 import new_hdf5
from ..memory import available_memory
from .checkpoint import Checkpoint
from .contents import Sentinel, read_ending
from .context import Gate, Progress, RunContext, RunOutcome, Status, silent
from .estimate import Estimate
from .folder import RunFolder
from .provenance import describe_input, peak_memory
from .stop import StopRequest
from .verdict import Reason, Soundness, Verdict

__all__ = [
    "Checkpoint",
    "Estimate",
    "Gate",
    "Progress",
    "Reason",
    "RunContext",
    "RunFolder",
    "RunOutcome",
    "Sentinel",
    "Soundness",
    "Status",
    "StopRequest",
    "Verdict",
    "available_memory",
    "describe_input",
    "new_hdf5",
    "peak_memory",
    "read_ending",
    "require_writable_name",
    "silent",
    "write_atomically",
]
