"""``unflat fit``: a neural field fitted to one measurement, through the physics."""

from pathlib import Path
from typing import Any

import click

from ..recon.errors import ConfigError, Fault
from . import console
from .options import PATH, config_options, output_options, run_options
from .running import Job, Numbers, Way, reconstruct


@click.command()
@click.argument("config", type=PATH)
@click.argument("acquisition", type=PATH)
@output_options
@config_options
@run_options
def command(
    config: Path,
    acquisition: Path,
    output: Path,
    force: bool,
    overrides: list[str],
    resume: bool,
    time_limit: float | None,
) -> None:
    """Fit a continuous model to the ACQUISITION as CONFIG says, into a run folder.

    The folder gets model.h5 (the continuous model), volume.h5 (sampled), metrics and report.html. With --time-limit, or
    when the cluster sends SIGTERM, it ends with a checkpoint and exit status 75; the same command with --resume goes
    on.

    \b
    Examples:
      unflat fit run.yaml scan.h5 -o RUN --set volume.depth='9 um'
      unflat fit run.yaml scan.h5 -o RUN --resume --time-limit '50 min'
      unflat fit run.yaml scan.h5 -o RUN2 --set fit.field=voxels --seed 3
    """
    from ..recon.settings import load_config

    fit(load_config(config, overrides), acquisition, output, force=force, resume=resume, time_limit=time_limit)


def fit(
    settings: Any, acquisition: Path, output: Path, *, force: bool, resume: bool, time_limit: float | None = None
) -> Numbers:
    """Fit, with progress on the screen; what `unflat demo` calls too."""
    from ..recon.kinds import kind_named

    if kind_named(settings.kind).problem is None:
        message = f"no neural field is fitted to a {settings.kind} yet"
        raise ConfigError(Fault("kind", message, "use unflat phase, which takes the same config and acquisition"))
    return reconstruct(_WAY, settings, acquisition, output, force=force, resume=resume, time_limit=time_limit)


def _work(job: Job) -> Numbers:
    from ..recon.fitting.reconstruct import Reconstruction

    work = Reconstruction(job.kind, job.settings, job.acquisition, job.folder, job.provenance)
    return work.run(job.progress, job.stop)


def _sentence(numbers: Numbers) -> str:
    kind = "withheld" if "residual_withheld" in numbers else "fitted"
    return f"residual of {kind} views {numbers[f'residual_{kind}']:.4f} after {numbers['steps']:.0f} steps"


def _tell(numbers: Numbers) -> list[str]:
    """What a person wants to know at once."""
    if not numbers.get("residual_withheld", numbers["residual_fitted"]) < 1:
        console.warn("a residual of 1 is an empty box's: this result explains nothing of the images")
    if "snr" not in numbers:
        return []
    return [f"against the truth: SNR {numbers['snr']:.2f} dB, NCC {numbers['ncc']:.4f}"]


_WAY = Way("fit", _work, _sentence, _tell, ("model.h5", "volume.h5"), ("fit.steps",))
