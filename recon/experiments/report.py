"""Report of a run of any kind of experiment."""

from pathlib import Path

from ..errors import UnflatError
from ..runs.contents import Sentinel
from ..visualization.report import ReportContent, write_report
from ..visualization.run_data import RunData, gather
from . import get_experiment
from .series_report import SeriesContent, is_series


def write_run_report(
    run: Path,
    output: Path | None = None,
    end: tuple[Sentinel, str] | None = None,
    compare: Path | None = None,
) -> Path:
    """Write the report of a run.

    Args:
        run: Folder of the run; any of its parts may be missing.
        output: File to write; ``report.html`` in the folder if absent.
        end: Sentinel that is written after the report, and its reason; absent if the folder already holds one.
        compare: Truth or second run to compare the result with.

    Returns:
        The file written.

    Raises:
        ConfigError: If the run cannot be compared with what is named.
        DataError: If the folder holds nothing of a run, or the disk refuses.
    """
    data = gather(run, end)
    if compare is None:
        return write_report(data, _content_of(data), output)
    from .report_comparison import compare_run

    return write_report(data, _content_of(data), output, compare_run(data, compare))


def _content_of(data: RunData) -> ReportContent | None:
    try:
        experiment = get_experiment(data.kind)
    except UnflatError:
        return None
    return SeriesContent(experiment) if is_series(data.folder) else experiment
