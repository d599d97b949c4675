"""Report of a series: a finding and a picture of each acquisition, besides what its kind reports of the last one."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.json_text import json_object
from ..io.model_file import read_model_series
from ..model_series import SERIES as POSITION
from ..runs.contents import METRICS, SERIES, SERIES_TABLE
from ..runs.verdict import Soundness, Verdict
from ..visualization.measures import Measures
from ..visualization.report_figures import COURSE_TITLE, DeferredFigure
from ..visualization.run_data import RunData
from ..visualization.series_movie import series_strip
from ..visualization.summary import Finding, Level
from ..visualization.surface_scene import SurfaceScene
from .base import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS: Mapping[Soundness, Level] = {Soundness.SOUND: "good", Soundness.DOUBTFUL: "fair", Soundness.FAILED: "poor"}


def is_series(run: Path) -> bool:
    """Whether a run folder holds a series."""
    return (run / SERIES_TABLE).is_file()


@dataclass(frozen=True)
class SeriesContent:
    """Content of the report of a series.

    Args:
        experiment: Kind of experiment.
    """

    experiment: Experiment

    def verdict_remark(self, run: RunData) -> str:
        """Remark of the kind on the verdict of a sound run."""
        return self.experiment.verdict_remark(run)

    def report_findings(self, run: RunData) -> list[Finding]:
        """Findings of each acquisition, in the order of the series."""
        findings = []
        with (run.folder / SERIES_TABLE).open(newline="", encoding="utf-8") as table:
            rows = list(csv.reader(table))
        coordinate, _, unit = rows[0][1].partition(" [")
        for name, position, *_ in rows[1:]:
            content = json_object(run.folder / SERIES / name / METRICS)
            verdict = Verdict.from_json(content) or Verdict()
            numbers = {key: float(value) for key, value in content.items() if isinstance(value, int | float)}
            title = f"{coordinate} = {position} {unit.rstrip(']')}".strip()
            text = f"{name}: {self.experiment.summary_line(numbers)}"
            findings.append(Finding(_LEVELS[verdict.soundness], title, str(verdict.soundness), f"{text}."))
        return findings

    def report_figures(self, run: RunData) -> list[DeferredFigure]:
        """Draw the acquisitions side by side, then the figures of the kind for the last one."""

        def draw() -> "Figure":
            return series_strip(read_model_series(run.folder))

        caption = "Middle planes z (above) and y (below) at the acquisitions, in one colour scale."
        figures = self.experiment.report_figures(run)
        last = [
            figure if figure.title == COURSE_TITLE else replace(figure, caption=_at_last(run, figure.caption))
            for figure in figures
        ]
        return [DeferredFigure("Series", caption, draw), *last]

    def report_scene(self, run: RunData) -> SurfaceScene | None:
        """Surface of the last acquisition."""
        scene = self.experiment.report_scene(run)
        return None if scene is None else replace(scene, caption=_at_last(run, scene.caption))

    def report_measures(self, run: RunData) -> Measures | None:
        """Numbers of the last acquisition."""
        return self.experiment.report_measures(run)


def _at_last(run: RunData, caption: str) -> str:
    """Say in a caption that the last acquisition is shown."""
    position = getattr(run.result, "attributes", {}).get(POSITION, "")
    return f"{caption} Last acquisition: {position}." if position else caption
