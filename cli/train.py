"""``unflat train``: a network, from specimens whose truth is known."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Request, request_options
from .running import Job, Numbers, Way, reconstruct

if TYPE_CHECKING:
    from ..recon.experiments.base import Experiment, Lesson


@click.command()
@request_options(measured=False)
def command(request: Request) -> None:
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
    reconstruct(WAY, request)


def _lesson(kind: "Experiment") -> "Lesson":
    if kind.train is None:  # A way that is closed to a kind asks for nothing more.
        raise TypeError(f"there is no network for a {kind.name}")
    return kind.train


def _work(lesson: "Lesson", job: Job) -> Numbers:
    return lesson.run(job.settings, job.place)


def _named(kind: "Experiment", settings: Any) -> dict[str, Path]:
    """The network that training goes on from, and the measurements that it learns from, where there are any."""
    from ..recon.errors import ConfigError, Diagnostic
    from ..recon.io.network_file import path_before, read

    found, begun, data = {}, settings.train.network, _lesson(kind).data(settings)
    if begun is not None:
        found["train.network"] = path_before(begun, kind.name)
        read(found["train.network"], kind.name)
    if data is not None:
        if not Path(data).exists():
            raise ConfigError(Diagnostic("train.data", f"{str(data)!r} is not there", "check the path"))
        found["train.data"] = Path(data)
    return found


def _read(settings: Any) -> dict[str, Any]:
    """Describe what the network learns from and begins with: their checksums decide the result as the config does."""
    from ..recon.experiments import get_experiment
    from ..recon.runs import describe_input

    named = _named(get_experiment(settings.kind), settings)
    return {name.removeprefix("train."): describe_input(path) for name, path in named.items()}


def _sentence(kind: "Experiment", numbers: Numbers) -> str:
    judged = _lesson(kind).judged(numbers)
    trials = f"; {judged}" if judged else ""
    return f"trained on {numbers['examples']:,.0f} examples in {numbers['steps']:,.0f} steps{trials}"


def _tell(_kind: "Experiment", numbers: Numbers) -> list[str]:
    return [f"{numbers['network_parameters']:,.0f} numbers, {numbers['network_bytes'] / 1e6:.1f} MB"]


WAY = Way(
    name="train",
    part=lambda kind: kind.train,
    closed="there is no network for a {kind} to train",
    work=_work,
    sentence=_sentence,
    tell=_tell,
    files=("network.h5", "network-*.h5", "teacher.h5", "teacher-*.h5", "metrics.jsonl"),
    may_grow=lambda kind, settings: _lesson(kind).may_grow(settings),
    networks=True,
    require=_read,
    named=_named,
)
