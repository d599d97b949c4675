"""Context of a running job, and its outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, SupportsFloat, runtime_checkable

from ..acquisition import Acquisition
from .folder import RunFolder
from .verdict import SpecimenVerdict, Verdict


@runtime_checkable
class Progress(Protocol):
    """Callback after each step."""

    def __call__(self, step: int, total: int, **metrics: float) -> None:
        """Report a step.

        Args:
            step: Number of steps done.
            total: Number of steps in all.
            metrics: Numbers of this step: ``loss``, ``withheld``.
        """


def silent(step: int, total: int, **metrics: SupportsFloat) -> None:
    """Report nothing."""


def never_stop() -> str | None:
    """Never ask a job to stop."""
    return None


@dataclass(frozen=True)
class RunContext:
    """Everything that a running job works with.

    Args:
        config: Settings of the experiment.
        folder: Folder of the run, where all results and checkpoints go.
        acquisition: Measurement; None for a training on simulated specimens.
        provenance: Description of input, config and device, for the files of the result.
        progress: Callback after each step.
        should_stop: Reason to end early with a checkpoint; None to go on. All processes of a run ask together.
        warm_start: Run folder of another scan, whose result a method may begin with; None for a cold start.
        stop_reason: That reason as far as this process knows it, for work that one process does for all.
    """

    config: Any
    folder: RunFolder
    acquisition: Acquisition | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = silent
    should_stop: Callable[[], str | None] = never_stop
    warm_start: Path | None = None
    stop_reason: Callable[[], str | None] = never_stop

    @property
    def measurement(self) -> Acquisition:
        """The acquisition of a job that has one.

        Raises:
            ValueError: If the job has none.
        """
        if self.acquisition is None:
            raise ValueError("this job has no acquisition")
        return self.acquisition


class Status(Enum):
    """Outcome of a job in one word; each value is a sentence that describes it."""

    COMPLETE = "All steps were taken."
    CONVERGED = "The withheld data were no longer explained better."
    STOPPED = "The run was asked to stop; run again with --resume to go on."


@dataclass(frozen=True)
class Gate:
    """Quality gate of a result: an upper limit of one number.

    Args:
        title: Name of the number, as a sentence begins with it.
        value: Number that the result reached.
        limit: Largest number that passes.
        remedy: Advice for a result that does not pass.
    """

    title: str
    value: float
    limit: float
    remedy: str = "its report gives the details"

    @property
    def passed(self) -> bool:
        """Whether the number is within the limit; one that is not finite never is."""
        return self.value <= self.limit


@dataclass(frozen=True)
class RunOutcome:
    """Outcome of a job.

    Args:
        numbers: Metrics by name, for ``metrics.json``.
        gate: Quality gate, where the config sets one.
        status: Reason for which it ended.
        late: Message of a request to stop that came after the last step; empty where none did.
        interrupted: Whether that came from the keyboard.
        notes: Sentences for the screen and the log.
        verdict: Verdict on the result; None for a training.
        specimens: Verdict on each specimen of a run of several.
    """

    numbers: Mapping[str, float]
    gate: Gate | None = None
    status: Status = Status.COMPLETE
    late: str = ""
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    specimens: tuple[SpecimenVerdict, ...] = ()
