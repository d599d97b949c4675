"""Progress of a run: its losses and residuals step by step, its numbers and its verdict, from the run folder alone."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..io.json_text import parse_json
from ..metrics import metric_named
from ..runs.contents import METRICS
from ..runs.preview_record import PreviewRecord
from ..runs.run_state import RunState
from ..runs.verdict import Verdict
from .curves import CurveCache, is_number
from .files import open_inside, read_inside

LOG_LINES = 20
_LOG_BYTES = 1 << 14
_MOST_NUMBERS = 1 << 24
"""[byte] Largest file of final numbers that is read."""


def progress_of(run: Path, state: RunState, curves: CurveCache) -> dict[str, Any]:
    """Describe the progress of a run.

    Args:
        run: Folder of the run.
        state: State of the run.
        curves: Curves as far as they have been read.
    """
    series = curves.get(run)
    return {
        "state": str(state.state),
        "reason": state.reason,
        "verdict": verdict_json(state.verdict),
        "series": series,
        "titles": {name: metric_named(name).title for name in series},
        "over": curves.axis(run),
        "numbers": _numbers(_final_numbers(run)),
        "log": _log_end(run),
        "resume": state.retry_command or state.resume_command,
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


def _final_numbers(run: Path) -> Mapping[str, Any]:
    """Read the final numbers of a run; empty where there are none that are whole."""
    try:
        content = parse_json(read_inside(run, METRICS, _MOST_NUMBERS))
    except (OSError, DataError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _numbers(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Final numbers with their titles and units, in the order of the file."""
    rows = []
    for name, value in content.items():
        if is_number(value):
            metric = metric_named(name)
            title, text = metric.title, metric.text(float(value))
            rows.append({"name": name, "title": title, "value": text, "meaning": metric.meaning})
    return rows


def _log_end(run: Path) -> list[str]:
    """Last lines of a log."""
    try:
        with open_inside(run, "run.log") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _LOG_BYTES))
            lines = stream.read(_LOG_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    except DataError as error:
        return [str(error)]
    return lines[-LOG_LINES:]
