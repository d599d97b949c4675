"""Public API: read, fit, phase, predict, simulate, evaluate, load. The commands call it; notebooks may.

Nothing here switches on a kind of experiment, and nothing needs a folder until a result is saved.
"""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import Parameter, signature
from os import PathLike
from pathlib import Path
from typing import Any

from .acquisition import Acquisition
from .config import with_overrides
from .config.base import KindSettings
from .errors import ConfigError, Diagnostic
from .experiments import get_experiment
from .experiments.base import Experiment
from .experiments.batch import BatchOptions, BatchOutcome, run_batch
from .experiments.comparison import evaluate_files
from .experiments.configs import load_config, parse_config
from .experiments.evaluation import Evaluation
from .experiments.run import RunOptions, ShowProgress, no_progress, run_method
from .experiments.series_input import SeriesInput
from .io.model_file import read_model, read_model_series
from .io.result import read_result
from .model import Model
from .model_series import ModelSeries
from .runs.batch_record import BatchRecord
from .runs.context import Progress, RunOutcome, Status
from .runs.scan_list import list_scans
from .volume import Volume

AnyPath = str | PathLike[str]
Overrides = Mapping[str, object]


@dataclass(frozen=True)
class Measurement:
    """An acquisition with its config.

    Args:
        acquisition: Arrays in SI.
        config: Settings of its kind of experiment.
    """

    acquisition: Acquisition
    config: KindSettings

    @property
    def experiment(self) -> Experiment:
        """Kind of experiment."""
        return get_experiment(self.config.kind)

    @property
    def truth(self) -> Volume | None:
        """Specimen as it is, where it is known."""
        return self.acquisition.truth

    def save(self, path: AnyPath) -> Path:
        """Write the acquisition as HDF5, whole or not at all."""
        from .io.write import write

        write(self.acquisition, self.experiment.schema, Path(path))
        return Path(path)


class Result:
    """Result of a method: model, volume and numbers, in a temporary folder until it is saved.

    Args:
        folder: Folder of the run.
        outcome: Numbers and status.
        temporary: Whether the folder is deleted with this object.
    """

    def __init__(self, folder: Path, outcome: RunOutcome, *, temporary: bool = False) -> None:
        self.folder = folder
        self.metrics: Mapping[str, float] = outcome.numbers
        self.status: Status = outcome.status
        if temporary:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    @property
    def model(self) -> Model:
        """Continuous model.

        Raises:
            DataError: If the method leaves none.
        """
        return load(self.folder)

    @property
    def models(self) -> dict[str, Model]:
        """Continuous models of several specimens, by their name."""
        return {path.stem: load(path) for path in sorted((self.folder / "models").glob("*.h5"))}

    def volume(self) -> Volume:
        """Sampled volume."""
        from .io.volume_formats import read_volume

        return read_volume(self.folder / "volume.h5")

    def save(self, path: AnyPath) -> Path:
        """Copy the run's folder, and write its report.

        Raises:
            ConfigError: If something is there.
        """
        from .experiments.report import write_run_report

        target = Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ConfigError(Diagnostic(str(target), "is there already", "name another folder"))
        shutil.copytree(self.folder, target, dirs_exist_ok=True)
        write_run_report(target)
        return target

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value:.4g}" for name, value in list(self.metrics.items())[:4])
        return f"Result({self.status.name}: {shown})"


def configure(
    config: KindSettings | AnyPath | str, overrides: Overrides | None = None, *, seed: int | None = None
) -> KindSettings:
    """Make settings from a config file, the name of a kind, or other settings.

    Args:
        config: Settings, path of a YAML file, or name of a kind for its defaults.
        overrides: Values by their key: ``{"volume.depth": "9 um"}``.
        seed: Seed of all randomness.

    Raises:
        ConfigError: With every fault.
    """
    assignments = [f"{key}={_yaml(value)}" for key, value in (overrides or {}).items()]
    assignments += [] if seed is None else [f"seed={seed}"]
    if isinstance(config, KindSettings):
        return with_overrides(config, assignments) if assignments else config  # type: ignore[return-value]
    path = Path(config)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return load_config(path, assignments)  # type: ignore[return-value]
    return parse_config(f"kind: {config}\n", assignments)  # type: ignore[return-value]


def read(path: AnyPath, config: KindSettings | AnyPath, overrides: Overrides | None = None) -> Measurement:
    """Read an acquisition as a config describes it.

    Args:
        path: File, folder or archive of any format that `unflat convert` reads.
        config: Settings, path of a YAML file, or name of a kind for its defaults.
        overrides: Values by their key.

    Raises:
        ConfigError: With every fault of the config.
        DataError: With every fault of the file.
    """
    settings = configure(config, overrides)
    return Measurement(get_experiment(settings.kind).read(settings, Path(path)), settings)


