"""How a loop tells of its progress without knowing who listens."""

from typing import Protocol, SupportsFloat, runtime_checkable


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
