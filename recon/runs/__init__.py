"""A run of a reconstruction: its folder, its checkpoints, its progress, and the wish to end it early."""

from ..io.atomic import require_place, write_atomically
from ..io.safe_hdf5 import new_hdf5
from .checkpoint import Checkpoint
from .context import Progress, RunContext, silent
from .estimate import Estimate, available_memory
from .folder import RunFolder, Sentinel, ending
from .provenance import describe_input, peak_memory
from .stop import StopRequest

__all__ = [
    "Checkpoint",
    "Estimate",
    "Progress",
    "RunContext",
    "RunFolder",
    "Sentinel",
    "StopRequest",
    "available_memory",
    "describe_input",
    "ending",
    "new_hdf5",
    "peak_memory",
    "require_place",
    "silent",
    "write_atomically",
]
