"""Run of a method in a folder, from its inputs to the end of every run: numbers, gate, report, sentinel."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import devices
from ..acquisition import Acquisition
from ..config import dump_commented
from ..errors import DataError, Diagnostic, Interrupted, QualityError, Stopped
from ..io.inputs import forget_inputs_within, require_no_input_within
from ..io.safe_hdf5 import set_root_attributes
from ..io.side_files import side_file_paths
from ..processes import GroupPlan, ProcessGroup, join, require_same
from ..runs import RunFolder, Sentinel, StopRequest, describe_input, peak_memory
from ..runs.companion import open_companion, share_folder
from ..runs.context import Gate, Progress, RunContext, RunOutcome, silent
from ..runs.launch import CommandLine, Launch
from ..runs.logs import collect_records
from ..runs.provenance import flatten, software_versions
from ..runs.stop import AgreedStop
from ..runs.verdict import Soundness, SpecimenVerdict, Verdict
from ..version import __version__
from . import get_experiment
from .base import Experiment
from .report import write_run_report
from .series_input import Series, SeriesInput, describe_series, read_series

_log = logging.getLogger(__name__)

ShowProgress = Callable[[str], AbstractContextManager[Progress]]
"""Opens a display of progress under a title."""
LATE = "after the last step: all results were written nevertheless"
"""End of the message for a request to stop that came when little was left to do."""


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Args:
        output: Folder of the run.
        force: Whether to replace a run that is there.
        resume: Whether to go on from the newest checkpoint.
        time_limit: [s] Time after which the run stops with a checkpoint.
        report: Whether to write the report.
        command: Command line of the run, by which it goes on if it ends early.
        warm_start: Run folder of another scan, whose result a method that can may begin with.
        group: Plan of the processes that work on the run; None for this one alone.
    """

    output: Path
    force: bool = False
    resume: bool = False
    time_limit: float | None = None
    report: bool = True
    command: CommandLine | None = None
    warm_start: Path | None = None
    group: GroupPlan | None = None


def no_progress(title: str) -> AbstractContextManager[Progress]:
    """Show no progress."""
    return nullcontext(silent)


def run_method(
    method: str,
    config: Any,
    acquisition: Path | Acquisition | SeriesInput | None,
    options: RunOptions,
    show_progress: ShowProgress = no_progress,
    stop: StopRequest | None = None,
) -> RunOutcome:
    """Run a method in a folder of its own.

    Args:
        method: ``fit``, ``phase``, ``predict`` or ``train``.
        config: Settings of the experiment.
        acquisition: Measurement, or its file, or the files of a series; None for a training.
        options: Options of the run.
        show_progress: Display of progress.
        stop: Request to stop that the caller watches; by default one of the run's own, with its time limit.

    Returns:
        The outcome; ``numbers`` are those of ``metrics.json``.

    Raises:
        ConfigError: If the kind does not offer the method, or the folder is taken.
        DataError: If an input cannot be read.
        DeviceError: If the machine cannot hold the run.
        Stopped: If it was asked to end early; the checkpoint is kept.
        Interrupted: If it was asked so at the keyboard.
        QualityError: If the result, which is kept, does not reach its quality gate.
    """
    experiment = get_experiment(config.kind)
    experiment.require(method)
    with join(options.group, _identity(method, config, options)) as group:
        inputs = _input_files(experiment, method, config, acquisition, options)
        described = {name.partition(".")[2]: describe_input(path) for name, path in inputs.items()}
        if isinstance(acquisition, SeriesInput):
            described = describe_series(acquisition) | described
        elif isinstance(acquisition, Path):
            described = describe_input(acquisition) | described
        require_same(group, flatten({"input": described}))
        return _run(group, experiment, method, config, acquisition, described, options, show_progress, stop)


def _identity(method: str, config: Any, options: RunOptions) -> dict[str, Any]:
    """Collect what must be the same in all processes of a run from the start; the inputs take long to read."""
    command: dict[str, Any] = {"command": method, "unflat": __version__, "jax": version("jax")}
    command |= {"-o": str(options.output), "--force": options.force, "--resume": options.resume}
    return command | flatten({"config": deciding_settings(config)})


