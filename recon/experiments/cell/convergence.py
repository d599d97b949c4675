"""Course of a cell's fit: whether the residual still fell when the steps ended."""

from pathlib import Path

from ...io.json_text import json_records

_LAST_PART = 0.25


def residual_fall(folder: Path, steps: int) -> dict[str, float]:
    """Compute the relative fall of the withheld residual over the last quarter of the steps of the first member.

    Args:
        folder: Folder of the run, with its ``metrics.jsonl``.
        steps: Number of steps of a member.

    Returns:
        ``residual_fall``; empty where the residual was not computed often enough, or the fit ended by itself.
    """
    try:
        records = json_records(folder / "metrics.jsonl")
    except OSError:
        return {}
    course = [(r["step"], r["withheld"]) for r in records if r.get("withheld") and r.get("step", 0) <= steps]
    before = [value for step, value in course if step <= (1 - _LAST_PART) * steps]
    if not before or course[-1][0] < steps:
        return {}
    return {"residual_fall": 1 - min(value for _, value in course) / min(before)}
