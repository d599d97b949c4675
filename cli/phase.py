"""``unflat phase``: iterative phase retrieval of one measurement."""

from typing import TYPE_CHECKING, Any

import click

from .options import Inputs, run_arguments
from .running import reconstruct

if TYPE_CHECKING:
    from ..recon.experiments.run import RunOptions


@click.command()
@run_arguments(distributed=True)
def command(config: Any, inputs: Inputs, options: "RunOptions") -> int | None:
    """Retrieve the phase of the ACQUISITION as CONFIG describes, into a run folder.

    Many starts go through the recipe of projections; the best by pixels withheld from them are refined by Poisson
    likelihood, aligned and combined. The folder receives volume.h5 (density, amplitude, phase, displacement, strain,
    with their spread, and the solution in the detector's frame), metrics and report.html. With --time-limit, or when
    the cluster sends SIGTERM, it ends with a checkpoint and exit status 75; the same command with --resume continues.

    Several ACQUISITIONs, a folder of HDF5 files or a pattern give a run folder each inside the output, with results.csv
    and index.html over all; one that fails is set aside, and the others go on.

    \b
    Examples:
      unflat phase run.yaml scan.h5 -o RUN
      unflat phase run.yaml scan.zip -o RUN --set acquisition.crop='[128, 128, 128]'
      unflat phase run.yaml scan.h5 -o RUN2 --set phase.starts=20 --seed 3
      unflat phase run.yaml scan.h5 -o RUN --resume --time-limit '50 min'
      unflat phase run.yaml scans/*.h5 -o RUNS
    """
    return reconstruct("phase", config, inputs, options)