def _run(
    group: ProcessGroup,
    experiment: Experiment,
    method: str,
    config: Any,
    acquisition: Path | Acquisition | SeriesInput | None,
    described: Mapping[str, Any],
    options: RunOptions,
    show_progress: ShowProgress,
    stop: StopRequest | None,
) -> RunOutcome:
    """Run a method in one of several processes, or in one alone."""
    series: Series | None = None
    with collect_records() as records:
        if isinstance(acquisition, SeriesInput):
            series = read_series(experiment, config, acquisition)
            series.require(experiment, config)
            acquisition = series.largest
        elif isinstance(acquisition, Path):
            acquisition = experiment.read(config, acquisition)
    group.gather(None)  # All have read theirs: jax does not wait for long.
    traits = experiment.require(method)
    device = devices.use(config.device, networks=traits.convolutional, group=group, joint=traits.joint)
    launch = Launch.now(options.command)
    if device.platform == "cpu" and acquisition is not None:
        available = devices.host_memory()
        if series is None:
            estimate = experiment.estimate(config, acquisition)
        else:
            estimate = experiment.estimate_series(config, series.acquisitions)
        estimate.require_fit(available, experiment.memory_remedy)
        launch = launch.with_memory(estimate.memory_bytes, available)
    with (
        # The outer one: a signal must not keep the folder from its sentinel.
        StopRequest(options.time_limit) if stop is None else nullcontext(stop) as own_stop,
        _open_folder(group, experiment, method, config, described, options) as folder,
    ):
        launch.write(folder.path)
        folder.write_config(dump_commented(config))
        folder.add_records(records)
        _log_notes(series.notes if series is not None else acquisition.notes if acquisition is not None else ())
        provenance = {**described, "config": deciding_settings(config), "device": str(device), **software_versions()}
        agreed = AgreedStop(own_stop, group)
        context = RunContext(
            config, folder, acquisition, provenance, silent, agreed.ask, options.warm_start, lambda: agreed.reason
        )
        start = time.monotonic()
        with _interruptible(agreed), (show_progress if group.is_first else no_progress)(method) as progress:
            with _advancing(own_stop, progress) as noted:
                context = replace(context, progress=noted)
                outcome: RunOutcome
                if series is not None:
                    from .series import fit_series  # Not at the top: it imports jax.

                    outcome = fit_series(experiment, context, series)
                else:
                    outcome = getattr(experiment, method)(context)
            group.finish_sharing()
        _log_notes(outcome.notes)
        return _finish(experiment, method, _add_cost(outcome, start), folder, agreed, report=options.report)


@contextmanager
def _advancing(stop: StopRequest, progress: Progress) -> Iterator[Progress]:
    """Let a time limit count from the first progress of a run on, which this notes; at the end it counts anyway."""
    first: list[int] = []

    def show(step: int, total: int, **metrics: float) -> None:
        if not first:
            first.append(step)  # It may be that of the checkpoint.
        elif step > first[0]:
            stop.note_advance()
        progress(step, total, **metrics)

    stop.require_advance()
    try:
        yield show
    finally:
        stop.note_advance()


@contextmanager
def _open_folder(
    group: ProcessGroup,
    experiment: Experiment,
    method: str,
    config: Any,
    described: Mapping[str, Any],
    options: RunOptions,
) -> Iterator[RunFolder]:
    """Open the folder of a run, new or to go on in, which is recognised by its config and its inputs.

    Of several processes, the first alone opens it.
    """
    if not group.is_first:
        with open_companion(group, options.output) as folder:
            yield folder
        return
    with RunFolder.create(
        options.output,
        force=options.force,
        resume=options.resume,
        fingerprint={"config": deciding_settings(config), "input": described},
        may_grow=experiment.growing_settings(method, config),
        defaults={"config": experiment.default_config().model_dump(mode="json")},
    ) as folder:
        # A training reads the networks of its first parts again.
        share_folder(group, folder, folder.path, "*.h5" if method == "train" else "")
        group.at_loss = lambda loss: folder.finish(Sentinel.STOPPED if loss.is_stop else Sentinel.FAILED, loss.text)
        yield folder


def _input_files(
    experiment: Experiment,
    method: str,
    config: Any,
    acquisition: Path | Acquisition | SeriesInput | None,
    options: RunOptions,
) -> dict[str, Path]:
    """List the files beside the acquisition that decide the result, by their setting; none lies in a new folder.

    Raises:
        ConfigError: If one is absent, or lies in a folder that is to be replaced.
        DataError: If one cannot be read.
    """
    inputs = experiment.input_files(method, config)
    if isinstance(acquisition, Path):
        inputs |= side_file_paths(config, acquisition)
    elif isinstance(acquisition, SeriesInput):
        for path in acquisition.paths:
            inputs |= side_file_paths(config, path)
    if options.resume:  # A run that goes on deletes nothing, and may hold what it needs by now.
        forget_inputs_within(options.output)
        return inputs
    start = experiment.initial_guess_file(config) if method == "fit" else None
    require_no_input_within(options.output, inputs if start is None else inputs | {"fit.start": start})
    return inputs


def deciding_settings(config: Any) -> dict[str, Any]:
    """Return the settings that decide a result: all but the device."""
    settings: dict[str, Any] = config.model_dump(mode="json")
    return {name: value for name, value in settings.items() if name != "device"}


def _log_notes(notes: Iterable[str]) -> None:
    for note in notes:
        _log.info("%s", note)


