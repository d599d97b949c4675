"""``unflat report``: the report of a run as one HTML file."""

from pathlib import Path

import click

from . import console
from .options import OUTPUT, PATH


@click.command()
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=OUTPUT, help="File to write; report.html in the run folder by default.")
@click.option("--force", is_flag=True, help="Replace an existing report.")
def command(run: Path, output: Path | None, force: bool) -> None:
    """Write the report of the run folder RUN: one HTML file that needs no network and can be printed.

    It states the quality of the result, and shows measured beside modelled images, slices, the loss curve, metrics,
    warnings, the config and the provenance. The report of a run that failed or was stopped shows what exists.

    \b
    Examples:
      unflat report RUN
      unflat report RUN --force
      unflat report RUN -o cell7.html
    """
    from ..recon.experiments.report import write_run_report

    target = output or run / "report.html"
    if output is not None or run.is_dir():  # Without a run, its absence is the fault to report.
        console.refuse_to_overwrite(target, force=force)
    console.report_file(write_run_report(run, output))
