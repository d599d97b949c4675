"""Findings of a report: how good a result is, in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..runs.contents import Sentinel
from .run_data import RunData

_GATED = ("gate_value", "residual_withheld", "residual_fitted", "llk_free", "llk")
"""Number that a gate limits, the first that there is; the later ones in runs of versions before 0.2."""

Level = Literal["good", "fair", "poor", "plain"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        level: Assessment; ``plain`` if the finding is neither good nor bad.
        title: Subject of the finding.
        value: The number, or a word.
        text: Explanation.
    """

    level: Level
    title: str
    value: str
    text: str


def ending_finding(run: RunData) -> Finding:
    """Finding on the end of a run: done, above its gate, stopped, failed or still running."""
    if run.ending is None:
        text = "The folder holds no sentinel: the run is still going on, or it was killed. Numbers are the latest."
        return Finding("fair", "Run", "not ended", text)
    sentinel, reason = run.ending
    if sentinel is Sentinel.DONE and _misses_gate(run.metrics):
        return Finding("poor", "Run", "above its gate", _sentence(reason))
    if sentinel is Sentinel.DONE:
        return Finding("good", "Run", "done", reason or "The run ended by itself.")
    if sentinel is Sentinel.STOPPED:
        text = f"{_sentence(reason)} The checkpoint is kept: the same command with --resume goes on from there."
        return Finding("fair", "Run", "stopped", text)
    return Finding("poor", "Run", "failed", f"{_sentence(reason)} What was reached before is shown below.")


def _misses_gate(numbers: Mapping[str, float | None]) -> bool:
    gate = numbers.get("gate")
    residual = next((numbers[name] for name in _GATED if name in numbers), None)
    return gate is not None and (residual is None or residual > gate)  # None: it is not finite.


def _sentence(reason: str) -> str:
    """The reason with a full stop, its first line only."""
    line = reason.splitlines()[0].strip() if reason.strip() else "No reason was given"
    return line if line.endswith((".", "!", "?")) else line + "."
