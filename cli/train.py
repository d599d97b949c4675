"""``unflat train``: train a network on specimens of known truth."""

from typing import TYPE_CHECKING, Any

import click

from .options import run_arguments
from .running import run_command

if TYPE_CHECKING:
    from ..recon.experiments.run import RunOptions


@click.command()
@run_arguments(measured=False, distributed=True)
def command(config: Any, options: "RunOptions") -> None:
    """Train a network on specimens of known truth, by the settings of CONFIG, and write it to a run folder.

    The folder gets network.h5, to be given as predict.network, and metrics.jsonl with the loss and the results on
    held-out specimens. With --time-limit, or when the cluster sends SIGTERM, the training writes a checkpoint and ends
    with exit status 75. The same command with --resume continues it; --set can then raise the number of steps of its
    last stage.

    Crystals: worker processes (train.workers) simulate the specimens while the network trains, and store them in the
    folder until the training is done. The only stage is train.steps.

    Cells: as for crystals; specimens of the sorts in train.left_out are not trained on, but validated.

    Shapes: the network trains on cells of known shape (train.data), rotated copies of them, and simulated cells. After
    train.steps follows a distillation of train.distil steps, the last stage; the network before it is saved as
    teacher.h5. With train.folds the folder gets network-0.h5 and so on, each trained without one part of the cells and
    tested on that part; the number of steps of such a training cannot be changed on resuming.

    \b
    Examples:
      unflat train run.yaml -o NETWORK
      unflat train run.yaml -o NETWORK --set train.steps=50000 --set network.widths='[96, 192]'
      unflat train run.yaml -o NETWORK --resume --time-limit '11 h'
      unflat train shape.yaml -o FOLDS --set train.data=cells/ --set train.folds=5
    """
    run_command("train", config, None, options)
