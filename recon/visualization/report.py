"""Report of a run: one HTML file that needs nothing else, on paper or in the dark."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from ..errors import UnflatError
from ..io.atomic import write_atomically
from ..io.file_names import readable
from ..runs.logs import without_absolute_paths
from .measures import Measures
from .report_comparison import ReportComparison, metric_rows
from .report_figures import DeferredFigure, EmbeddedFigure, draw_figures, fit_figures
from .run_data import RunData
from .summary import Finding, ending_finding
from .surface_scene import EmbeddedScene, SurfaceScene, embed_scene
from .templates import load_template, load_text

T = TypeVar("T")


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

    def report_scene(self, run: RunData) -> SurfaceScene | None:
        """Surface that the reader turns; None for none."""
        ...

    def report_measures(self, run: RunData) -> Measures | None:
        """Numbers of the specimens; None for none."""
        ...


def write_report(
    run: RunData,
    content: ReportContent | None,
    output: Path | None = None,
    comparison: ReportComparison | None = None,
) -> Path:
    """Write a run's report, and its figures into the run's ``figures/``.

    Args:
        run: Data of the run.
        content: Findings and figures of its kind; None where the kind is not known.
        output: File to write; ``report.html`` in the folder if absent. With another, the folder stays as it is.
        comparison: Comparison with a truth or a second run.

    Returns:
        The file written.

    Raises:
        DataError: If the disk refuses.
    """
    target = output or run.folder / "report.html"
    page, figures = report_html(run, content, comparison)
    if output is None:
        (run.folder / "figures").mkdir(exist_ok=True)
        for figure in figures:
            if figure.drawn:
                with write_atomically(run.folder / "figures" / figure.file_name) as temporary:
                    temporary.write_bytes(figure.png)
    with write_atomically(target) as temporary:
        temporary.write_text(readable(page), encoding="utf-8")
    return target


def report_html(
    run: RunData, content: ReportContent | None, comparison: ReportComparison | None = None
) -> tuple[str, list[EmbeddedFigure]]:
    """Render the page: one text with styles and figures inside, and no address of anything outside.

    Args:
        run: Data of the run.
        content: Findings and figures of its kind; None where the kind is not known.
        comparison: Comparison with a truth or a second run.

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
        scene=None if content is None else _gap("Surface", lambda: _scene(content, run), gaps),
        script=load_text("surface_view.js"),
        measures=None if content is None else _gap("Measures", lambda: content.report_measures(run), gaps),
        metrics=metric_rows(run.metrics),
        comparison=comparison,
        compared=draw_figures(() if comparison is None else comparison.figures, (), gaps),
        warnings=run.warnings,
        gaps=[without_absolute_paths(gap) for gap in gaps],
        config=run.config,
        provenance=_provenance(run.provenance),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return page, figures


def _scene(content: ReportContent, run: RunData) -> EmbeddedScene | None:
    scene = content.report_scene(run)
    return None if scene is None else embed_scene(scene)


def _gap(name: str, make: Callable[[], T | None], gaps: list[str]) -> T | None:
    """Make a part of the report; one that cannot be made is a gap."""
    try:
        return make()
    except UnflatError as error:
        gaps.append(f"{name}: {error}")
        return None


def _provenance(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values; the config has its own place, and nested values are written as indented JSON."""
    rows = []
    for name, value in provenance.items():
        if name in ("config", "metrics"):
            continue
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)
        rows.append((name.replace("_", " "), without_absolute_paths(text)))
    return rows
