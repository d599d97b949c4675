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


def likelihood(numbers: Numbers) -> str:
    """Say how well counts are explained."""
    free = f", free {numbers['llk_free']:.4g}" if "llk_free" in numbers else ""
    return f"Poisson deviance {numbers['llk']:.4g}{free}; chi {numbers['chi_rms']:.4f}"


def accuracy(numbers: Numbers) -> list[str]:
    """What a person wants to know at once."""
    lines = []
    if "agreement" in numbers:
        lines.append(f"agreement of the solutions {numbers['agreement']:.3f}")
    if "correlation" in numbers:
        lines.append(
            f"against the truth: correlation {numbers['correlation']:.4f}, phase error {numbers['phase_error']:.3f} rad"
        )
    return lines


WAY = Way(
    name="phase",
    part=lambda kind: kind.phase,
    closed="a {kind}'s measurement is not phased by projections",
    work=_work,
    sentence=likelihood,
    tell=accuracy,
    files=("volume.h5",),
)
