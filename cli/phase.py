"""``unflat phase``: iterative phase retrieval of one measurement."""

from collections.abc import Callable

import click

from .options import Request, request_options
from .running import Job, Numbers, Way, reconstruct


@click.command()
@request_options()
def command(request: Request) -> None:
    """Retrieve the phase of the ACQUISITION as CONFIG says, into a run folder.

    Many starts go through the recipe of projections; the best by pixels withheld from them are refined by Poisson
    likelihood, aligned and combined. The folder gets volume.h5 (density, amplitude, phase, displacement, strain, with
    their spread, and the solution in the detector's frame), metrics and report.html. With --time-limit, or when the
    cluster sends SIGTERM, it ends with a checkpoint and exit status 75; the same command with --resume goes on.

    \b
    Examples:
      unflat phase run.yaml scan.h5 -o RUN
      unflat phase run.yaml scan.zip -o RUN --set acquisition.crop='[128, 128, 128]'
      unflat phase run.yaml scan.h5 -o RUN2 --set phase.starts=20 --seed 3
      unflat phase run.yaml scan.h5 -o RUN --resume --time-limit '50 min'
    """
    reconstruct(WAY, request)


def _work(phase: Callable[..., Numbers], job: Job) -> Numbers:
    return phase(job.settings, job.acquisition, job.place)


WAY = Way(
    name="phase",
    part=lambda kind: kind.phase,
    closed="a {kind}'s measurement is not phased by projections",
    work=_work,
    sentence=lambda kind, numbers: kind.sentence(numbers),
    tell=lambda kind, numbers: kind.lines(numbers),
    files=("volume.h5",),
)
