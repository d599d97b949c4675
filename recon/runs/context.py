"""Where a long work is done, and whom it tells.

How a loop tells of its progress without knowing who listens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, SupportsFloat, runtime_checkable

from .folder import RunFolder


@runtime_checkable
class Progress(Protocol):
    """Called after each step."""

    def __call__(self, step: int, total: int, **metrics: float) -> None:
        """Tell of a step.

        Args:
            step: Steps done.
            total: Steps in all.
            metrics: Numbers of this step: ``loss``, ``withheld``.
        """


def silent(step: int, total: int, **metrics: SupportsFloat) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class RunContext:
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
