"""Where a long work is done, and whom it tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .folder import RunFolder
from .progress import Progress, silent


@dataclass(frozen=True)
class Workplace:
    """Where a long work is done, and whom it tells.

    Args:
        folder: The run's folder: everything goes there.
        provenance: Facts about the input and the config, for the result's files.
        progress: Told of what is done.
        stop: Asked now and then; a text means to end early with a checkpoint, and why.
    """

    folder: RunFolder
    provenance: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = silent
    stop: Callable[[], str | None] = lambda: None
