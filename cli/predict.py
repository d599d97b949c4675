"""``unflat predict``: a trained network applied to one measurement."""

from typing import TYPE_CHECKING, Any

import click

from .options import Inputs, run_arguments
from .running import reconstruct

if TYPE_CHECKING:
    from ..recon.experiments.run import RunOptions


@click.command()
@click.option("--draws", type=int, help="Set predict.draws: number of draws.")
@click.option("--refine", is_flag=True, help="Set predict.refine: refine the network's answer through the physics.")
@click.option(
    "--adapt",
    type=int,
    metavar="STEPS",
    help="Set predict.adapt: steps of tuning the network to this measurement first.",
)
@run_arguments(shortcuts={"draws": "predict.draws", "refine": "predict.refine", "adapt": "predict.adapt"})
def command(config: Any, inputs: Inputs, options: "RunOptions") -> int | None:
    """Apply a trained network to the ACQUISITION, as CONFIG describes, into a run folder.

    Crystal: the network was trained on simulated crystals and takes seconds. The draw that explains the measurement
    best is the result, and the spread of the draws its uncertainty. With --refine, the physics starts from the
    network's answer and takes a part of the time of 'unflat phase'; strongly strained crystals may need the latter.
    With --adapt, the network is first tuned to this measurement, without any truth; where that does not worsen it on
    simulated crystals, it is written beside the result as network.h5, for predict.network of the next scan.

    Cell: the network completes the beginning of a fit, or at once the linear answer (predict.start: linear); its mean
    is the result, and its draws differ where the light did not see. With --refine, a fit goes on from the mean.

    Shape: all draws are kept, as one continuous model for each cell; use them together. With --refine, each draw is
    fitted to its picture.

    Several ACQUISITIONs, a folder of HDF5 files or a pattern give a run folder each inside the output, with results.csv
    and index.html over all; one that fails is set aside, and the others go on.

    \b
    Examples:
      unflat predict run.yaml scan.h5 -o RUN
      unflat predict run.yaml scan.h5 -o RUN --refine
      unflat predict run.yaml scan.h5 -o RUN --draws 8 --set predict.network=NETWORK/network.h5
      unflat predict run.yaml scan.h5 -o RUN --adapt 50
      unflat predict cell.yaml scan.h5 -o RUN --refine
      unflat predict shape.yaml cells/ -o RUN --draws 20
      unflat predict run.yaml scans/ -o RUNS
    """
    return reconstruct("predict", config, inputs, options)
