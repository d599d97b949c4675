"""``unflat bench``: how close each step is to what this machine can do."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..recon.errors import ConfigError, Diagnostic, Interrupted
from ..recon.experiments import experiment_names, get_experiment
from ..recon.experiments.methods import RECONSTRUCTIONS
from ..recon.signals import interrupts_raised
from . import console
from .options import OUTPUT, complete_kind, duration, kind_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..recon.benchmarking.case import Benchmark
    from ..recon.benchmarking.measurement import BenchmarkResult
    from ..recon.benchmarking.results import Conditions
    from ..recon.devices import Device

DEFAULT_TIME, QUICK_TIME = 120.0, 30.0
"""[s] Time of the measurements, and of a quick look."""
SMALLEST_EDGE, LARGEST_EDGE = 8, 4096


def _kinds(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Check the names of kinds; all kinds where none is named."""
    return tuple(dict.fromkeys(kind_name(context, parameter, name) for name in names))


def _edges(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Read sizes such as ``64,128``."""
    if text is None:
        return None
    try:
        edges = tuple(sorted({int(word) for word in text.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of whole numbers; write it as 64,128") from None
    if not all(SMALLEST_EDGE <= edge <= LARGEST_EDGE and edge % 2 == 0 for edge in edges):
        raise click.BadParameter(f"{text!r}: sizes are even numbers from {SMALLEST_EDGE} to {LARGEST_EDGE}")
    return edges


@click.command()
@click.argument("kinds", nargs=-1, metavar="[KIND]...", callback=_kinds, shell_complete=complete_kind)
@click.option("-o", "--output", type=OUTPUT, help="Write all numbers to this JSON file.")
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "gpu", "tpu"]), default="auto", show_default=True, help="Device."
)
@click.option("--quick", is_flag=True, help="Take small problems, one size each, without whole runs.")
@click.option("--sizes", callback=_edges, metavar="N,N", help="Measure these edges.")
@click.option(
    "--time-limit",
    metavar="TIME",
    callback=duration,
    help="Leave out what would take longer.  [default: 2 min; 30 s with --quick; none with --sizes]",
)
def command(
    kinds: tuple[str, ...],
    output: Path | None,
    force: bool,
    device: "Device",
    quick: bool,
    sizes: tuple[int, ...] | None,
    time_limit: float | None,
) -> None:
    """Measure how close each step is to what this machine can do.

    For each kind: forward model, gradient, step of a fit, iteration of projections, step of a network's flow, and a
    whole small run, each called in turns with its floor, which is the Fourier transforms or matrix products of the
    step alone. Then larger problems, as far as time and memory permit, with the exponent of the growth. On a GPU the
    table shows also the share of the copy bandwidth. Compiling is not counted. At the time limit, or at Ctrl-C, the
    tables show what was measured.

    \b
    Examples:
      unflat bench
      unflat bench crystal --sizes 64,128,256 -o bench.json
      unflat bench --quick --device gpu
    """
    if output is not None:
        console.refuse_to_overwrite(output, force=force)
    if time_limit is None and sizes is None:
        time_limit = QUICK_TIME if quick else DEFAULT_TIME
    end = None if time_limit is None else time.monotonic() + time_limit
    from ..recon import devices

    kinds_measured = list(kinds or experiment_names())
    networks = any(map(_is_convolutional, kinds_measured))
    devices.use(device, networks=networks)
    from ..recon.benchmarking.floors import copy_bandwidth
    from ..recon.benchmarking.machine import load_average
    from ..recon.benchmarking.results import Conditions, format_seconds
    from ..recon.benchmarking.runner import Limits, measure_all

    load = load_average()
    conditions = Conditions(copy_bandwidth(), load, networks)
    for line in conditions.lines():
        console.print_line(line)
    measurements: list[BenchmarkResult] = []
    omitted: list[str] = []

    def report(one: "BenchmarkResult") -> None:
        measurements.append(one)
        size, seconds = one.size.describe(one.batch_name), format_seconds(one.seconds)
        console.note(f"{one.kind}: {one.name}, {size}: {seconds}, {one.timing.ratio:.2f} x floor")

    ended = "failed"
    try:
        with interrupts_raised():
            measure_all(_benchmarks(kinds, quick=quick), Limits(end, sizes, quick), report, omitted.append)
        ended = ""
    except (KeyboardInterrupt, Interrupted):
        ended = "interrupted"
        raise
    finally:
        measurements.sort(key=lambda one: kinds_measured.index(one.kind))
        if measurements or not ended:
            _show(measurements, conditions, omitted)
            if output is not None:
                _write(output, measurements, conditions, omitted, ended)


def _show(measurements: "Sequence[BenchmarkResult]", conditions: "Conditions", omitted: "Sequence[str]") -> None:
    """Print the tables, and what was left out."""
    from ..recon.benchmarking.results import scaling_lines, table_lines

    for lines in (table_lines(measurements, conditions), scaling_lines(measurements, conditions)):
        if lines:
            console.print_line()
        for line in lines:
            console.print_line(line)
    if omitted:
        console.print_line()
        console.print_line("left out, and larger ones of the same functions (time: see --time-limit):")
        for line in omitted:
            console.print_line(f"  {line}")


def _is_convolutional(kind: str) -> bool:
    """Whether a kind has a network, whose functions are among those that are measured."""
    experiment = get_experiment(kind)
    return any(experiment.offers(name) and experiment.require(name).convolutional for name in RECONSTRUCTIONS)


def _benchmarks(kinds: tuple[str, ...], *, quick: bool) -> "dict[str, list[Benchmark]]":
    """Collect the hot functions of the kinds that were named, or of all kinds that have any.

    Raises:
        ConfigError: If a kind that was named has none.
    """
    listed = {}
    for name in kinds or experiment_names():
        every = get_experiment(name).benchmarks()
        if kinds and not every:
            raise ConfigError(Diagnostic("KIND", f"the kind {name!r} names no functions to measure"))
        listed[name] = [one for one in every if not (quick and one.is_job)]
    return listed


def _write(
    path: Path,
    measurements: "Sequence[BenchmarkResult]",
    conditions: "Conditions",
    omitted: "Sequence[str]",
    ended: str,
) -> None:
    from ..recon.benchmarking.results import to_json
    from ..recon.io.atomic import write_atomically

    text = json.dumps(to_json(measurements, conditions, omitted, ended), indent=1)
    with write_atomically(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    console.report_file(path)
