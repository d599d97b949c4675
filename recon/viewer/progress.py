"""Progress of a run: its losses and residuals step by step, its numbers and its verdict, from the run folder alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..io.json_text import json_object, json_records
from ..metrics import metric_named
from ..runs.contents import METRICS
from ..runs.preview_record import PreviewRecord
from ..runs.run_state import RunState
from ..runs.verdict import Verdict

MOST_POINTS = 500
"""Largest number of points of a curve."""
LOG_LINES = 20
_COUNTERS = ("step", "start", "stage", "fit", "tile", "member", "seconds")
"""Entries of a record that tell its place and are no curves."""
_LOG_BYTES = 1 << 14


def progress_of(run: Path, state: RunState) -> dict[str, Any]:
    """Describe the progress of a run.

    Args:
        run: Folder of the run.
        state: State of the run.
    """
    return {
        "state": str(state.state),
        "reason": state.reason,
        "verdict": verdict_json(state.verdict),
        "series": _series(_records(run / "metrics.jsonl")),
        "numbers": _numbers(json_object(run / METRICS)),
        "log": _log_end(run / "run.log"),
        "resume": state.resume_command,
        "preview": _preview(run) if state.is_watch else None,
    }


def _preview(folder: Path) -> dict[str, Any] | None:
    """Newest preview of a scan that is measured now, with its picture as PNG in base64; None where there is none."""
    record = PreviewRecord.read(folder)
    return None if record is None else asdict(record)


def verdict_json(verdict: Verdict | None) -> dict[str, Any] | None:
    """Verdict as JSON; None where there is none."""
    if verdict is None:
        return None
    return {"soundness": str(verdict.soundness), "reasons": [str(reason) for reason in verdict.reasons]}


def _records(file: Path) -> list[dict[str, Any]]:
    try:
        return json_records(file)
    except OSError:
        return []


def _series(records: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Curves by name, over the step, or the number of the start of a phase retrieval."""
    curves: dict[str, list[list[float]]] = {}
    for number, record in enumerate(records):
        step = record.get("step", record.get("start", number))
        if not _is_number(step):
            continue
        for name, value in record.items():
            if name not in _COUNTERS and _is_number(value):
                curves.setdefault(str(name), []).append([float(step), float(value)])
    return {name: _thin(points) for name, points in curves.items()}


def _thin(points: list[list[float]]) -> list[list[float]]:
    """Select points at regular intervals, with the first and the last."""
    if len(points) <= MOST_POINTS:
        return points
    return [points[i] for i in np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Final numbers with their titles and units, in the order of the file."""
    rows = []
    for name, value in content.items():
        if _is_number(value):
            metric = metric_named(name)
            title, text = metric.title, metric.text(float(value))
            rows.append({"name": name, "title": title, "value": text, "meaning": metric.meaning})
    return rows


def _log_end(file: Path) -> list[str]:
    """Last lines of a log."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _LOG_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return lines[-LOG_LINES:]
