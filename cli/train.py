"""``unflat train``: a network, from specimens whose truth is known."""

from typing import TYPE_CHECKING, Any

import click

from .options import run_arguments
from .running import run_command

if TYPE_CHECKING:
    from ..recon.experiments.run import RunOptions


@click.command()
@run_arguments(measured=False)
def command(config: Any, options: "RunOptions") -> None:
    """Train a network on specimens whose truth is known, as CONFIG says, into a run folder.

    The folder gets network.h5, which predict takes as predict.network, and metrics.jsonl with the loss and the trials
    on held-out specimens. With --time-limit, or when the cluster sends SIGTERM, it ends with a checkpoint and exit
    status 75; the same command with --resume goes on, with more steps of its last part than before if --set says so.

    Of crystals: the specimens are simulated, by processes beside the training (train.workers), and kept in the folder
    until it is done; train.steps may grow.

    Of shapes: cells of known shape (train.data), the same turned in space, and simulated ones. After train.steps comes
    a distillation of train.distil steps, which alone may grow; the network before it is kept as teacher.h5. With
    train.folds the folder gets network-0.h5 and so on, each trained without a part of the cells and judged by it; such
    a training goes on with as many steps as it began with.

    \b
    Examples:
      unflat train run.yaml -o NETWORK
      unflat train run.yaml -o NETWORK --set train.steps=50000 --set network.widths='[96, 192]'
      unflat train run.yaml -o NETWORK --resume --time-limit '11 h'
      unflat train shape.yaml -o FOLDS --set train.data=cells/ --set train.folds=5
    """
    run_command("train", config, None, options)
