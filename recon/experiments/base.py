"""Experiment: the base class of every kind of experiment.

A kind is described in one place: the settings and arrays that it reads, its simulation, the likelihood of its
measurements, the methods that reconstruct it, and its report. Commands, the fit and the reports work through this class
and know no kind by name. The methods of a subclass import their modules when they are called, so that `unflat --help`,
`init`, `check` and `info` import no jax.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..acquisition import Acquisition
from ..config.base import KindSettings
from ..config.entries import Entry
from ..errors import ConfigError, DataError, Diagnostic
from ..runs.context import Progress, RunContext, RunOutcome, silent
from ..runs.estimate import PROGRAM_BYTES, Estimate, base_estimate
from ..runs.verdict import Reason
from ..sampled import Quantity
from ..volume import Volume
from .evaluation import Comparison, Evaluation, evaluate_each
from .methods import METHODS, RECONSTRUCTIONS, Method
from .presentation import Presentation
from .questions import Question

if TYPE_CHECKING:
    from ..benchmarking.case import Benchmark
    from ..grid import Grid
    from ..io.inspect import Describer
    from ..io.open import Reader
    from ..io.table import Table
    from ..model import Model
    from ..networks.weights import Archived
    from ..optimize.likelihood import Likelihood
    from ..sampled import Sampled
    from .learner import Learner
    from .plan import Plan
    from .preview import Previewer


class Experiment(Presentation):
    """A kind of experiment.

    Attributes:
        name: Name of the kind, as in ``kind:`` of a config.
        description: One line for help texts.
        Config: Settings of the kind.
        schema: Arrays that an acquisition of the kind holds.
        quantities: Quantities of a result at each point; the first is the main one.
        default_method: Method that ``unflat demo`` runs.
        memory_remedy: Advice for a run that this machine cannot hold.
        main_numbers: Numbers of ``metrics.json`` that a table of many results shows, in order.
        questions: Questions that ``unflat init`` asks at a terminal, on the settings that matter most.
        series_moves: Whether a measurement tells how a specimen moves as a whole in a series.
        label_quantity: Quantity of a specimen that is one label of a stack, 1 inside; None where labels are none.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    Config: ClassVar[type[KindSettings]]
    schema: ClassVar[tuple[Entry, ...]]
    quantities: ClassVar[tuple[Quantity, ...]]
    default_method: ClassVar[str] = "fit"
    memory_remedy: ClassVar[str] = "use a machine with more memory"
    main_numbers: ClassVar[tuple[str, ...]] = ()
    series_moves: ClassVar[bool] = True
    label_quantity: ClassVar[Quantity | None] = None
    questions: ClassVar[tuple[Question, ...]] = ()

    def default_config(self) -> KindSettings:
        """Settings with their defaults."""
        return self.Config(kind=self.name)

    # Measurements

    @abstractmethod
    def read(self, config: Any, path: Path) -> Acquisition:
        """Read the acquisition that a config names or describes, cropped and selected as it says.

        Raises:
            DataError: With every fault of the file.
        """

    def convert(self, config: Any, path: Path, output: Path) -> None:
        """Read an acquisition and write it in our own format.

        Raises:
            DataError: With every fault of the file, or if the disk refuses.
        """
        from ..io.write import write

        write(self.read(config, path), self.schema, output)

    def combine(self, config: Any, paths: Sequence[Path], output: Path, progress: Progress = silent) -> list[str]:
        """Combine several acquisitions of one specimen into one, and write it in our own format.

        Returns:
            Sentences on each of them and on the result.

        Raises:
            ConfigError: If the kind has no way to combine acquisitions.
            DataError: With every fault of the files, or if the disk refuses.
        """
        message = f"{len(paths)} files are given, and one of the kind {self.name!r} is converted at a time"
        remedy = "convert them one by one, or put a pattern of images into quotes; another --kind may combine files"
        raise ConfigError(Diagnostic("FILE", message, remedy))

    def readers(self) -> "tuple[Reader, ...]":
        """Readers of formats that only this kind knows, such as a beamline's raw scans."""
        return ()

    def describers(self) -> "tuple[Describer, ...]":
        """Functions that describe such formats for ``unflat info``, where they are no tree of arrays."""
        return ()

    def validate(self, acquisition: Acquisition) -> list[Diagnostic]:
        """List the faults of an acquisition that follow from physics, such as an aperture above the medium's index."""
        return []

    @abstractmethod
    def simulate(self, config: Any, progress: Progress = silent) -> Acquisition:
        """Simulate an acquisition with its truth, with the arrays that its file has."""

    def derive(self, config: Any, acquisition: Acquisition) -> Acquisition:
        """Derive what `read` derives from the arrays of a file, for a simulated acquisition that was not written."""
        return acquisition

    def estimate(self, config: Any, acquisition: Acquisition | None) -> Estimate:
        """Estimate memory and time of a run from shapes alone; without an acquisition, of the program itself."""
        if acquisition is None:
            return base_estimate()
        return Estimate(PROGRAM_BYTES, 0.0, [f"the kind {self.name!r} gives no estimate of memory and time"])

    def require_series(self, config: Any, acquisitions: Sequence[Acquisition]) -> None:
        """Refuse acquisitions that cannot be one series, by their shapes and settings alone.

        Raises:
            ConfigError: If the kind fits no series, or a setting holds for none.
            DataError: If the acquisitions differ in what they must share.
        """
        message = f"experiments of the kind {self.name!r} are fitted one by one"
        raise ConfigError(Diagnostic("--series", message, "leave out --series"))

    def estimate_series(self, config: Any, acquisitions: Sequence[Acquisition]) -> Estimate:
        """Estimate memory and time of the fit of a series from shapes alone."""
        largest = max(acquisitions, key=lambda acquisition: acquisition.nbytes)
        sizes = [acquisition.nbytes for acquisition in acquisitions]
        trials = config.fit.series_trial_steps / config.fit.steps
        return self.estimate(config, largest).of_series(sizes, trials)

    def plan(self, config: Any, acquisition: Acquisition | None) -> "Plan":
        """Plan an experiment from its geometry alone: resolution, parts of Fourier space, counts, cost.

        Args:
            config: The config.
            acquisition: Measurement whose geometry is planned; None for the geometry that the config describes.

        Raises:
            ConfigError: If the kind has no plan, or a part of the geometry is missing.
        """
        raise ConfigError(Diagnostic("kind", f"experiments of the kind {self.name!r} have no plan"))

    def missing_settings(self, config: Any) -> list[Diagnostic]:
        """List the settings without a value that every measurement needs, and only a simulated one holds itself."""
        return []

    def benchmarks(self) -> "Sequence[Benchmark]":
        """List the hot functions of the kind that ``unflat bench`` measures; it imports jax."""
        return ()

    def remarks(self, method: str, config: Any, acquisition: Acquisition) -> tuple[list[str], list[str]]:
        """Notes and warnings on a method's use for a measurement, before it begins.

        Args:
            method: ``fit``, ``phase`` or ``predict``.
            config: The config.
            acquisition: Acquisition without faults.

        Raises:
            DataError: If a file that the config names is damaged.
        """
        return [], []

    def check_light(self, config: Any, acquisition: Acquisition) -> tuple[list[str], list[Diagnostic]]:
        """Compare the described light with other descriptions by how well they explain a measurement.

        Returns:
            Lines to print, and the faults of the description.

        Raises:
            ConfigError: If the light of the measurement cannot be compared.
        """
        raise ConfigError(Diagnostic("kind", f"the light of a {self.name} has no orientation to compare"))

    # Methods: a kind offers those whose hook it overrides.

    def likelihood(self, context: RunContext) -> "Likelihood":
        """Build the likelihood of a measurement: its grid, its loss, its initial guess."""
        raise NotImplementedError

    def series_likelihoods(self, contexts: Sequence[RunContext]) -> "list[Likelihood]":
        """Build the likelihood of each acquisition of a series, all on one grid, with the same outputs.

        Raises:
            ConfigError: If the physics that the config names does not hold for an acquisition.
        """
        raise NotImplementedError

    def check_series(
        self, context: RunContext, part: "Likelihood", numbers: Mapping[str, float]
    ) -> Mapping[str, float]:
        """Complete the numbers of one acquisition of a series by those that a fit of it alone has besides.

        Args:
            context: Config and folder of the run, whose fit has ended.
            part: Likelihood of the acquisition.
            numbers: Numbers of its result.
        """
        return numbers

    def fit(self, context: RunContext) -> RunOutcome:
        """Fit a neural field to a measurement through its `likelihood`."""
        from ..optimize.fit import fit_field

        return fit_field(self.likelihood(context), context, self.compare_with_truth)

    def phase(self, context: RunContext) -> RunOutcome:
        """Retrieve the phase of a measurement by iterative projections."""
        raise NotImplementedError

    def predict(self, context: RunContext) -> RunOutcome:
        """Apply a trained network to a measurement."""
        raise NotImplementedError

    def train(self, context: RunContext) -> RunOutcome:
        """Train a network on specimens of known truth."""
        raise NotImplementedError

    def offers(self, method: str) -> bool:
        """Whether the kind offers a method."""
        hook = METHODS[method].hook
        return getattr(type(self), hook) is not getattr(Experiment, hook)

    def require(self, method: str) -> Method:
        """Look up a method.

        Raises:
            ConfigError: If the kind does not offer it.
        """
        if self.offers(method):
            return METHODS[method]
        others = [f"unflat {name}" for name in RECONSTRUCTIONS if self.offers(name)]
        takes = "which takes" if len(others) == 1 else "which take"
        remedy = f"use {' or '.join(others)}, {takes} the same config and acquisition" if others else ""
        raise ConfigError(Diagnostic("kind", METHODS[method].missing.format(kind=self.name), remedy))

    def input_files(self, method: str, config: Any) -> dict[str, Path]:
        """Files beside the acquisition whose contents decide the result of a method, by their setting.

        Raises:
            ConfigError: If one is absent.
            DataError: If one is not of the format that it should be.
        """
        from ..io.network_file import path_of, read, teacher_path

        if method == "predict":
            read(config.predict.network, self.name)
            return {"predict.network": path_of(config.predict.network, self.name)}
        if method == "train" and config.train.network is not None:
            path = teacher_path(config.train.network, self.name)
            read(path, self.name)
            return {"train.network": path}
        return {}

    def initial_guess_file(self, config: Any) -> Path | None:
        """File of another result that a fit begins with, checked; None where the config names none."""
        return None

    def previewer(self, config: Any) -> "Previewer | None":
        """Build the maker of previews of a measurement that is under way; None where all of it is needed."""
        return None

    def learner(self, config: Any) -> "Learner | None":
        """Build the learner that tunes the network to measurements; None where it needs specimens of known truth."""
        return None

    def network_architecture(self) -> "type[Archived] | None":
        """Class of the modules of the kind's network; None where it has none."""
        return None

    def starts_warm(self, method: str, config: Any) -> bool:
        """Whether a method can begin with the result of another scan (``RunContext.warm_start``)."""
        return False

    def growing_settings(self, method: str, config: Any) -> tuple[str, ...]:
        """Settings that may be larger when a run goes on."""
        return {"fit": ("fit.steps",), "train": ("train.steps",)}.get(method, ())

    # Results

    @abstractmethod
    def evaluate(
        self,
        result: "Sampled",
        truth: Volume,
        *,
        register: bool = False,
        names: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> Evaluation:
        """Compare a result with the truth.

        Args:
            result: Model or volume.
            truth: Specimen as it is.
            register: Whether to move the result onto the truth first.
            names: Names of the truth's specimens, where it holds several and does not name them itself.
            labels: Classes of the truth's specimens, likewise.

        Raises:
            ConfigError: If the comparison asked for is not defined for the kind.
            DataError: If the two cannot be compared.
        """

    def evaluate_many(self, pairs: Sequence[Comparison], *, register: bool = False) -> Evaluation:
        """Compare several results with the truth, one by one.

        Args:
            pairs: Results with the truth of the same specimens.
            register: Whether to move each result onto the truth first.

        Returns:
            Means of all numbers, and a row for each specimen.

        Raises:
            DataError: If two cannot be compared, with the specimen's name.
        """
        return evaluate_each(pairs, lambda pair: self.evaluate(pair.result, pair.truth, register=register).numbers)

    def read_truth(self, path: Path, config: Path) -> Volume | None:
        """Read the truth from a format that only this kind reads.

        Args:
            path: File, folder or archive.
            config: Config of the run whose result is compared; it may be absent.

        Returns:
            The specimens; None where the path is of another format.

        Raises:
            DataError: If it is of that format, and holds no truth.
        """
        return None

    def recognizes(self, volume: Volume) -> bool:
        """Whether the quantities of a volume by their names, or the numbers of its only one, are of this kind."""
        return any(quantity.name in volume.values for quantity in self.quantities)

    def identify(self, volume: Volume) -> Volume:
        """Give the quantity of another program's volume the name that it has in this kind, and check its numbers.

        Raises:
            ConfigError: If an option is needed to understand them.
            DataError: If they are none of this kind.
        """
        return volume

    @contextmanager
    def open_volumes(self, path: Path) -> Iterator[Mapping[str, Path] | None]:
        """Open a collection of specimens of known shape in a layout that only this kind knows.

        Yields:
            File of each volume by the specimen's name; None where the path is of another form.
        """
        yield None

    def label_of(self, name: str) -> str:
        """Class of a specimen by its name; empty if unknown."""
        return ""

    def compare_with_truth(self, result: "Sampled", truth: Volume | None) -> dict[str, float]:
        """Evaluate a new result against the truth of a simulated acquisition; empty where that cannot be done."""
        import logging

        if truth is None:
            return {}
        try:
            return dict(self.evaluate(result, truth).numbers)
        except DataError as error:  # The result is none the worse for it.
            logging.getLogger(__name__).warning("not compared with the truth: %s", error)
            return {}

    def measure(self, volume: Volume, *, level: float | None = None, features: str = "standard") -> "Table":
        """Measure one specimen without a truth, as a table of one row.

        Args:
            volume: Sampled specimen.
            level: Value on its surface; chosen by the kind if absent.
            features: Name of a set of features.
        """
        raise ConfigError(Diagnostic("kind", f"there are no measures of a {self.name}"))

    def feature_grid(self, model: "Model", features: str) -> "Grid | None":
        """Grid on which a set of features samples a model; None for the model's own."""
        return None

    def surface_level(self, volume: Volume) -> tuple[str, float | None]:
        """Choose the surface of a specimen: its quantity, and the value on it; None for 0 or the middle of the range.

        Raises:
            DataError: If the volume has no quantity with a surface.
        """
        from ..metrics.morphology.volume_surface import surface_quantity

        return surface_quantity(volume), None

    def assess(self, numbers: Mapping[str, float]) -> list[Reason]:
        """List the reasons to doubt a result, from the numbers of ``metrics.json``; none for a sound one."""
        return []
