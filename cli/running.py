"""Run of a method as a command: progress, summary and files on the screen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..recon.errors import ConfigError, Diagnostic, Interrupted, QualityError
from ..recon.signals import ends_with_work
from . import console

if TYPE_CHECKING:
    from ..recon.experiments.base import Experiment
    from ..recon.experiments.run import RunOptions
    from ..recon.experiments.series_input import SeriesInput
    from ..recon.runs import RunOutcome
    from .options import Inputs


def reconstruct(method: str, config: Any, inputs: "Inputs", options: "RunOptions") -> int | None:
    """Run a method on one acquisition, or on each of several.

    Returns:
        The exit status of several; None for one that is done.

    Raises:
        UnflatError: For every other exit status of one, and where several cannot begin.
    """
    from ..recon.runs.scan_list import is_several

    if inputs.series is not None:
        run_command(method, config, _series(inputs, options), options)
        return None
    if inputs.each or is_several(inputs.paths):
        if options.group is not None:
            remedy = "take a job array ('unflat submit' without --tasks), or --processes 1"
            raise ConfigError(Diagnostic("", "several processes work on one acquisition, not on several", remedy))
        from .batch import run_several

        return run_several(method, config, inputs, options)
    if inputs.retry_failed:
        raise ConfigError("--retry-failed goes with several acquisitions; --resume alone goes on with one")
    run_command(method, config, inputs.paths[0], options)
    return None


def _series(inputs: "Inputs", options: "RunOptions") -> "SeriesInput":
    """List the files of a series.

    Raises:
        ConfigError: If there is one only, or an option does not go with a series.
    """
    from ..recon.experiments.series_input import list_series

    if options.group is not None:
        raise ConfigError(Diagnostic("--processes", "several processes do not fit a series yet", "take --processes 1"))
    if inputs.retry_failed:
        raise ConfigError("--retry-failed goes with several acquisitions that are fitted one by one")
    return list_series(inputs.paths, inputs.series or "", each=inputs.each)


def run_command(
    method: str, config: Any, acquisition: "Path | SeriesInput | None", options: "RunOptions"
) -> "RunOutcome":
    """Run a method in a folder, with progress and a summary on the screen.

    Raises:
        UnflatError: For every exit status but 0.
    """
    from ..recon.experiments import get_experiment
    from ..recon.experiments.run import run_method, run_summary

    experiment = get_experiment(config.kind)
    try:
        with ends_with_work():
            outcome = run_method(method, config, acquisition, options, console.progress)
    except QualityError:  # The result is kept, and its report is where to look.
        _print_files(experiment, method, options.output)
        raise
    summary = run_summary(experiment, method, outcome.numbers)
    console.print_line(f"{summary}; {console.format_duration(outcome.numbers['seconds'])}")
    _print_verdict(outcome)
    for line in (*experiment.summary_lines(outcome.numbers), *outcome.notes, *_sizes(outcome)):
        console.print_line(line)
    _print_files(experiment, method, options.output)
    if outcome.interrupted:  # A script at the keyboard is to end here.
        raise Interrupted(outcome.late)
    if outcome.late:
        console.note(outcome.late)
    return outcome


def _print_verdict(outcome: "RunOutcome") -> None:
    if outcome.verdict is not None:
        console.print_line(f"verdict: {outcome.verdict.soundness}")
        for reason in outcome.verdict.reasons:
            console.print_line(f"  {reason}")


def _sizes(outcome: "RunOutcome") -> list[str]:
    """Sizes of a model, a volume, a network, where there are any."""
    numbers = outcome.numbers
    if "network_bytes" in numbers:
        return [f"{numbers['network_parameters']:,.0f} numbers, {numbers['network_bytes'] / 1e6:.1f} MB"]
    if not {"model_bytes", "model_parameters", "volume_bytes", "voxels"} <= set(numbers):
        return []
    return [
        f"model {numbers['model_bytes'] / 1e6:.2f} MB, {numbers['model_parameters']:,.0f} numbers; "
        f"volume {numbers['volume_bytes'] / 1e6:.2f} MB, {numbers['voxels']:,.0f} voxels"
    ]


def _print_files(experiment: "Experiment", method: str, output: Path) -> None:
    for name in (*experiment.require(method).outputs, "report.html"):
        for path in sorted(output.glob(name)):
            console.report_file(path)
