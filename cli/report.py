"""``unflat report``: a run in one HTML file."""

from pathlib import Path

import click

from . import console
from .options import PATH


@click.command()
@click.argument("run", type=PATH)
@click.option("-o", "--output", type=PATH, help="The file to write; report.html in the run's folder if absent.")
@click.option("--force", is_flag=True, help="Replace the report where it already exists.")
def command(run: Path, output: Path | None, force: bool) -> None:
    """Write the report of RUN: one HTML file that opens anywhere, offline, and prints.

    It tells how good the result is and what that means, and shows measured beside modelled images, slices, the course
    of the fit, the metrics, warnings, the config, and where everything came from. A run that failed or was stopped gets
    a report of what there is.

    \b
    Examples:
      unflat report RUN
      unflat report RUN --force
      unflat report RUN -o cell7.html
    """
    from ..recon.visualization.report import write_report

    target = output or run / "report.html"
    if output is not None or run.is_dir():  # Where there is no run, that is the fault to tell.
        console.refuse_to_overwrite(target, force=force)
    console.report_file(write_report(run, output))