@contextmanager
def _interruptible(stop: AgreedStop) -> Iterator[None]:
    """Raise `Interrupted` instead of `Stopped` where the request to stop came from the keyboard."""
    try:
        yield
    except Stopped as error:
        if stop.interrupted:
            raise Interrupted(*error.faults) from error
        raise


def _add_cost(outcome: RunOutcome, start: float) -> RunOutcome:
    """Add gate, memory and time to the numbers of an outcome that does not give its own."""
    cost = {"peak_memory_bytes": float(peak_memory()), "seconds": time.monotonic() - start}
    numbers = dict(outcome.numbers)
    return replace(outcome, numbers=numbers | _gate_numbers(outcome.gate) | cost | numbers)


def _gate_numbers(gate: Gate | None) -> dict[str, float]:
    return {} if gate is None else {"gate": gate.limit, "gate_value": gate.value}


def _finish(
    experiment: Experiment, method: str, outcome: RunOutcome, folder: RunFolder, stop: AgreedStop, *, report: bool
) -> RunOutcome:
    """End a run: verdict, numbers, gate, report, sentinel."""
    verdict = None if method == "train" else _judge(experiment, outcome)
    folder.write_metrics(outcome.numbers, verdict)
    if verdict is not None:
        _add_to_results(folder.path, verdict, outcome.specimens)
        if verdict.reasons:
            _log.info("verdict: %s", verdict)
    if faults := [*_gate_faults(outcome.gate), *_verdict_faults(verdict)]:
        error = QualityError(*faults)
        if report:
            write_run_report(folder.path, end=(Sentinel.DONE, str(error)))
        raise error
    reason = run_summary(experiment, method, outcome.numbers)
    if report:
        write_run_report(folder.path, end=(Sentinel.DONE, reason))
    late = stop.reason
    folder.finish(Sentinel.DONE, f"{reason}; {late} {LATE}" if late else reason)
    return replace(outcome, late=f"{late} {LATE}" if late else "", interrupted=stop.interrupted, verdict=verdict)


def _judge(experiment: Experiment, outcome: RunOutcome) -> Verdict:
    """Judge a result by its numbers, and name the specimens that each reason concerns."""
    if outcome.verdict is not None:
        return outcome.verdict
    return Verdict.of(experiment.assess(outcome.numbers)).with_names(outcome.specimens)


def _add_to_results(folder: Path, verdict: Verdict, specimens: Iterable[SpecimenVerdict]) -> None:
    """Write verdicts into the files of a result, which are complete without them: each specimen's into its own file."""
    own = {folder / specimen.file: specimen.verdict for specimen in specimens if specimen.file}
    for path in (folder / "model.h5", folder / "volume.h5", *sorted((folder / "models").glob("*.h5"))):
        try:
            if path.is_file():
                set_root_attributes(path, own.get(path, verdict).attributes())
        except DataError as error:
            _log.warning("the verdict is not in %s: %s", path.name, error)


def _gate_faults(gate: Gate | None) -> list[Diagnostic]:
    if gate is None or gate.passed:
        return []
    message = f"the {gate.title} {gate.value:.3g} is not below the gate of {gate.limit:g}"
    return [Diagnostic("", message, f"the result is kept; {gate.remedy}")]


def _verdict_faults(verdict: Verdict | None) -> list[Diagnostic]:
    if verdict is None or verdict.soundness is not Soundness.FAILED:
        return []
    remedy = "the result is kept, marked as failed"
    return [Diagnostic("", r.text, "; ".join(filter(None, (remedy, r.remedy)))) for r in verdict.reasons if r.fatal]


def _summary_line(experiment: Experiment, numbers: Mapping[str, float]) -> str:
    """Summary line of the kind; a plain one where that fails, since the result is complete and written."""
    try:
        return experiment.summary_line(numbers)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        _log.warning("%s.summary_line failed (%s): a plain summary stands instead", type(experiment).__name__, fault)
        return Experiment.summary_line(experiment, numbers)


def run_summary(experiment: Experiment, method: str, numbers: Mapping[str, float]) -> str:
    """Summarise a run in one line."""
    if method == "train":
        validation = experiment.validation_summary(numbers)
        steps = f"trained on {numbers['examples']:,.0f} examples in {numbers['steps']:,.0f} steps"
        return f"{steps}; {validation}" if validation else steps
    line = _summary_line(experiment, numbers)
    if method == "fit":
        tried = f" and {numbers['trial_steps']:.0f} of trials" if numbers.get("trial_steps") else ""
        return f"{line} after {numbers['steps']:.0f} step{'' if numbers['steps'] == 1 else 's'}{tried}"
    if method == "predict":
        seconds = numbers["seconds_of_answer"]
        return f"{line}; the answer took {seconds:{'.0f' if seconds >= 10 else '.2g'}} s"
    return line
