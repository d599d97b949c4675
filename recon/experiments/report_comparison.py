"""Comparison of a run with a truth or with a second run, for its report."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, DataError, Diagnostic
from ..io.result import is_result, read_result
from ..io.volume_formats import read_volume
from ..model import Model
from ..visualization.report_comparison import ReportComparison
from ..visualization.report_figures import DeferredFigure
from ..visualization.run_data import RunData, gather
from ..volume import Volume
from . import get_experiment
from .base import Experiment
from .comparison import evaluate_files, place_in_series
from .specimens import SpecimenOptions
from .truth import read_pair

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..sampled import Sampled

_VOLUME = "volume.h5"


def compare_run(run: RunData, other: Path) -> ReportComparison:
    """Compare the result of a run.

    Args:
        run: Data of the run.
        other: A second run of the same kind; or a truth, as ``unflat evaluate`` takes it.

    Raises:
        ConfigError: If the second run is of another kind, or is the run itself.
        DataError: If one of them has no result, or cannot be read or compared.
    """
    if other.resolve() == run.folder.resolve():
        raise ConfigError(Diagnostic("--compare", f"{other} is the run itself", "name another run, or a truth"))
    experiment = get_experiment(run.kind)
    if other.is_dir() and is_result(other) and (other / "config.yaml").is_file():
        return _compare_with_run(run, other, experiment)
    options = place_in_series(run.folder, other, SpecimenOptions())
    numbers = evaluate_files(run.folder, other, options).numbers

    def draw() -> "Figure":
        result, truth = read_pair(run.folder, other, options)
        return _draw(experiment, truth, result, ("truth", "result"))

    caption = "The truth, the result, and where they differ, in planes through the middle."
    figure = DeferredFigure("Truth and result", caption, draw)
    return ReportComparison(f"the truth, {other.name}", _finite(numbers), figures=[figure])


def _compare_with_run(run: RunData, other: Path, experiment: Experiment) -> ReportComparison:
    second = gather(other)
    if second.kind != run.kind:
        message = f"{other} is a run of a {second.kind}, and {run.folder} of a {run.kind}"
        raise ConfigError(Diagnostic("--compare", message, "compare runs of one kind"))
    result, volume = read_result(run.folder), _sampled(other)
    file = other / _VOLUME
    numbers = (
        evaluate_files(run.folder, file).numbers if file.is_file() else experiment.evaluate(result, volume).numbers
    )
    names = _names_apart(other, run.folder)
    caption = f"{names[0]}, which is the reference, {names[1]}, and where they differ, in planes through the middle."
    figure = DeferredFigure("Both results", caption, lambda: _draw(experiment, volume, result, names))
    shared = [name for name in run.metrics if name in second.metrics]
    pairs = {name: (run.metrics[name], second.metrics[name]) for name in shared}
    return ReportComparison(f"the run {names[0]}", _finite(numbers), pairs, [figure], names)


def _names_apart(first: Path, second: Path) -> tuple[str, str]:
    """Name two folders by the shortest ends of their paths that differ, such as ``a/run`` and ``b/run``."""
    parts = [path.resolve().parts for path in (first, second)]
    count = next(n for n in range(1, max(map(len, parts)) + 1) if parts[0][-n:] != parts[1][-n:])
    one, other = ("/".join(part.strip("/") for part in each[-count:]) for each in parts)
    return one, other


def _sampled(run: Path) -> Volume:
    """Read the sampled result of a run; sample the model of a run without."""
    if (run / _VOLUME).is_file():
        return read_volume(run / _VOLUME)
    result = read_result(run)
    return result.volume(result.grid()) if isinstance(result, Model) else result


def _draw(experiment: Experiment, truth: Volume, result: "Sampled", names: tuple[str, str]) -> "Figure":
    """Draw both.

    Raises:
        DataError: If the kind has no such figure.
    """
    figure = experiment.comparison_figure(truth, result, names)
    if figure is None:
        raise DataError(f"a {experiment.name} has no figure of two results")
    return figure


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers with None for those that are not finite."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
