"""``unflat phase``: iterative phase retrieval of one measurement."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import run_arguments
from .running import run_command

if TYPE_CHECKING:
    from ..recon.experiments.run import RunOptions


@click.command()
@run_arguments()
def command(config: Any, acquisition: Path, options: "RunOptions") -> None:
    """Retrieve the phase of the ACQUISITION as CONFIG describes, into a run folder.

    Many starts go through the recipe of projections; the best by pixels withheld from them are refined by Poisson
    likelihood, aligned and combined. The folder receives volume.h5 (density, amplitude, phase, displacement, strain,
    with their spread, and the solution in the detector's frame), metrics and report.html. With --time-limit, or when
    the cluster sends SIGTERM, it ends with a checkpoint and exit status 75; the same command with --resume continues.

    \b
    Examples:
      unflat phase run.yaml scan.h5 -o RUN
      unflat phase run.yaml scan.zip -o RUN --set acquisition.crop='[128, 128, 128]'
      unflat phase run.yaml scan.h5 -o RUN2 --set phase.starts=20 --seed 3
      unflat phase run.yaml scan.h5 -o RUN --resume --time-limit '50 min'
    """
    run_command("phase", config, acquisition, options)
