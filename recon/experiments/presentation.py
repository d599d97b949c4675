"""Presentation: how a kind of experiment shows its results in summaries, reports and ``unflat view``.

The hooks have defaults that suit any kind; `Experiment` is the class that kinds derive from.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ..errors import ConfigError
from ..volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..io.table import Table
    from ..sampled import Sampled
    from ..visualization.measures import Measures
    from ..visualization.panels import Panel, PanelSubject
    from ..visualization.report_figures import DeferredFigure
    from ..visualization.run_data import RunData
    from ..visualization.summary import Finding
    from ..visualization.surface_scene import SurfaceScene


class Presentation(ABC):
    """Hooks that present the results of a kind.

    Attributes:
        name: Name of the kind.
    """

    name: ClassVar[str]

    @abstractmethod
    def measure(self, volume: Volume, *, level: float | None = None, features: str = "standard") -> "Table":
        """Measure one specimen without a truth; see `Experiment.measure`."""

    @abstractmethod
    def surface_level(self, volume: Volume) -> tuple[str, float | None]:
        """Choose the surface of a specimen; see `Experiment.surface_level`."""

    def summary_line(self, numbers: Mapping[str, float]) -> str:
        """Summarise in one line how well a result explains the measurement, from the numbers of ``metrics.json``."""
        return ", ".join(f"{name} {value:.4g}" for name, value in list(numbers.items())[:3])

    def summary_lines(self, numbers: Mapping[str, float]) -> list[str]:
        """Further lines of the summary."""
        return []

    def validation_summary(self, numbers: Mapping[str, float]) -> str:
        """Summarise how a trained network did on held-out specimens; empty if that is not known."""
        return ""

    def comparison_figure(
        self, truth: Volume, result: "Sampled", names: tuple[str, str] = ("truth", "result")
    ) -> "Figure | None":
        """Draw a result beside the truth, or a second one, under their names; None where the kind has no figure.

        Raises:
            DataError: If the two cannot be compared.
        """
        return None

    def figure_under_light(
        self, result: "Sampled", na: tuple[float, float], defocus: float, limits: tuple[float, float] | None
    ) -> "Figure":
        """Draw the image of a result under light of a numerical aperture (y, x) that was not measured.

        Raises:
            ConfigError: If results of the kind are not seen by light.
        """
        raise ConfigError(f"--style light: a {self.name} has no image under light")

    def verdict_remark(self, run: "RunData") -> str:
        """Remark that the report adds to the verdict of a sound run; empty for none."""
        return ""

    def report_findings(self, run: "RunData") -> "list[Finding]":
        """Findings of a run's report."""
        return []

    def report_figures(self, run: "RunData") -> "list[DeferredFigure]":
        """Figures of a run's report."""
        from ..visualization.report_figures import fit_figures

        return fit_figures(run)

    def view_panels(self, subject: "PanelSubject") -> "list[Panel]":
        """Panels that ``unflat view`` shows beside the specimen: measured and modelled views by default.

        Raises:
            DataError: If a file of the run is damaged.
        """
        from ..visualization.prediction_panels import prediction_panels

        return prediction_panels(subject.folder)

    def report_scene(self, run: "RunData") -> "SurfaceScene | None":
        """Surface that the reader of a run's report turns; None for a result without one.

        Raises:
            DataError: If it cannot be read.
        """
        from ..visualization.surface_scene import result_scene

        return None if run.result is None else result_scene(run.result, self.surface_level)

    def report_measures(self, run: "RunData") -> "Measures | None":
        """Numbers of `measure` for a run's report; None for a result that is not sampled, or too large to wait for.

        Raises:
            DataError: If the result cannot be measured.
        """
        from .report_measures import measure_run

        return measure_run(self.measure, run)
