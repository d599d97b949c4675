"""``unflat train``: a network, from simulated specimens."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Request, request_options
from .running import Job, Numbers, Way, reconstruct

if TYPE_CHECKING:
    from ..recon.kinds.base import Kind


@click.command()
@request_options(measured=False)
def command(request: Request) -> None:
    """Train a network on specimens simulated as CONFIG says, into a run folder.

    The folder gets network.h5, which predict takes as predict.network, and metrics.jsonl with the loss and the trials
    on held-out specimens. With --time-limit, or when the cluster sends SIGTERM, it ends with a checkpoint and exit
    status 75; the same command with --resume goes on, with more steps than before if --set train.steps says so.
    Processes beside the training (train.workers) simulate the specimens and keep them in the folder until it is done.

    \b
    Examples:
      unflat train run.yaml -o NETWORK
      unflat train run.yaml -o NETWORK --set train.steps=50000 --set network.widths='[96, 192]'
      unflat train run.yaml -o NETWORK --resume --time-limit '11 h'
    """
    reconstruct(WAY, request)


def _work(train: Callable[..., Numbers], job: Job) -> Numbers:
    return train(job.settings, job.place)


def _named(kind: "Kind", settings: Any) -> dict[str, Path]:
    """The network that training goes on from, and the measurements that it learns from, where there are any."""
    from ..recon.errors import ConfigError, Fault
    from ..recon.networks.file import path_of, read

    found, wanted = {}, settings.train
    if wanted.network is not None:
        read(wanted.network, kind.name)
        found["train.network"] = path_of(wanted.network, kind.name)
    data = getattr(wanted, "data", None)  # Only some kinds learn from what was measured.
    if data is not None:
        found["train.data"] = Path(data)
        if not found["train.data"].exists():
            raise ConfigError(Fault("train.data", f"{data!r} is not there", "check the path"))
    return found


def _sentence(_kind: "Kind", numbers: Numbers) -> str:
    trials = ""
    if "held_out_correlation" in numbers:
        same, chi = numbers["held_out_correlation"], numbers["held_out_chi"]
        trials = f"; held-out specimens: correlation {same:.3f}, chi {chi:.3f}"
    return f"trained on {numbers['examples']:,.0f} examples in {numbers['steps']:,.0f} steps{trials}"


def _tell(_kind: "Kind", numbers: Numbers) -> list[str]:
    return [f"{numbers['network_parameters']:,.0f} numbers, {numbers['network_bytes'] / 1e6:.1f} MB"]


WAY = Way(
    name="train",
    part=lambda kind: kind.train,
    closed="there is no network for a {kind} to train",
    work=_work,
    sentence=_sentence,
    tell=_tell,
    files=("network.h5", "metrics.jsonl"),
    may_grow=("train.steps",),
    networks=True,
    named=_named,
)
