"""The ``cell`` kind of experiment. Modules that need jax are imported when a method is called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from ...io.table import Table
from ...metrics import register_metrics
from ...runs.context import Progress, RunContext, RunOutcome, silent
from ...runs.estimate import Estimate
from ...runs.verdict import Reason
from ...volume import Volume
from ..base import Experiment
from ..evaluation import Evaluation
from . import summary
from .config import CellSettings
from .metrics import METRICS
from .questions import QUESTIONS
from .schema import QUANTITIES, SCHEMA
from .verdict import assess

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...benchmarking.case import Benchmark
    from ...optimize.likelihood import Likelihood
    from ...sampled import Sampled
    from ...visualization.panels import Panel, PanelSubject
    from ...visualization.report_figures import DeferredFigure
    from ...visualization.run_data import RunData
    from ...visualization.summary import Finding
    from ..plan import Plan
    from .likelihood import CellLikelihood
    from .network.denoiser import CellDenoiser

register_metrics(METRICS)


class CellExperiment(Experiment):
    """Refractive index of a cell from a microscope's images."""

    name = "cell"
    description = "refractive index of a cell, from images under tilted or patterned light, several foci, or turning"
    Config = CellSettings
    schema = SCHEMA
    quantities = QUANTITIES
    default_method = "fit"
    memory_remedy = (
        "crop or bin the images, widen volume.spacing, let fit.tiles be auto, or use a machine with more memory"
    )
    questions = QUESTIONS
    main_numbers = ("residual_withheld", "residual_fitted", "structure_unexplained", "phase_delay", "ncc")

    def read(self, config: CellSettings, path: Path) -> Acquisition:
        """Read images or complex fields with the light of each view."""
        from .read import read

        return read(config, path)

    def validate(self, acquisition: Acquisition) -> list[Diagnostic]:
        """List the faults that no microscope can have."""
        from .validate import validate

        return validate(acquisition)

    def simulate(self, config: CellSettings, progress: Progress = silent) -> Acquisition:
        """Simulate the images of a phantom."""
        from .simulate import simulate

        return simulate(config, progress)

    def estimate(self, config: CellSettings, acquisition: Acquisition | None) -> Estimate:
        """Estimate memory and time of a fit."""
        from .estimate import estimate

        return estimate(config, acquisition)

    def require_series(self, config: CellSettings, acquisitions: Sequence[Acquisition]) -> None:
        """Refuse acquisitions of several instruments, and settings that hold for no series."""
        from .series_checks import require_series

        require_series(config, acquisitions)

    def plan(self, config: CellSettings, acquisition: Acquisition | None) -> "Plan":
        """Plan resolution, missing cone, photons and cost."""
        from .plan import plan

        return plan(config, acquisition)

    def missing_settings(self, config: CellSettings) -> list[Diagnostic]:
        """List the depth of the specimen, if it is not given."""
        from .geometry import MISSING_DEPTH

        return [MISSING_DEPTH] if config.volume.depth is None else []

    def check_light(self, config: CellSettings, acquisition: Acquisition) -> tuple[list[str], list[Diagnostic]]:
        """Rank the orientations of the light, the sign of the focus and shifts of the light's centre."""
        from .light_check import check_light

        return check_light(config, acquisition)

    def network_architecture(self) -> "type[CellDenoiser]":
        """Class of the modules of the network that completes a begun fit."""
        from .network.denoiser import CellDenoiser

        return CellDenoiser

    def benchmarks(self) -> "Sequence[Benchmark]":
        """Forward model, gradient and step of a fit, for each model of the scattering, and a small fit."""
        from .benchmarks import benchmarks

        return benchmarks(self)

    def likelihood(self, context: RunContext) -> "CellLikelihood":
        """Build the likelihood of the images."""
        from .likelihood import likelihood

        return likelihood(context.config, context.measurement)

    def series_likelihoods(self, contexts: Sequence[RunContext]) -> "list[Likelihood]":
        """Build the likelihoods of several acquisitions of one cell, under the choices that the first one leads to."""
        from .series import series_likelihoods

        return list(series_likelihoods(contexts))

    def check_series(
        self, context: RunContext, part: "Likelihood", numbers: Mapping[str, float]
    ) -> Mapping[str, float]:
        """Test one acquisition of a series by linear theory, as a fit of it alone is tested."""
        from .series import check_acquisition

        return check_acquisition(context, cast("CellLikelihood", part), numbers)

    def fit(self, context: RunContext) -> RunOutcome:
        """Fit a neural field, and test whether a specimen that is poorly explained absorbs."""
        from .linear_checks import require_linear_theory

        if context.config.fit.prior != "none":
            require_linear_theory(context.measurement, "fit.prior")
        return self._fit_from(context, self.likelihood(context))

    def _fit_from(self, context: RunContext, likelihood: "CellLikelihood") -> RunOutcome:
        """Fit a likelihood, and test the result by linear theory."""
        from .fit_checks import check_fit

        likelihood, outcome = self._fitted(context, likelihood)
        context.folder.remove_trials()
        settings = context.config.fit
        numbers = check_fit(likelihood, outcome.numbers, context.folder.path, settings.sign, settings.steps)
        return replace(outcome, numbers=numbers)

    def _fitted(self, context: RunContext, likelihood: "CellLikelihood") -> "tuple[CellLikelihood, RunOutcome]":
        """Fit the whole field of view, in tiles where it must be; returns the likelihood for tests after the fit."""
        from ...optimize.fit import fit_field
        from .choices import Choices
        from .tiled_fit import TiledFit, tiling_of_run

        tiling = tiling_of_run(likelihood, context)
        if tiling is not None:
            return TiledFit(likelihood, tiling, context).run(self.compare_with_truth)
        choices = Choices(likelihood, context)
        choices.make()
        outcome = fit_field(choices.likelihood, context, self.compare_with_truth, choices.begun)
        return choices.likelihood, replace(outcome, numbers=dict(outcome.numbers) | choices.numbers)

    def train(self, context: RunContext) -> RunOutcome:
        """Train a network on simulated specimens."""
        from .network.train import train

        return train(context)

    def validation_summary(self, numbers: Mapping[str, float]) -> str:
        """Summarise a network's gain over begun fits of held-out specimens."""
        return summary.validation_summary(numbers)

    def predict(self, context: RunContext) -> RunOutcome:
        """Complete a begun fit, or the linear answer, by a network, and refine it by a fit if asked."""
        from .network.predict import predict

        return predict(context, self.compare_with_truth, self._fit_from)

    def input_files(self, method: str, config: CellSettings) -> dict[str, Path]:
        """Files of networks: that of the prior of a fit, or that of a prediction."""
        from ...io.network_file import path_of, read

        files = super().input_files(method, config)
        if config.fit.prior == "none" or not (method == "fit" or (method == "predict" and config.predict.refine)):
            return files
        read(config.fit.prior, self.name)
        return files | {"fit.prior": path_of(config.fit.prior, self.name)}

    def remarks(self, method: str, config: CellSettings, acquisition: Acquisition) -> tuple[list[str], list[str]]:
        """Network that a fit uses with the views that test it, and a depth far larger than the images."""
        from .geometry import depth_doubts
        from .network_remarks import remarks

        notes, warnings = remarks(method, config, acquisition)
        return notes, warnings + (depth_doubts(config, acquisition) if method == "fit" else [])

    def evaluate(
        self,
        result: "Sampled",
        truth: Volume,
        *,
        register: bool = False,
        names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> Evaluation:
        """Compare the refractive index with the truth, with and without the missing cone."""
        from .evaluate import score

        return Evaluation(score(result, truth, register=register))

    def measure(self, volume: Volume, *, level: float | None = None, features: str = "standard") -> Table:
        """Measure size, index and dry mass."""
        from .measure import measure

        return measure(volume, level=level, features=features)

    def surface_level(self, volume: Volume) -> tuple[str, float | None]:
        """Choose the refractive index on the surface."""
        from .measure import surface_level

        return surface_level(volume)

    def recognizes(self, volume: Volume) -> bool:
        """Whether a volume is a refractive index, by its name or its numbers."""
        from .identify import recognizes

        return recognizes(volume)

    def identify(self, volume: Volume) -> Volume:
        """Take the only quantity of another program's volume as a refractive index."""
        from .identify import identify

        return identify(volume)

    def assess(self, numbers: Mapping[str, float]) -> list[Reason]:
        """List the reasons to doubt a result, from the numbers of ``metrics.json``."""
        return assess(numbers)

    def summary_line(self, numbers: Mapping[str, float]) -> str:
        """Summarise the residual of the images."""
        return summary.summary_line(numbers)

    def summary_lines(self, numbers: Mapping[str, float]) -> list[str]:
        """Accuracy of a result where the truth is known."""
        return summary.summary_lines(numbers)

    def comparison_figure(
        self, truth: Volume, result: "Sampled", names: tuple[str, str] = ("truth", "result")
    ) -> "Figure":
        """Draw the fitted index beside the true one."""
        from ...visualization.comparison import compare_volumes

        return compare_volumes(truth, result, names=names)

    def figure_under_light(
        self, result: "Sampled", na: tuple[float, float], defocus: float, limits: tuple[float, float] | None
    ) -> "Figure":
        """Draw the image of a model under light that was not measured."""
        from ...model import Model
        from .new_light import light_figure

        if not isinstance(result, Model):
            raise ConfigError(
                "--style light needs a model: a volume does not tell its microscope; name the run or its model.h5"
            )
        return light_figure(result, na, defocus=defocus, limits=limits)

    def report_findings(self, run: "RunData") -> "list[Finding]":
        """Judge a fit by the withheld views, by the linear reconstruction, and by a known truth."""
        from .report import report_findings

        return report_findings(run)

    def report_figures(self, run: "RunData") -> "list[DeferredFigure]":
        """Figures of a fit."""
        from .report import report_figures

        return report_figures(run)

    def view_panels(self, subject: "PanelSubject") -> "list[Panel]":
        """Image under light of the user's choosing, and the views."""
        from .panels import view_panels

        return view_panels(subject)
