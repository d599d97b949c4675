"""``unflat phase``: iterative phase retrieval of one measurement."""

from pathlib import Path
from typing import Any

import click

from ..recon.errors import ConfigError, Fault
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
    from ..recon.settings import load_config

    phase(load_config(config, overrides), acquisition, output, force=force, resume=resume, time_limit=time_limit)


def phase(
    settings: Any, acquisition: Path, output: Path, *, force: bool, resume: bool, time_limit: float | None = None
) -> Numbers:
    """Retrieve the phase, with progress on the screen; what `unflat demo` calls too."""
    from ..recon.kinds import kind_named

    if kind_named(settings.kind).phase is None:
        message = f"a {settings.kind}'s measurement is not phased by projections"
        raise ConfigError(Fault("kind", message, "use unflat fit, which takes the same config and acquisition"))
    return reconstruct(_WAY, settings, acquisition, output, force=force, resume=resume, time_limit=time_limit)


def _work(job: Job) -> Numbers:
    if job.kind.phase is None:
        raise ConfigError(Fault("kind", f"a {job.kind.name}'s measurement is not phased"))
    return job.kind.phase(job.settings, job.acquisition, job.folder, job.provenance, job.progress, job.stop)


def _sentence(numbers: Numbers) -> str:
    free = f", free {numbers['llk_free']:.4g}" if "llk_free" in numbers else ""
    return f"Poisson deviance {numbers['llk']:.4g}{free}; chi {numbers['chi_rms']:.4f}"


def _tell(numbers: Numbers) -> list[str]:
    """What a person wants to know at once."""
    lines = []
    if "agreement" in numbers:
        lines.append(f"agreement of the solutions {numbers['agreement']:.3f}")
    if "correlation" in numbers:
        lines.append(
            f"against the truth: correlation {numbers['correlation']:.4f}, phase error {numbers['phase_error']:.3f} rad"
        )
    return lines


_WAY = Way("phase", _work, _sentence, _tell, ("volume.h5",))
