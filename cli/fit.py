"""``unflat fit``: a neural field fitted to one measurement, through the physics."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recon.errors import Interrupted, QualityError, Stopped
from . import console
from .options import PATH, config_options, output_options, run_options

if TYPE_CHECKING:
    from ..recon.fitting.reconstruct import Reconstruction
    from ..recon.runs import StopRequest

_LATE = "after the last step: all results were written nevertheless"
"""What is said of a request to stop that came when little was left to do, less than going on would cost."""


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
) -> dict[str, float]:
    """Fit, with progress on the screen; what `unflat demo` calls too."""
    from ..recon import devices
    from ..recon.kinds import kind_named
    from ..recon.runs import RunFolder, Sentinel, StopRequest, available_memory
    from ..recon.settings import dump_commented

    kind = kind_named(settings.kind)
    measured = kind.read(settings, acquisition)
    device = devices.use(settings.device)
    if device.platform == "cpu":
        kind.estimate(settings, measured).require_fit(
            available_memory(), "crop or bin the images, widen volume.spacing, or use a larger machine"
        )
    from ..recon.fitting.reconstruct import Reconstruction, describe_input

    described = describe_input(acquisition)
    chosen = settings.model_dump(mode="json")
    chosen.pop("device")
    decisive = {"config": chosen, "input": described}
    with (
        StopRequest(time_limit) as stop,  # The outer one: a signal must not keep the folder from its sentinel.
        RunFolder.create(output, force=force, resume=resume, fingerprint=decisive) as folder,
    ):
        folder.write_config(dump_commented(settings))
        work = Reconstruction(kind, settings, measured, folder, described | {"config": chosen, "device": str(device)})
        numbers = _run(work, stop, output)
        _report(output, _sentence(numbers))
        late = stop.reason
        folder.finish(Sentinel.DONE, f"{_sentence(numbers)}{f'; {late} {_LATE}' if late else ''}")
    _tell(numbers, output)
    if stop.interrupted:  # A script at the keyboard is to end here.
        raise Interrupted(f"interrupted {_LATE}")
    if late:
        console.note(f"{late} {_LATE}")
    return numbers


def _run(work: "Reconstruction", stop: "StopRequest", output: Path) -> dict[str, float]:
    """Do the work, and say in the terms of a shell how it ended."""
    try:
        with console.progress("fit") as progress:
            return work.run(progress, lambda: stop.reason)
    except Stopped as error:
        if stop.interrupted:
            raise Interrupted(*error.faults) from error
        raise
    except QualityError as error:  # The result is kept, and its report is where to look.
        _report(output, str(error))
        _tell_files(output)
        raise


def _report(output: Path, reason: str) -> None:
    """Write the report of a run whose sentinel, which comes last, will say that it is done."""
    from ..recon.reports import write_report
    from ..recon.runs import Sentinel

    write_report(output, end=(Sentinel.DONE, reason))


def _sentence(numbers: dict[str, float]) -> str:
    kind = "withheld" if "residual_withheld" in numbers else "fitted"
    return f"residual of {kind} views {numbers[f'residual_{kind}']:.4f} after {numbers['steps']:.0f} steps"


def _tell(numbers: dict[str, float], output: Path) -> None:
    """Print what a person wants to know at once."""
    console.say(f"{_sentence(numbers)}; {console.duration(numbers['seconds'])}")
    if not numbers.get("residual_withheld", numbers["residual_fitted"]) < 1:
        console.warn("a residual of 1 is an empty box's: this result explains nothing of the images")
    if "snr" in numbers:
        console.say(f"against the truth: SNR {numbers['snr']:.2f} dB, NCC {numbers['ncc']:.4f}")
    _tell_files(output)


def _tell_files(output: Path) -> None:
    for name in ("model.h5", "volume.h5", "report.html"):
        if (output / name).exists():
            console.wrote(output / name)
