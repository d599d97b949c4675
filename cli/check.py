"""``unflat check``: every fault at once, before hours of computing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..recon.acquisition import Acquisition
from ..recon.device_plan import DevicePlan, plan_devices
from ..recon.errors import ConfigError, DataError, Diagnostic, QualityError, UnflatError
from ..recon.experiments import get_experiment
from ..recon.experiments.base import Experiment
from ..recon.experiments.configs import load_config
from ..recon.experiments.methods import RECONSTRUCTIONS
from ..recon.experiments.plan import format_value
from ..recon.experiments.series_input import SeriesInput, list_series, read_series
from ..recon.memory import available_memory, format_bytes
from ..recon.runs.estimate import Estimate
from . import console
from .options import PATH, config_options, series_option


@click.command()
@click.argument("config", type=PATH)
@click.argument("acquisitions", type=PATH, nargs=-1, metavar="[ACQUISITION]...")
@click.option("--light", is_flag=True, help="Compare the described light with other orientations, by the images.")
@series_option
@config_options
def command(
    config: Path, acquisitions: tuple[Path, ...], overrides: list[str], light: bool, coordinate: str | None
) -> int:
    """Find every fault of a CONFIG, and of the ACQUISITION that it describes, and estimate memory and time.

    With --series several ACQUISITIONs are checked as one series: positions, gaps, and whether they go together.
    Nothing is computed, except with --light: that ranks orientations of the light and signs of the focus by how well
    each view follows from the others. The exit status is not 0 if anything is wrong: 2 for the config, 3 for the data,
    4 for a run larger than this machine, 5 for light that another description explains better.

    \b
    Examples:
      unflat check run.yaml
      unflat check run.yaml scan.h5
      unflat check run.yaml scan.h5 --light
      unflat check run.yaml t0.h5 t1.h5 t2.h5 --series time
      unflat check run.yaml scan.h5 --set volume.depth='9 um' && sbatch job.sh
    """
    settings: Any = load_config(config, overrides)
    kind = get_experiment(settings.kind)
    problems: list[UnflatError] = []
    read = _read(kind, settings, acquisitions, coordinate, problems)
    _look_at_named(kind, settings, problems)
    if not problems:
        methods = RECONSTRUCTIONS if coordinate is None else ("fit",)
        _print_remarks(kind, settings, read, methods, problems)
    if read or not acquisitions:
        _estimate(kind, settings, read, problems)
    if light and not problems:
        _check_light(kind, settings, read, problems)
    for problem in problems:
        for fault in problem.faults:
            console.error(str(fault))
    if problems:
        return min(problem.status for problem in problems)
    named = [config, *acquisitions]
    listed = " and ".join(filter(None, [", ".join(map(str, named[:-1])), str(named[-1])]))
    console.print_line(f"{listed} {'is' if len(named) == 1 else 'are'} complete and readable")
    return 0


def _read(
    kind: Experiment, settings: Any, paths: tuple[Path, ...], coordinate: str | None, problems: list[UnflatError]
) -> tuple[Acquisition, ...]:
    """Read the acquisitions as a fit would: that checks every path that the config names against the files.

    Returns:
        The acquisitions; none where one cannot be read.
    """
    try:
        if coordinate is not None:
            return _read_series(kind, settings, list_series(paths, coordinate), problems)
        if len(paths) > 1:
            remedy = "check them one by one, or name the series that they are: --series time"
            raise ConfigError(Diagnostic("ACQUISITION", f"{len(paths)} acquisitions are given", remedy))
        read = tuple(kind.read(settings, path) for path in paths)
    except UnflatError as error:
        problems.append(error)
        for fault in kind.missing_settings(settings):
            console.warn(str(fault))
        return ()
    _validate(kind, read, problems)
    for measured in read:
        _print_lines(_array_lines(kind, measured))
    return read


def _read_series(
    kind: Experiment, settings: Any, given: SeriesInput, problems: list[UnflatError]
) -> tuple[Acquisition, ...]:
    """Read a series, and print its positions and what each acquisition has.

    Raises:
        UnflatError: If the series cannot be read.
    """
    series = read_series(kind, settings, given)
    _validate(kind, series.acquisitions, problems)
    try:
        series.require(kind, settings)
    except UnflatError as error:
        problems.append(error)
    axis, first = series.axis, series.acquisitions[0]
    _print_lines([*series.notes, axis.steps])
    for before, after, ratio in axis.gaps():
        console.warn(
            f"nothing was measured between {axis.describe(before)} and {axis.describe(after)}, {ratio:.3g} times the "
            "usual step: the model is interpolated there"
        )
    for position, acquisition in zip(axis.positions, series.acquisitions, strict=True):
        console.print_line(f"  {axis.describe(position)}: {acquisition.source}")
        lines = _array_lines(kind, acquisition)
        if acquisition is not first:
            lines = _differing_lines(lines, acquisition, _array_lines(kind, first), first)
        _print_lines([f"  {line}" for line in lines])
    return series.acquisitions


def _differing_lines(
    lines: Sequence[str], own: Acquisition, first_lines: Sequence[str], first: Acquisition
) -> list[str]:
    """Select the lines of an acquisition of a series that the first one has not."""
    shown = [line for line in lines if line not in first_lines]
    for name, array in own.arrays.items():
        if name not in first or array.size <= 3 or array.dtype not in (np.float64, np.uint8):
            continue  # Measured arrays, in float32 or complex64, always differ.
        if array.shape == first[name].shape and not np.array_equal(array, first[name]):
            shown.append(f"{name}: other values than in the first")
    return [*shown, "all else as in the first" if shown else "all as in the first, but for what was measured"]


def _validate(kind: Experiment, acquisitions: Sequence[Acquisition], problems: list[UnflatError]) -> None:
    """Find what no acquisition can have."""
    if faults := [fault for acquisition in acquisitions for fault in kind.validate(acquisition)]:
        problems.append(DataError(*faults))


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        console.print_line(f"  {line}")


def _array_lines(kind: Experiment, measured: Acquisition) -> list[str]:
    """Describe the arrays of an acquisition, and what was noted when it was read."""
    units = {entry.name: entry.unit for entry in kind.schema}
    notes = {name: f" {unit}" for name, unit in units.items() if unit not in ("1", "m")}
    for entry in kind.schema:
        if entry.hides and entry.name in measured:
            mask = measured[entry.name]
            notes[entry.name] = f", {np.count_nonzero(mask)} of {mask.size} pixels masked"
    arrays = measured.arrays.items()
    lines = [f"{name}: {_summary(array, units.get(name, '1'))}{notes.get(name, '')}" for name, array in arrays]
    return [*lines, *measured.notes]


def _look_at_named(kind: Experiment, settings: Any, problems: list[UnflatError]) -> None:
    """See whether the files are there that the config names for a way of reconstruction, such as ``fit.start``."""
    for method in filter(kind.offers, RECONSTRUCTIONS):
        try:
            kind.input_files(method, settings)
            if method == "fit":
                kind.initial_guess_file(settings)
        except UnflatError as error:
            problems.append(error)


def _print_remarks(
    kind: Experiment,
    settings: Any,
    read: Sequence[Acquisition],
    methods: Sequence[str],
    problems: list[UnflatError],
) -> None:
    """Print what a kind has to say of its methods' use for the measurements; what holds for several once."""
    notes: dict[str, None] = {}
    warnings: dict[str, None] = {}
    for method in filter(kind.offers, methods):
        for measured in read:
            try:
                more, doubts = kind.remarks(method, settings, measured)
            except UnflatError as error:
                problems.append(error)
                break
            notes |= dict.fromkeys(more)
            warnings |= dict.fromkeys(doubts)
    _print_lines(list(notes))
    for warning in warnings:
        console.warn(warning)


