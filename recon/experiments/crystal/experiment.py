"""The ``crystal`` kind of experiment. Modules that need jax are imported when a method is called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...acquisition import Acquisition
from ...errors import Diagnostic
from ...io.table import Table
from ...metrics import register_metrics
from ...runs.context import Progress, RunContext, RunOutcome, silent
from ...runs.estimate import Estimate
from ...runs.verdict import Reason
from ...sampled import Quantity
from ...volume import Volume
from ..base import Experiment
from ..evaluation import Evaluation
from . import summary
from .config import CrystalSettings
from .metrics import METRICS
from .questions import QUESTIONS
from .schema import SCHEMA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...benchmarking.case import Benchmark
    from ...io.open import Reader
    from ...optimize.likelihood import Likelihood
    from ...sampled import Sampled
    from ...visualization.panels import Panel, PanelSubject
    from ...visualization.report_figures import DeferredFigure
    from ...visualization.run_data import RunData
    from ...visualization.summary import Finding
    from ...visualization.surface_scene import SurfaceScene
    from ..learner import Learner
    from ..plan import Plan
    from ..preview import Previewer
    from .likelihood import CrystalLikelihood
    from .network.denoiser import CrystalDenoiser

register_metrics(METRICS)


class CrystalExperiment(Experiment):
    """Density and strain of a crystal from a rocking curve of its Bragg diffraction."""

    name = "crystal"
    description = "density and strain of a crystal, from a rocking curve of its Bragg diffraction"
    Config = CrystalSettings
    schema = SCHEMA
    quantities = (
        Quantity("amplitude", "1", "density of the crystal's lattice"),
        Quantity("phase", "rad", "phase of the density, -G.u"),
        Quantity("displacement", "m", "displacement of the lattice along G"),
        Quantity("strain", "1", "change of the displacement along G"),
        Quantity("occupancy", "1", "0 outside the crystal, 1 inside"),
    )
    default_method = "phase"
    series_moves = False
    memory_remedy = "crop or bin the patterns (acquisition.crop, acquisition.bin), or use a machine with more memory"
    questions = QUESTIONS
    main_numbers = ("llk_free", "llk", "chi_rms", "agreement", "prtf_resolution", "strain_rms", "correlation")

    def read(self, config: CrystalSettings, path: Path) -> Acquisition:
        """Read counts along a rocking curve with mask and geometry."""
        from .read import read

        return read(config, path)

    def convert(self, config: CrystalSettings, path: Path, output: Path) -> None:
        """Write a rocking curve in our own format, frame by frame where it is large."""
        from .convert import convert

        convert(config, path, output)

    def combine(
        self, config: CrystalSettings, paths: Sequence[Path], output: Path, progress: Progress = silent
    ) -> list[str]:
        """Sum scans of one peak after alignment, and write the sum."""
        from .convert import convert_sum

        return convert_sum(config, paths, output, progress)

    def readers(self) -> "tuple[Reader, ...]":
        """Reader of raw scans of 34-ID-C."""
        from .aps_34idc import READER

        return (READER,)

    def validate(self, acquisition: Acquisition) -> list[Diagnostic]:
        """List the faults that no rocking curve can have."""
        from .validate import validate

        return validate(acquisition)

    def simulate(self, config: CrystalSettings, progress: Progress = silent) -> Acquisition:
        """Simulate the rocking curve of a phantom."""
        from .simulate import simulate

        return simulate(config, progress)

    def derive(self, config: CrystalSettings, acquisition: Acquisition) -> Acquisition:
        """Derive the steps of q and the order of the frames from the angles of the circles."""
        from .read import derive_geometry

        return derive_geometry(config, acquisition)

    def estimate(self, config: CrystalSettings, acquisition: Acquisition | None) -> Estimate:
        """Estimate memory and time of phase retrieval."""
        from .estimate import estimate

        return estimate(config, acquisition)

    def require_series(self, config: CrystalSettings, acquisitions: Sequence[Acquisition]) -> None:
        """Refuse rocking curves of several sizes or geometries."""
        from .series_checks import require_series

        require_series(config, acquisitions)

    def estimate_series(self, config: CrystalSettings, acquisitions: Sequence[Acquisition]) -> Estimate:
        """Estimate memory and time of a series: phasing of every curve, and steps of the fit."""
        from .estimate import estimate_series

        return estimate_series(config, acquisitions)

    def plan(self, config: CrystalSettings, acquisition: Acquisition | None) -> "Plan":
        """Plan resolution, oversampling, counts and cost."""
        from .plan import plan

        return plan(config, acquisition)

    def likelihood(self, context: RunContext) -> "CrystalLikelihood":
        """Build the likelihood of the counts; its initial guess may be phased first."""
        from .likelihood import likelihood

        return likelihood(context.config, context.measurement, context)

    def series_likelihoods(self, contexts: Sequence[RunContext]) -> "list[Likelihood]":
        """Build the likelihoods of several acquisitions of one crystal, from initial guesses that are aligned."""
        from .series import series_likelihoods

        return list(series_likelihoods(contexts))

    def benchmarks(self) -> "Sequence[Benchmark]":
        """Iterations of projections and of the refinement, a step of the network's flow, and a small phasing."""
        from .benchmarks import benchmarks

        return benchmarks(self)

    def phase(self, context: RunContext) -> RunOutcome:
        """Retrieve the phase from many starts."""
        from .phase import phase

        return phase(context)

    def predict(self, context: RunContext) -> RunOutcome:
        """Draw densities from a network, and refine them through the physics if asked."""
        from .network.predict import predict

        return predict(context)

    def train(self, context: RunContext) -> RunOutcome:
        """Train a network on simulated crystals."""
        from .network.train import train

        return train(context)

    def previewer(self, config: CrystalSettings) -> "Previewer":
        """Build the maker of previews of a rocking curve of which frames are still to come."""
        from .network.preview import CurvePreviewer

        return CurvePreviewer(config)

    def learner(self, config: CrystalSettings) -> "Learner":
        """Build the learner that tunes the network to the measured moduli."""
        from .network.learn import CrystalLearner

        return CrystalLearner(config)

    def network_architecture(self) -> "type[CrystalDenoiser]":
        """Class of the modules of the network that draws densities."""
        from .network.denoiser import CrystalDenoiser

        return CrystalDenoiser

    def input_files(self, method: str, config: CrystalSettings) -> dict[str, Path]:
        """Files of networks: phasing takes some of its starts from that of predict."""
        return super().input_files("predict" if method == "phase" and config.phase.network_count else method, config)

    def initial_guess_file(self, config: CrystalSettings) -> Path | None:
        """File of the density that ``fit.start`` names."""
        from .initial_guess_file import resolve_start_file

        return resolve_start_file(config)

    def starts_warm(self, method: str, config: CrystalSettings) -> bool:
        """Phasing can, as the withheld pixels decide between its starts; so can a fit that phases first."""
        return method == "phase" or (method == "fit" and config.fit.start == "phase")

    def evaluate(
        self,
        result: "Sampled",
        truth: Volume,
        *,
        register: bool = False,
        names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> Evaluation:
        """Compare the density with the truth, without the trivial ambiguities."""
        from .evaluate import score

        return Evaluation(score(result, truth, register=register))

    def measure(self, volume: Volume, *, level: float | None = None, features: str = "standard") -> Table:
        """Measure size, strain and the sharpness of the faces."""
        from .measure import measure

        return measure(volume, level=level, features=features)

    def surface_level(self, volume: Volume) -> tuple[str, float | None]:
        """Choose the amplitude on the surface."""
        from .measure import surface_level

        return "amplitude", surface_level(volume)

    def recognizes(self, volume: Volume) -> bool:
        """Whether a volume is a density or an amplitude, by its name or as complex numbers."""
        from .identify import recognizes

        return recognizes(volume)

    def identify(self, volume: Volume) -> Volume:
        """Take the only quantity of another program's volume as a density or an amplitude."""
        from .identify import identify

        return identify(volume)

    def assess(self, numbers: Mapping[str, float]) -> list[Reason]:
        """List the reasons to doubt a result: misfit beyond noise, solutions that differ, an uneven crystal, bounds."""
        from .verdict import assess

        return assess(numbers)

    def summary_line(self, numbers: Mapping[str, float]) -> str:
        """Summarise the likelihood of the counts."""
        return summary.summary_line(numbers)

    def summary_lines(self, numbers: Mapping[str, float]) -> list[str]:
        """Agreement of the solutions, doubts, and accuracy where the truth is known."""
        return summary.summary_lines(numbers)

    def validation_summary(self, numbers: Mapping[str, float]) -> str:
        """Summarise a network's accuracy on held-out crystals."""
        return summary.validation_summary(numbers)

    def comparison_figure(
        self, truth: Volume, result: "Sampled", names: tuple[str, str] = ("truth", "result")
    ) -> "Figure":
        """Draw the amplitude beside the true one, aligned with it."""
        from .figures import draw_comparison

        return draw_comparison(truth, result, names)

    def report_findings(self, run: "RunData") -> "list[Finding]":
        """Judge a result by likelihood, agreement, resolution, and a known truth."""
        from .report import report_findings

        return report_findings(run)

    def report_figures(self, run: "RunData") -> "list[DeferredFigure]":
        """Planes of the crystal, its diffraction, and the agreement of the solutions."""
        from .report import report_figures

        return report_figures(run)

    def view_panels(self, subject: "PanelSubject") -> "list[Panel]":
        """Diffraction on the stored planes, and the far field frame by frame."""
        from .panels import view_panels

        return view_panels(subject)

    def report_scene(self, run: "RunData") -> "SurfaceScene | None":
        """Surface of the crystal, with the colours of its strain."""
        from .report import report_scene

        return report_scene(run, self.surface_level)
