"""Report of a run: one HTML file that needs nothing else, on paper or in the dark."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..io.atomic import write_atomically
from ..io.file_names import readable
from ..metrics import catalogue, metric_named
from ..runs.logs import without_absolute_paths
from .report_figures import DeferredFigure, EmbeddedFigure, draw_figures, fit_figures
from .run_data import RunData
from .summary import Finding, ending_finding
from .templates import load_template


@runtime_checkable
class ReportContent(Protocol):
    """Part of a report that depends on the kind of experiment."""

    def verdict_remark(self, run: RunData) -> str:
        """Remark on the verdict of a sound run; empty for none."""
        ...

    def report_findings(self, run: RunData) -> list[Finding]:
        """Findings beside how the run ended."""
        ...

    def report_figures(self, run: RunData) -> list[DeferredFigure]:
        """Figures, in their order."""
        ...


def write_report(run: RunData, content: ReportContent | None, output: Path | None = None) -> Path:
    """Write a run's report, and its figures into the run's ``figures/``.

    Args:
        run: Data of the run.
        content: Findings and figures of its kind; None where the kind is not known.
        output: File to write; ``report.html`` in the folder if absent. With another, the folder stays as it is.

    Returns:
        The file written.

    Raises:
        DataError: If the disk refuses.
    """
    target = output or run.folder / "report.html"
    page, figures = report_html(run, content)
    if output is None:
        (run.folder / "figures").mkdir(exist_ok=True)
        for figure in figures:
            if figure.drawn:
                with write_atomically(run.folder / "figures" / figure.file_name) as temporary:
                    temporary.write_bytes(figure.png)
    with write_atomically(target) as temporary:
        temporary.write_text(readable(page), encoding="utf-8")
    return target


def report_html(run: RunData, content: ReportContent | None) -> tuple[str, list[EmbeddedFigure]]:
    """Render the page: one text with styles and figures inside, and no address of anything outside.

    Args:
        run: Data of the run.
        content: Findings and figures of its kind; None where the kind is not known.

    Returns:
        The page, and its figures.
    """
    gaps = list(run.gaps)
    figures = draw_figures(fit_figures(run) if content is None else content.report_figures(run), run.pictures, gaps)
    page = load_template("report.html").render(
        title=run.name,
        kind=run.kind,
        ending=str(run.ending[0]) if run.ending else "",
        reason=run.ending[1] if run.ending else "",
        verdict=run.verdict,
        remark="" if content is None else content.verdict_remark(run),
        statements=[ending_finding(run), *([] if content is None else content.report_findings(run))],
        pictures=figures,
        metrics=_rows(run),
        warnings=run.warnings,
        gaps=[without_absolute_paths(gap) for gap in gaps],
        config=run.config,
        provenance=_provenance(run.provenance),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return page, figures


def _rows(run: RunData) -> list[dict[str, str]]:
    """Metrics in the order of the catalogue, unknown ones last."""
    rows, order = [], {name: i for i, name in enumerate(catalogue())}
    for name in sorted(run.metrics, key=lambda n: (order.get(n, len(order)), n)):
        metric, value = metric_named(name), run.metrics[name]
        better = {"higher": "↑", "lower": "↓", "neither": ""}[metric.better]
        text = "not finite" if value is None else metric.text(value)
        rows.append({"title": metric.title, "value": text, "better": better, "meaning": metric.meaning})
    return rows


def _provenance(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values; the config has its own place, and nested values are written as indented JSON."""
    rows = []
    for name, value in provenance.items():
        if name in ("config", "metrics"):
            continue
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
        rows.append((name.replace("_", " "), without_absolute_paths(text)))
    return rows
