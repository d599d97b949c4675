"""``unflat report``: the report of a run as one HTML file."""

from pathlib import Path

import click

from . import console
from .options import OUTPUT, PATH

_ENDINGS = (".html", ".htm")


@click.command()
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=OUTPUT, help="File to write; report.html in the run folder by default.")
@click.option(
    "--compare",
    type=PATH,
    metavar="RUN2|TRUTH",
    help="Second run, or truth, that the report compares the result with.",
)
@click.option("--force", is_flag=True, help="Replace an existing report.")
def command(run: Path, output: Path | None, compare: Path | None, force: bool) -> None:
    """Write the report of the run folder RUN: one HTML file that needs no network and can be printed.

    It states the quality of the result, and shows the surface, which can be turned, measured beside modelled images,
    slices, the loss curve, measures, metrics, warnings, the config, the command and versions. The report of a run that
    failed or was stopped shows what exists.

    --compare adds a truth, as 'unflat evaluate' takes it, or a second run of the same kind: numbers, and a figure of
    both with their difference.

    Of a folder with the runs of several acquisitions, it writes the table results.csv and the page index.html, from
    what the runs hold by now: 'unflat submit' has this done after the last task of an array.

    \b
    Examples:
      unflat report RUN
      unflat report RUN --force
      unflat report RUN -o cell7.html
      unflat report RUN -o against_truth.html --compare scan.h5
      unflat report RUN -o two_runs.html --compare RUN2
      unflat report RUNS --force
    """
    from ..recon.errors import ConfigError, Diagnostic
    from ..recon.runs.batch_files import is_batch

    if is_batch(run):
        _report_batch(run, output, compare, force=force)
        return
    from ..recon.experiments.report import write_run_report

    target = output or run / "report.html"
    if target.suffix.lower() not in _ENDINGS:
        raise ConfigError(
            Diagnostic(str(target), "a report is a page of HTML", f"call it {target.stem or 'report'}.html")
        )
    if output is not None or run.is_dir():  # Without a run, its absence is the fault to report.
        console.refuse_to_overwrite(target, force=force)
    console.report_file(write_run_report(run, output, compare=compare))


def _report_batch(runs: Path, output: Path | None, compare: Path | None, *, force: bool) -> None:
    """Write the table and the page of a batch."""
    from ..recon.errors import ConfigError
    from ..recon.experiments.batch_tasks import write_batch_results
    from ..recon.io.inputs import forget_inputs_within
    from ..recon.runs.batch_files import TABLE

    if output is not None:
        raise ConfigError(f"{runs} holds several runs: their table and page are written into it, without -o")
    if compare is not None:
        raise ConfigError(f"{runs} holds several runs: compare one of them, without the others")
    forget_inputs_within(runs)  # Table and page are written from the runs into their folder.
    console.refuse_to_overwrite(runs / TABLE, force=force)
    for path in write_batch_results(runs):
        console.report_file(path)