def _check_light(kind: Experiment, settings: Any, read: Sequence[Acquisition], problems: list[UnflatError]) -> None:
    """Print the ranking of descriptions of the light."""
    try:
        if len(read) != 1:
            raise ConfigError(
                Diagnostic("--light", f"compares one measurement, not {len(read)}", "name one ACQUISITION")
            )
        lines, faults = kind.check_light(settings, read[0])
    except UnflatError as error:
        problems.append(error)
        return
    _print_lines(lines)
    if faults:
        problems.append(QualityError(*faults))


def _summary(array: np.ndarray, unit: str) -> str:
    """Write a few numbers as they are, lengths in a unit that suits them, and many as their shape."""
    if array.size <= 3:
        values = array.ravel().tolist()
        if unit == "m":
            return ", ".join(format_value(float(value), unit, digits=6) for value in values)
        return " ".join(value if isinstance(value, str) else format(value, ".6g") for value in values)
    return f"{' x '.join(map(str, array.shape))} {array.dtype}{' m' if unit == 'm' else ''}"


def _estimate(kind: Experiment, settings: Any, read: Sequence[Acquisition], problems: list[UnflatError]) -> None:
    """Print memory and time, and refuse a run that this machine cannot hold."""
    try:
        estimate: Estimate
        if len(read) > 1:
            estimate = kind.estimate_series(settings, read)
        else:
            estimate = kind.estimate(settings, read[0] if read else None)
        for line in estimate.lines:
            console.print_line(f"  {line}")
        plan = plan_devices(settings.device)
        shared = estimate.shared if estimate.shared_on_cpu or plan.platform != "cpu" else {}
        for line in (plan.line, *plan.share_lines(shared)):
            console.print_line(f"  {line}")
        if not read or not estimate.seconds:
            return  # Without a measurement, or for a kind without an estimate, there is no size to print.
        available = available_memory()
        console.print_line(
            f"  memory about {format_bytes(estimate.memory_bytes)} of {format_bytes(available)} available, "
            f"time about {console.format_duration(estimate.whole_seconds)}{_other_times(estimate)}"
        )
        if plan.platform == "cpu":
            estimate.require_fit(available, kind.memory_remedy)
        elif plan.memory:
            _compare_with_device(estimate.device_bytes(plan.count), plan, kind.memory_remedy)
    except UnflatError as error:
        problems.append(error)


def _other_times(estimate: Estimate) -> str:
    """Describe the times of other methods."""
    times = (f"unflat {name}: {console.format_duration(time)}" for name, time in estimate.other_seconds.items())
    listed = ", ".join(times)
    return f" ({listed})" if listed else ""


def _compare_with_device(needed: int, plan: DevicePlan, remedy: str) -> None:
    """Print the memory that a run takes on each GPU, and warn where there is less: other arrays may share it."""
    title = plan.platform.upper()
    console.print_line(f"  about {format_bytes(needed)} of {format_bytes(plan.memory)} on each {title}")
    if needed > plan.memory:
        console.warn(f"a {title} has less memory than the run likely needs: {remedy}")