def simulate(
    config: KindSettings | AnyPath | str,
    overrides: Overrides | None = None,
    *,
    seed: int | None = None,
    progress: Callable[..., object] | None = None,
) -> Measurement:
    """Simulate an acquisition with its truth.

    Args:
        config: Settings, path of a YAML file, or name of a kind for its defaults.
        overrides: Values by their key.
        seed: Seed of all randomness.
        progress: Callback with step, total, and those metrics (``loss``, …) that it takes as keywords.
    """
    from . import devices

    settings = configure(config, overrides, seed=seed)
    devices.use(settings.device)
    with _display(progress)("simulate") as report:
        kind = get_experiment(settings.kind)
        return Measurement(kind.derive(settings, kind.simulate(settings, report)), settings)


def fit(measurement: Measurement, overrides: Overrides | None = None, **options: Any) -> Result:
    """Fit a neural field to a measurement, through its physics; see `run` for the options."""
    return run("fit", measurement, overrides, **options)


def phase(measurement: Measurement, overrides: Overrides | None = None, **options: Any) -> Result:
    """Retrieve the phase of a measurement by iterative projections; see `run` for the options."""
    return run("phase", measurement, overrides, **options)


def predict(measurement: Measurement, overrides: Overrides | None = None, **options: Any) -> Result:
    """Apply a trained network to a measurement; see `run` for the options, and ``draws``."""
    draws = options.pop("draws", None)
    chosen = dict(overrides or {}) | ({} if draws is None else {"predict.draws": draws})
    return run("predict", measurement, chosen, **options)


def run(
    method: str,
    measurement: Measurement,
    overrides: Overrides | None = None,
    *,
    seed: int | None = None,
    progress: Callable[..., object] | None = None,
    folder: AnyPath | None = None,
) -> Result:
    """Run a method on a measurement.

    Args:
        method: ``fit``, ``phase`` or ``predict``.
        measurement: Acquisition with its config.
        overrides: Values of the config by their key.
        seed: Seed of all randomness.
        progress: Callback with step, total, and those metrics (``loss``, …) that it takes as keywords.
        folder: Folder of the run, with report; without it a temporary one, which is deleted with the result.

    Returns:
        The result.

    Raises:
        ConfigError: If the kind does not offer the method, or the folder is taken.
        DataError: If an input cannot be read.
        DeviceError: If the machine cannot hold the run.
        QualityError: If the result does not reach the quality gate of the config.
    """
    settings = configure(measurement.config, overrides, seed=seed)
    path = Path(tempfile.mkdtemp(prefix="unflat-") if folder is None else folder)
    options = RunOptions(path, report=folder is not None)
    try:
        outcome = run_method(method, settings, measurement.acquisition, options, _display(progress))
    except BaseException:
        if folder is None:
            shutil.rmtree(path, ignore_errors=True)
        raise
    return Result(path, outcome, temporary=folder is None)


def batch(
    method: str,
    paths: AnyPath | Iterable[AnyPath],
    config: KindSettings | AnyPath,
    folder: AnyPath,
    overrides: Overrides | None = None,
    *,
    each: bool = False,
    resume: bool = False,
    retry_failed: bool = False,
    progress: Callable[..., object] | None = None,
) -> BatchOutcome:
    """Run a method on several acquisitions, each in a folder of its own.

    Args:
        method: ``fit``, ``phase`` or ``predict``.
        paths: Acquisitions, folders of them, or patterns.
        config: Settings, path of a YAML file, or name of a kind for its defaults.
        folder: Folder of the runs, of ``results.csv`` and ``index.html``.
        overrides: Values of the config by their key.
        each: Whether every file and folder in a folder is an acquisition, and not only files such as HDF5.
        resume: Whether to go on with what is left; results that are there stay.
        retry_failed: Whether to try again those that failed before, though their files are the same.
        progress: Callback with step, total, and those metrics (``loss``, …) that it takes as keywords.

    Returns:
        The outcome: a row for each acquisition. Faults of single ones are in their rows.

    Raises:
        ConfigError: If the kind does not offer the method, or the folder is taken.
        DataError: If there is no acquisition, or the folder cannot be written.
    """
    target, settings = Path(folder), configure(config, overrides)
    listed = [Path(paths)] if isinstance(paths, str | PathLike) else [Path(path) for path in paths]
    former = BatchRecord.read(target) if resume else None
    scans = list_scans(listed, each=each, known=None if former is None else former.names_of_files(target))
    options = BatchOptions(target, resume=resume, retry_failed=retry_failed)
    return run_batch(method, settings, scans, options, _display(progress))


