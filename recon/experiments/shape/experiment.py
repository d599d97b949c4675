"""The ``shape`` kind of experiment. Modules that need jax are imported when a method is called."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...acquisition import Acquisition
from ...errors import ConfigError, DataError, Diagnostic
from ...io.table import Table
from ...metrics import register_metrics
from ...runs.context import Progress, RunContext, RunOutcome, silent
from ...runs.estimate import Estimate
from ...runs.verdict import Reason
from ...sampled import Quantity
from ...volume import Volume
from ..base import Experiment
from ..evaluation import Comparison, Evaluation
from . import summary, verdict
from .config import ShapeSettings
from .metrics import METRICS
from .questions import QUESTIONS
from .schema import OCCUPANCY, SCHEMA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...benchmarking.case import Benchmark
    from ...grid import Grid
    from ...io.inspect import Describer
    from ...model import Model
    from ...sampled import Sampled
    from ...visualization.measures import Measures
    from ...visualization.panels import Panel, PanelSubject
    from ...visualization.report_figures import DeferredFigure
    from ...visualization.run_data import RunData
    from ...visualization.summary import Finding
    from ...visualization.surface_scene import SurfaceScene
    from ..plan import Plan
    from .network.denoiser import ShapeDenoiser

register_metrics(METRICS)


class ShapeExperiment(Experiment):
    """3D shapes that a cell may have, from one picture of a section and its mask."""

    name = "shape"
    description = "3D shapes that a cell may have, from one picture of a section and its mask"
    Config = ShapeSettings
    schema = SCHEMA
    quantities = (Quantity("signed_distance", "m", "distance to the surface, negative inside"),)
    default_method = "predict"
    label_quantity = OCCUPANCY
    memory_remedy = "predict fewer cells at once (acquisition.cells), or fewer draws"
    questions = QUESTIONS
    main_numbers = ("cells", "draws", "section", "volume_of_consensus", "volume_of_consensus_voxels", "overlap_error")

    def read(self, config: ShapeSettings, path: Path) -> Acquisition:
        """Read pictures and masks of cells, all on one grid, at the pixel size of the network where they fit."""
        from .network.picture_quality import resampled_pixel
        from .read import read

        return read(config, path, resampled_pixel(config))

    def convert(self, config: ShapeSettings, path: Path, output: Path) -> None:
        """Read pictures and masks of cells, and write them with their own pixels."""
        unsampled = config.predict.model_copy(update={"resample": False})
        super().convert(config.model_copy(update={"predict": unsampled}), path, output)

    def describers(self) -> "tuple[Describer, ...]":
        """Description of folders of sections."""
        from .section_files import describe_folder

        return (describe_folder,)

    def validate(self, acquisition: Acquisition) -> list[Diagnostic]:
        """List the faults that no section of a cell can have."""
        from .validate import validate

        return validate(acquisition)

    def simulate(self, config: ShapeSettings, progress: Progress = silent) -> Acquisition:
        """Simulate sections of red blood cells."""
        from .simulate import simulate

        return simulate(config, progress)

    def estimate(self, config: ShapeSettings, acquisition: Acquisition | None) -> Estimate:
        """Estimate memory and time of a prediction."""
        from .estimate import estimate

        return estimate(config, acquisition)

    def plan(self, config: ShapeSettings, acquisition: Acquisition | None) -> "Plan":
        """Plan pixels, detail, and the spread that one section leaves."""
        from .plan import plan

        return plan(config, acquisition)

    def remarks(self, method: str, config: ShapeSettings, acquisition: Acquisition) -> tuple[list[str], list[str]]:
        """Training of the network, and cells that it does not suit."""
        if method != "predict":
            return [], []
        from .network.remarks import remarks

        return remarks(config, acquisition)

    def benchmarks(self) -> "Sequence[Benchmark]":
        """Step of the network's flow, and a small prediction."""
        from .benchmarks import benchmarks

        return benchmarks(self)

    def predict(self, context: RunContext) -> RunOutcome:
        """Draw shapes from a network, and refine them through the image formation if asked."""
        from .network.predict import predict

        return predict(context)

    def train(self, context: RunContext) -> RunOutcome:
        """Train a network on cells of known shape, real and simulated."""
        from .network.train import train

        return train(context)

    def network_architecture(self) -> "type[ShapeDenoiser]":
        """Class of the modules of the network that draws shapes."""
        from .network.denoiser import ShapeDenoiser

        return ShapeDenoiser

    def input_files(self, method: str, config: ShapeSettings) -> dict[str, Path]:
        """Files that decide a result: the network, the point-spread function, the cells of a training."""
        files = super().input_files(method, config)
        if method == "predict" and config.predict.psf is not None:
            from ...io.volume_formats import read_volume

            files["predict.psf"] = _existing("predict.psf", config.predict.psf)
            read_volume(config.predict.psf)  # Refused in time if it is none.
        if method == "train" and config.train.data is not None:
            files["train.data"] = _existing("train.data", config.train.data)
        return files

    def growing_settings(self, method: str, config: ShapeSettings) -> tuple[str, ...]:
        """Steps of the last part of a training; nothing of a cross-validation.

        Finished parts, networks of a cross-validation or a network before its distillation, keep only their weights
        and could not be continued.
        """
        if method != "train":
            return super().growing_settings(method, config)
        if config.train.folds:
            return ()
        return ("train.distil",) if config.train.distil else ("train.steps",)

    def evaluate(
        self,
        result: "Sampled",
        truth: Volume,
        *,
        register: bool = False,
        names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> Evaluation:
        """Compare draws with the truth, cell by cell and class by class."""
        from .evaluate import evaluate

        if register:
            raise ConfigError("shapes stand where their section is: they are not registered")
        many = evaluate(result, truth, names, labels)
        return Evaluation(many.numbers, many.cells, many.classes)

    def evaluate_many(self, pairs: Sequence[Comparison], *, register: bool = False) -> Evaluation:
        """Compare several shapes with the truth, in one table of cells and one of classes."""
        from .evaluate import evaluate_many

        if register:
            raise ConfigError("shapes stand where their section is: they are not registered")
        many = evaluate_many(pairs)
        return Evaluation(many.numbers, many.cells, many.classes)

    def recognizes(self, volume: Volume) -> bool:
        """Whether a volume is a shape by its name, or its numbers are those of a mask, of labels or of shares."""
        from .identify import recognizes

        return recognizes(volume)

    def identify(self, volume: Volume) -> Volume:
        """Take the only quantity of another program's volume as an occupancy, or as a signed distance."""
        from .identify import identify

        return identify(volume)

    @contextmanager
    def open_volumes(self, path: Path) -> Iterator[Mapping[str, Path] | None]:
        """Open the volumes in ``obj/`` of a folder or an archive of sections."""
        from .true_volumes import open_volumes

        with open_volumes(path) as files:
            yield files

    def label_of(self, name: str) -> str:
        """Class of a cell, which its name begins with."""
        from .section_files import class_of

        return class_of(name)

    def read_truth(self, path: Path, config: Path) -> Volume | None:
        """Read the volumes of a folder or archive of sections, all cells, with the voxel and grid of the run."""
        from ..configs import load_config
        from .section_files import is_sections

        if not is_sections(path):
            return None
        settings: Any = load_config(config, ["acquisition.cells=all"]) if config.is_file() else self.default_config()
        truth: Volume | None = self.read(settings, path).truth
        if truth is None:
            remedy = "put the volumes into obj/, one of each name"
            raise DataError(Diagnostic(str(path), "holds pictures and masks, and no truth", remedy))
        return truth

    def measure(self, volume: Volume, *, level: float | None = None, features: str = "standard") -> Table:
        """Measure the morphology of one shape."""
        from .measure import measure

        return measure(volume, level=level, features=features)

    def feature_grid(self, model: "Model", features: str) -> "Grid | None":
        """Grid of SHAPR's features; None for the others."""
        from .measure import feature_grid

        return feature_grid(model, features)

    def assess(self, numbers: Mapping[str, float]) -> list[Reason]:
        """Judge shapes by the doubtful cells among them."""
        return verdict.assess(numbers)

    def summary_line(self, numbers: Mapping[str, float]) -> str:
        """Summarise the number of shapes and their agreement with the masks."""
        return summary.summary_line(numbers)

    def summary_lines(self, numbers: Mapping[str, float]) -> list[str]:
        """Volume, refinement, and accuracy where the truth is known."""
        return summary.summary_lines(numbers)

    def validation_summary(self, numbers: Mapping[str, float]) -> str:
        """Summarise a network's accuracy on held-out cells."""
        return summary.validation_summary(numbers)

    def comparison_figure(
        self, truth: Volume, result: "Sampled", names: tuple[str, str] = ("truth", "result")
    ) -> "Figure":
        """Draw the surfaces of the shapes beside the true ones, and planes with both."""
        from .comparison_figure import draw_comparison

        return draw_comparison(truth, result, names)

    def report_findings(self, run: "RunData") -> "list[Finding]":
        """Judge shapes by their section, their spread, and a known truth."""
        from .report import report_findings

        return report_findings(run)

    def verdict_remark(self, run: "RunData") -> str:
        """Count the doubtful cells of a run of several."""
        from .report import verdict_remark

        return verdict_remark(run)

    def report_figures(self, run: "RunData") -> "list[DeferredFigure]":
        """Surfaces, sections, and the spread of the draws."""
        from .report import report_figures

        return report_figures(run)

    def view_panels(self, subject: "PanelSubject") -> "list[Panel]":
        """Section of a draw against picture and mask."""
        from .panels import view_panels

        return view_panels(subject)

    def report_scene(self, run: "RunData") -> "SurfaceScene | None":
        """Surface of the consensus of each shown cell."""
        from .report import report_scene

        return report_scene(run)

    def report_measures(self, run: "RunData") -> "Measures | None":
        """Volumes of the cells and their spread."""
        from .report import report_measures

        return report_measures(run)


def _existing(setting: str, name: str | Path) -> Path:
    """Path that a setting names.

    Raises:
        ConfigError: If nothing is there.
    """
    if not Path(name).exists():
        raise ConfigError(Diagnostic(setting, f"{str(name)!r} is not there", "check the path"))
    return Path(name)
