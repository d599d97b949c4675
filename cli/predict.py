"""``unflat predict``: a trained network's answer to one measurement."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Request, request_options
from .running import Job, Numbers, Way, reconstruct

if TYPE_CHECKING:
    from ..recon.experiments.base import Experiment


@click.command()
@click.option("--draws", type=int, help="Set predict.draws: how many answers are drawn.")
@click.option("--refine", is_flag=True, help="Set predict.refine: go on from the answer through the physics.")
@click.option(
    "--adapt", type=int, metavar="STEPS", help="Set predict.adapt: tune the network to this measurement first."
)
@request_options(shortcuts={"draws": "predict.draws", "refine": "predict.refine", "adapt": "predict.adapt"})
def command(request: Request) -> None:
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
    reconstruct(WAY, request)


def _work(predict: Callable[..., Numbers], job: Job) -> Numbers:
    return predict(job.settings, job.acquisition, job.place)


def _network(settings: Any) -> dict[str, Any]:
    """Read the network, to find out in time that it is none; its checksum decides the result as the input's does."""
    from ..recon.io.network_file import path_of, read
    from ..recon.runs import describe_input

    read(settings.predict.network, settings.kind)
    found = {"network": path_of(settings.predict.network, settings.kind)}
    return {name: describe_input(path) for name, path in (found | _psf(settings)).items()}


def _psf(settings: Any) -> dict[str, Path]:
    """The microscope's blur, which only pictures have."""
    from ..recon.errors import ConfigError, Diagnostic
    from ..recon.io.volume_formats import read_stack

    named = getattr(settings.predict, "psf", None)
    if named is None:
        return {}
    if not Path(named).exists():
        raise ConfigError(Diagnostic("predict.psf", f"{named!r} is not there", "check the path"))
    read_stack(named)  # To find out in time that it is none.
    return {"psf": Path(named)}


def _named(kind: "Experiment", settings: Any) -> dict[str, Path]:
    """The network, where it is not the one that comes with unflat, and the microscope's blur."""
    from ..recon.io.network_file import SHIPPED, path_of, read

    name = settings.predict.network
    found = {f"predict.{part}": path for part, path in _psf(settings).items()}
    if name == SHIPPED:
        return found
    read(name, kind.name)
    return {"predict.network": path_of(name, kind.name)} | found


def _sentence(kind: "Experiment", numbers: Numbers) -> str:
    return f"{kind.sentence(numbers)}; the network took {numbers['seconds_of_answer']:.2g} s"


WAY = Way(
    name="predict",
    part=lambda kind: kind.predict,
    closed="there is no network that predicts a {kind}",
    work=_work,
    sentence=_sentence,
    tell=lambda kind, numbers: kind.lines(numbers),
    files=("model.h5", "models", "volume.h5", "scores.csv", "classes.csv", "network.h5"),
    networks=True,
    require=_network,
    named=_named,
)
