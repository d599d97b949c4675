"""``unflat check``: every fault at once, before hours of computing."""

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
from ..recon.memory import available_memory, format_bytes
from ..recon.runs.estimate import Estimate
from . import console
from .options import PATH, config_options


@click.command()
@click.argument("config", type=PATH)
@click.argument("acquisition", type=PATH, required=False)
@click.option("--light", is_flag=True, help="Compare the described light with other orientations, by the images.")
@config_options
def command(config: Path, acquisition: Path | None, overrides: list[str], light: bool) -> int:
    """Find every fault of a CONFIG, and of the ACQUISITION that it describes, and estimate memory and time.

    Nothing is computed, except with --light: that ranks orientations of the light and signs of the focus by how well
    each view follows from the others. The exit status is not 0 if anything is wrong: 2 for the config, 3 for the data,
    4 for a run larger than this machine, 5 for light that another description explains better.

    \b
    Examples:
      unflat check run.yaml
      unflat check run.yaml scan.h5
      unflat check run.yaml scan.h5 --light
      unflat check run.yaml scan.h5 --set volume.depth='9 um' && sbatch job.sh
    """
    settings: Any = load_config(config, overrides)
    kind = get_experiment(settings.kind)
    problems: list[UnflatError] = []
    measured = _read(kind, settings, acquisition, problems) if acquisition else None
    _look_at_named(kind, settings, problems)
    if measured is not None and not problems:
        _print_remarks(kind, settings, measured, problems)
    if acquisition is None or measured is not None:
        _estimate(kind, settings, measured, problems)
    if light and not problems:
        _check_light(kind, settings, measured, problems)
    for problem in problems:
        for fault in problem.faults:
            console.error(str(fault))
    if problems:
        return min(problem.status for problem in problems)
    inputs = f"{config} and {acquisition} are" if acquisition else f"{config} is"
    console.print_line(f"{inputs} complete and readable")
    return 0


def _read(kind: Experiment, settings: Any, path: Path, problems: list[UnflatError]) -> Acquisition | None:
    """Read the acquisition as a fit would: that checks every path that the config names against the file."""
    try:
        measured = kind.read(settings, path)
    except UnflatError as error:
        problems.append(error)
        for fault in kind.missing_settings(settings):
            console.warn(str(fault))
        return None
    if faults := kind.validate(measured):
        problems.append(DataError(*faults))
    units = {entry.name: entry.unit for entry in kind.schema}
    notes = {name: f" {unit}" for name, unit in units.items() if unit not in ("1", "m")}
    for entry in kind.schema:
        if entry.hides and entry.name in measured:
            mask = measured[entry.name]
            notes[entry.name] = f", {np.count_nonzero(mask)} of {mask.size} pixels masked"
    for name, array in measured.arrays.items():
        console.print_line(f"  {name}: {_summary(array, units.get(name, '1'))}{notes.get(name, '')}")
    for note in measured.notes:
        console.print_line(f"  {note}")
    return measured


def _look_at_named(kind: Experiment, settings: Any, problems: list[UnflatError]) -> None:
    """See whether the files are there that the config names for a way of reconstruction, such as ``fit.start``."""
    for method in filter(kind.offers, RECONSTRUCTIONS):
        try:
            kind.input_files(method, settings)
            if method == "fit":
                kind.initial_guess_file(settings)
        except UnflatError as error:
            problems.append(error)


def _print_remarks(kind: Experiment, settings: Any, measured: Acquisition, problems: list[UnflatError]) -> None:
    """Print what a kind has to say of its methods' use for the measurement."""
    for method in filter(kind.offers, RECONSTRUCTIONS):
        try:
            notes, warnings = kind.remarks(method, settings, measured)
        except UnflatError as error:
            problems.append(error)
            continue
        for note in notes:
            console.print_line(f"  {note}")
        for warning in warnings:
            console.warn(warning)


def _check_light(kind: Experiment, settings: Any, measured: Acquisition | None, problems: list[UnflatError]) -> None:
    """Print the ranking of descriptions of the light."""
    try:
        if measured is None:
            raise ConfigError(Diagnostic("--light", "needs a measurement", "name the ACQUISITION too"))
        lines, faults = kind.check_light(settings, measured)
    except UnflatError as error:
        problems.append(error)
        return
    for line in lines:
        console.print_line(f"  {line}")
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


def _estimate(kind: Experiment, settings: Any, measured: Acquisition | None, problems: list[UnflatError]) -> None:
    try:
        estimate: Estimate = kind.estimate(settings, measured)
        for line in estimate.lines:
            console.print_line(f"  {line}")
        plan = plan_devices(settings.device)
        shared = estimate.shared if estimate.shared_on_cpu or plan.platform != "cpu" else {}
        for line in (plan.line, *plan.share_lines(shared)):
            console.print_line(f"  {line}")
        if measured is None or not estimate.seconds:
            return  # Without a measurement, or for a kind without an estimate, there is no size to print.
        available = available_memory()
        console.print_line(
            f"  memory about {format_bytes(estimate.memory_bytes)} of {format_bytes(available)} available, "
            f"time about {console.format_duration(estimate.seconds)}"
        )
        if plan.platform == "cpu":
            estimate.require_fit(available, kind.memory_remedy)
        elif plan.memory:
            _compare_with_device(estimate.device_bytes(plan.count), plan, kind.memory_remedy)
    except UnflatError as error:
        problems.append(error)


def _compare_with_device(needed: int, plan: DevicePlan, remedy: str) -> None:
    """Print the memory that a run takes on each GPU, and warn where there is less: other arrays may share it."""
    title = plan.platform.upper()
    console.print_line(f"  about {format_bytes(needed)} of {format_bytes(plan.memory)} on each {title}")
    if needed > plan.memory:
        console.warn(f"a {title} has less memory than the run likely needs: {remedy}")