def fit_series(
    paths: Iterable[AnyPath],
    config: KindSettings | AnyPath,
    coordinate: str,
    overrides: Overrides | None = None,
    *,
    seed: int | None = None,
    progress: Callable[..., object] | None = None,
    folder: AnyPath,
    resume: bool = False,
) -> Result:
    """Fit acquisitions of one specimen as one model, with a coordinate such as time.

    Args:
        paths: Acquisitions.
        config: Settings, path of a YAML file, or name of a kind for its defaults.
        coordinate: Name of the coordinate, whose positions the files give, or name and positions: ``time=0s,10s,20s``.
        overrides: Values of the config by their key.
        seed: Seed of all randomness.
        progress: Callback with step, total, and those metrics (``loss``, …) that it takes as keywords.
        folder: Folder of the run.
        resume: Whether to go on with the run in it.

    Returns:
        The result; `load_series` reads its model.

    Raises:
        ConfigError: If the kind fits no series, or the folder is taken.
        DataError: If an acquisition cannot be read, or does not go with the others.
        QualityError: If the result does not reach the quality gate of the config.
    """
    settings = configure(config, overrides, seed=seed)
    given = SeriesInput(tuple(map(Path, paths)), coordinate)
    outcome = run_method("fit", settings, given, RunOptions(Path(folder), resume=resume), _display(progress))
    return Result(Path(folder), outcome)


def evaluate(
    result: "Result | Model | Volume | AnyPath", truth: "Volume | Measurement | AnyPath", *, register: bool = False
) -> Evaluation:
    """Compare a result with the truth.

    Args:
        result: Result, model, volume, or the path of one.
        truth: Volume, simulated measurement, or the path of one.
        register: Whether to move the result onto the truth first.

    Raises:
        DataError: If the two cannot be compared.
    """
    known = truth.truth if isinstance(truth, Measurement) else truth
    if known is None:
        raise ConfigError(Diagnostic("truth", "the measurement holds no truth", "simulate it, or name a volume"))
    names: tuple[Any, Any] = ((), ())
    if isinstance(result, Result):
        result = result.folder
    if not isinstance(known, Volume):
        from .io.volume_stack import names_and_labels

        names = names_and_labels(Path(known))
        if not isinstance(result, Model | Volume):
            return evaluate_files(Path(result), Path(known), register=register)
        else:
            from .experiments.specimens import SpecimenOptions, identify
            from .io.volume_formats import read_volume

            known = identify(read_volume(Path(known)), Path(known), SpecimenOptions(kind=result.kind))
    elif not isinstance(result, Model | Volume):
        result = read_result(Path(result))
    experiment = get_experiment(known.kind)
    return experiment.evaluate(result, known, register=register, names=names[0], labels=names[1])


def load(path: AnyPath, at: str | float | None = None) -> Model:
    """Open a model file as a function of space.

    Args:
        path: A ``model.h5``, or the run folder that holds one.
        at: Position in a series: a number in its unit, or text such as ``time=12.5s``; the last acquisition by default.

    Returns:
        A callable: ``model(points)`` gives the model's first quantity at points (n, 3), ordered (z, y, x), in metres.

    Raises:
        DataError: If the file is missing, truncated, or not an unflat model.
    """
    return read_model(path, at)


def load_series(path: AnyPath) -> ModelSeries:
    """Open the model of a series: ``series.at(12.5)`` is the model at a position.

    Args:
        path: A ``model.h5``, or the run folder that holds one.

    Raises:
        ConfigError: If the model is of no series.
        DataError: If the file is missing, truncated, or not an unflat model.
    """
    return read_model_series(path)


def _display(progress: Callable[..., object] | None) -> ShowProgress:
    """Display that calls a function with each step."""
    if progress is None:
        return no_progress

    parameters = signature(progress).parameters
    takes_all = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values())

    @contextmanager
    def show(_title: str) -> Iterator[Progress]:
        def report(step: int, total: int, **metrics: float) -> None:
            progress(step, total, **{name: v for name, v in metrics.items() if takes_all or name in parameters})

        yield report

    return show


def _yaml(value: object) -> str:
    """A value as an assignment on the command line writes it."""
    import json

    return value if isinstance(value, str) else json.dumps(value)
