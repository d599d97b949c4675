"""Writes a run's report."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..io.atomic import write_atomically
from ..metrics import catalogue, metric_named
from ..runs.contents import Sentinel
from ..runs.logs import without_absolute_paths
from .report_figures import EmbeddedFigure, pictures
from .run_data import RunData, gather
from .summary import summarise


def write_report(run: Path, output: Path | None = None, end: tuple[Sentinel, str] | None = None) -> Path:
    """Write a run's report, and its pictures into the run's ``figures/``.

    Args:
        run: The run's folder; any of its parts may be missing.
        output: The file; ``report.html`` in the folder if absent. With another, the folder stays as it is.
        end: How the run is about to end, and why: its sentinel is written last, after the report.

    Returns:
        The file written.

    Raises:
        DataError: If the folder holds nothing of a run, or the disk refuses.
    """
    target = output or run / "report.html"
    page, drawn = _drawn(run, end)
    if output is None:
        (run / "figures").mkdir(exist_ok=True)
        for picture in (each for each in drawn if each.drawn):
            with write_atomically(run / "figures" / picture.file_name) as temporary:
                temporary.write_bytes(picture.png)
    with write_atomically(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def report_html(run: Path) -> str:
    """The page: one text with styles and pictures inside, and no address of anything outside.

    Args:
        run: The run's folder.

    Raises:
        DataError: If the folder holds nothing of a run.
    """
    return _drawn(run)[0]


def _drawn(run: Path, end: tuple[Sentinel, str] | None = None) -> tuple[str, list[EmbeddedFigure]]:
    """The page and its pictures."""
    from jinja2 import Environment, StrictUndefined

    facts = gather(run, end)
    gaps = list(facts.gaps)
    drawn = pictures(facts, gaps)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files(__package__) / "report.html").read_text(encoding="utf-8"))
    page = template.render(
        title=facts.name,
        kind=getattr(facts.result, "kind", ""),
        ending=str(facts.ending[0]) if facts.ending else "",
        reason=facts.ending[1] if facts.ending else "",
        statements=summarise(facts),
        pictures=drawn,
        metrics=_rows(facts),
        warnings=facts.warnings,
        gaps=[without_absolute_paths(gap) for gap in gaps],
        config=facts.config,
        provenance=_provenance(facts.provenance),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return page, drawn


def _rows(facts: RunData) -> list[dict[str, str]]:
    """The metrics in the catalogue's order, unknown ones last."""
    rows, order = [], {name: i for i, name in enumerate(catalogue())}
    for name in sorted(facts.metrics, key=lambda n: (order.get(n, len(order)), n)):
        metric, value = metric_named(name), facts.metrics[name]
        better = {"higher": "↑", "lower": "↓", "neither": ""}[metric.better]
        text = "not finite" if value is None else metric.text(value)
        rows.append({"title": metric.title, "value": text, "better": better, "meaning": metric.meaning})
    return rows


def _provenance(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values; the config has its own place, and nested facts are written as indented JSON."""
    rows = []
    for name, value in provenance.items():
        if name in ("config", "metrics"):
            continue
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
        rows.append((name.replace("_", " "), without_absolute_paths(text)))
    return rows
