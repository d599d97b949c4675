"""Results of a series beside its model: a folder for each acquisition, as of a run of its own, and a table of all."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config import dump_commented
from ..io.atomic import write_atomically
from ..io.file_names import readable
from ..io.safe_hdf5 import set_root_attributes
from ..io.table import Cell, Column, Table
from ..metrics import metric_named
from ..runs.contents import SERIES, SERIES_TABLE, Sentinel
from ..runs.context import RunContext
from ..runs.folder import write_metrics, write_sentinel
from ..runs.verdict import Verdict
from .base import Experiment
from .series_input import Series


def write_acquisitions(
    experiment: Experiment,
    context: RunContext,
    series: Series,
    numbers: Sequence[Mapping[str, float]],
    verdicts: Sequence[Verdict],
) -> None:
    """Complete the folder of each acquisition by config, numbers, verdict and sentinel, and write the table of all.

    Args:
        experiment: Kind of experiment.
        context: Config and folder of the run.
        series: The acquisitions.
        numbers: Metrics of each acquisition.
        verdicts: Verdict on each.

    Raises:
        DataError: If the disk refuses.
    """
    config = readable(dump_commented(context.config))
    for name, own, verdict in zip(series.names, numbers, verdicts, strict=True):
        place = context.folder.path / SERIES / name
        with write_atomically(place / "config.yaml") as temporary:
            temporary.write_text(config, encoding="utf-8")
        write_metrics(place, own, verdict)
        for file in (place / "model.h5", place / "volume.h5"):
            if file.is_file():
                set_root_attributes(file, verdict.attributes())
        write_sentinel(place, Sentinel.DONE, experiment.summary_line(own))
    _write_table(context.folder.path / SERIES_TABLE, experiment, series, numbers, verdicts)


def _write_table(
    path: Path,
    experiment: Experiment,
    series: Series,
    numbers: Sequence[Mapping[str, float]],
    verdicts: Sequence[Verdict],
) -> None:
    shown = [name for name in experiment.main_numbers if any(name in own for own in numbers)]
    columns = (
        Column("acquisition"),
        Column(series.axis.name, series.axis.unit),
        Column("verdict"),
        Column("reasons"),
        *(Column(name, metric_named(name).unit) for name in shown),
    )
    rows: list[dict[str, Cell]] = []
    for name, position, own, verdict in zip(series.names, series.axis.positions, numbers, verdicts, strict=True):
        reasons = "; ".join(map(str, verdict.reasons))
        row: dict[str, Cell] = {"acquisition": name, series.axis.name: series.axis.number(position), "reasons": reasons}
        rows.append(row | {"verdict": str(verdict.soundness)} | {n: own.get(n, math.nan) for n in shown})
    Table(columns, tuple(rows)).save(path)
