"""``unflat fit``: a neural field fitted to one measurement, through the physics."""

from typing import TYPE_CHECKING, Any

import click

from .options import Inputs, run_arguments
from .running import reconstruct

if TYPE_CHECKING:
    from ..recon.experiments.run import RunOptions


@click.command()
@run_arguments(distributed=True, series=True)
def command(config: Any, inputs: Inputs, options: "RunOptions") -> int | None:
    """Fit a continuous model to the ACQUISITION as CONFIG describes, into a run folder.

    The folder receives model.h5 (the continuous model), volume.h5 (sampled), metrics and report.html. With
    --time-limit, or when the cluster sends SIGTERM, it ends with a checkpoint and exit status 75; the same command with
    --resume continues.

    Several ACQUISITIONs, a folder of HDF5 files or a pattern give a run folder each inside the output, with results.csv
    and index.html over all; one that fails is set aside, and the others go on. With --series they are one specimen in
    order, and one model is fitted to all: unflat query, volume and render take it --at any position.

    \b
    Examples:
      unflat fit run.yaml scan.h5 -o RUN --set volume.depth='9 um'
      unflat fit run.yaml scan.h5 -o RUN --resume --time-limit '50 min'
      unflat fit run.yaml scan.h5 -o RUN2 --set fit.field=voxels --seed 3
      unflat fit crystal.yaml rocking.h5 -o RUN --set fit.start=PHASED
      unflat fit run.yaml scans/*.h5 -o RUNS
      unflat fit run.yaml scans/ -o RUNS --resume
      unflat fit run.yaml t0.h5 t1.h5 t2.h5 -o RUN --series time
      unflat fit run.yaml t0.h5 t1.h5 t2.h5 -o RUN --series 'time=0s,30s,1min'
    """
    return reconstruct("fit", config, inputs, options)
