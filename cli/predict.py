"""``unflat predict``: a trained network applied to one measurement."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import run_arguments
from .running import run_command

if TYPE_CHECKING:
    from ..recon.experiments.run import RunOptions


@click.command()
@click.option("--draws", type=int, help="Set predict.draws: how many answers are drawn.")
@click.option("--refine", is_flag=True, help="Set predict.refine: go on from the answer through the physics.")
@click.option(
    "--adapt", type=int, metavar="STEPS", help="Set predict.adapt: tune the network to this measurement first."
)
@run_arguments(shortcuts={"draws": "predict.draws", "refine": "predict.refine", "adapt": "predict.adapt"})
def command(config: Any, acquisition: Path, options: "RunOptions") -> None:
    """Give a network's answer to the ACQUISITION, as CONFIG says, into a run folder.

    Of a crystal: the network has seen simulated crystals only, and answers in seconds; the answer that explains the
    measurement best is kept, and the spread of the draws is its uncertainty. With --refine, the answer is where the
    physics starts from, in a part of the time of 'unflat phase'; strongly strained crystals may need the latter. With
    --adapt, the network is tuned to this measurement first, without any truth; if that does not harm it elsewhere, it
    is written beside the result as network.h5, for predict.network of the next scan.

    Of a shape: all draws are kept, as one continuous model a cell; take them together. With --refine, each is fitted to
    its picture.

    \b
    Examples:
      unflat predict run.yaml scan.h5 -o RUN
      unflat predict run.yaml scan.h5 -o RUN --refine
      unflat predict run.yaml scan.h5 -o RUN --draws 8 --set predict.network=NETWORK/network.h5
      unflat predict run.yaml scan.h5 -o RUN --adapt 50
      unflat predict shape.yaml cells/ -o RUN --draws 20
    """
    run_command("predict", config, acquisition, options)
