"""A run of a reconstruction: its folder, its checkpoints, its progress, and the wish to end it early."""

from .atomic import require_place, write_atomically
from .checkpoint import Checkpoint
from .estimate import Estimate, available_memory
from .facts import describe_input, peak_memory
from .folder import RunFolder, Sentinel, ending
from .progress import Progress, silent
from .refusal import new_hdf5
from .stop import StopRequest
from .workplace import Workplace

__all__ = [
    "Checkpoint",
    "Estimate",
    "Progress",
    "RunFolder",
    "Sentinel",
    "StopRequest",
    "Workplace",
    "available_memory",
    "describe_input",
    "ending",
    "new_hdf5",
    "peak_memory",
    "require_place",
    "silent",
    "write_atomically",
]
