"""``unflat fit``: a neural field fitted to one measurement, through the physics."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import console
from .options import Request, request_options
from .running import Job, Numbers, Way, reconstruct

if TYPE_CHECKING:
    from ..recon.experiments.base import Experiment


@click.command()
@request_options()
def command(request: Request) -> None:
    """Fit a continuous model to the ACQUISITION as CONFIG says, into a run folder.

    The folder gets model.h5 (the continuous model), volume.h5 (sampled), metrics and report.html. With --time-limit, or
    when the cluster sends SIGTERM, it ends with a checkpoint and exit status 75; the same command with --resume goes
    on.

    \b
    Examples:
      unflat fit run.yaml scan.h5 -o RUN --set volume.depth='9 um'
      unflat fit run.yaml scan.h5 -o RUN --resume --time-limit '50 min'
      unflat fit run.yaml scan.h5 -o RUN2 --set fit.field=voxels --seed 3
      unflat fit crystal.yaml rocking.h5 -o RUN --set fit.start=PHASED
    """
    reconstruct(WAY, request)


def _work(_problem: Callable[..., Any], job: Job) -> Numbers:
    from ..recon.optimize.fit import Reconstruction

    work = Reconstruction(job.kind, job.settings, job.acquisition, job.place)
    return work.run()


def _named(kind: "Experiment", settings: Any) -> dict[str, Path]:
    """What the fit begins with, where that is a file."""
    start = None if kind.start is None else kind.start(settings)
    return {} if start is None else {"fit.start": start}


def _sentence(kind: "Experiment", numbers: Numbers) -> str:
    steps = "1 step" if numbers["steps"] == 1 else f"{numbers['steps']:.0f} steps"
    return f"{kind.sentence(numbers)} after {steps}"


def _tell(kind: "Experiment", numbers: Numbers) -> list[str]:
    """What a person wants to know at once."""
    sizes = (
        f"model {numbers['model_bytes'] / 1e6:.2f} MB, {numbers['model_parameters']:,.0f} numbers; "
        f"volume {numbers['volume_bytes'] / 1e6:.2f} MB, {numbers['voxels']:,.0f} voxels"
    )
    return [*kind.lines(numbers), sizes]


def _show(acquisition: Path, run: Path, numbers: Numbers) -> None:
    """Draw the fit beside the truth, and tell of accuracy and sizes in one line each."""
    from ..recon.io.model_file import read_model
    from ..recon.io.volume_formats import read_volume
    from ..recon.visualization.comparison import compare_volumes
    from ..recon.visualization.style import save_figure

    picture = run.with_name("comparison.png")
    save_figure(compare_volumes(read_volume(acquisition), read_model(run)), picture)
    console.report_file(picture)
    console.print_line(f"SNR {numbers['snr']:.2f} dB   NCC {numbers['ncc']:.4f}   PSNR {numbers['psnr']:.2f} dB")
    if "residual_withheld" in numbers:
        console.print_line(
            f"residual of views that the fit never saw: {numbers['residual_withheld']:.3f} (1 is an empty box; "
            f"fitted views: {numbers['residual_fitted']:.3f})"
        )


WAY = Way(
    name="fit",
    part=lambda kind: kind.problem,
    closed="no neural field is fitted to a {kind} yet",
    work=_work,
    sentence=_sentence,
    tell=_tell,
    files=("model.h5", "volume.h5"),
    may_grow=lambda _kind, _settings: ("fit.steps",),
    show=_show,
    named=_named,
)
