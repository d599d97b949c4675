"""What every command that reconstructs into a run folder has in common: device, memory, signals, report, sentinel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..recon.errors import Interrupted, QualityError, Stopped
from . import console

if TYPE_CHECKING:
    from ..recon.acquisition import Acquisition
    from ..recon.kinds.base import Kind
    from ..recon.runs import Progress, RunFolder, StopRequest

Numbers: TypeAlias = dict[str, float]
_LATE = "after the last step: all results were written nevertheless"
"""What is said of a request to stop that came when little was left to do, less than going on would cost."""


@dataclass(frozen=True)
class Job:
    """All that a way of reconstruction gets.

    Args:
        kind: What was measured.
        settings: The config.
        acquisition: The measurement.
        folder: Where everything goes.
        provenance: Facts about the input and the config, for the result's files.
        progress: Told of each step.
        stop: Asked before each step; a text means to end early with a checkpoint, and why.
    """

    kind: "Kind"
    settings: Any
    acquisition: "Acquisition"
    folder: "RunFolder"
    provenance: Mapping[str, Any]
    progress: "Progress"
    stop: Callable[[], str | None]


@dataclass(frozen=True)
class Way:
    """A way of reconstruction, as a command runs it.

    Args:
        name: Of the command, for the progress on the screen.
        work: Does it all, and gives the numbers of ``metrics.json``.
        sentence: Says how good the result is.
        tell: Gives further lines for the screen.
        files: What it leaves in the folder for people.
        may_grow: Settings that may be larger when a run goes on.
    """

    name: str
    work: Callable[[Job], Numbers]
    sentence: Callable[[Numbers], str]
    tell: Callable[[Numbers], list[str]]
    files: tuple[str, ...]
    may_grow: tuple[str, ...] = ()


def reconstruct(
    way: Way,
    settings: Any,
    acquisition: Path,
    output: Path,
    *,
    force: bool,
    resume: bool,
    time_limit: float | None = None,
) -> Numbers:
    """Reconstruct an acquisition into a run folder, with progress on the screen.

    Raises:
        UnflatError: Whatever ends the command with another status than 0.
    """
    from ..recon import devices
    from ..recon.kinds import kind_named
    from ..recon.runs import RunFolder, Sentinel, StopRequest, available_memory, describe_input
    from ..recon.settings import dump_commented

    kind = kind_named(settings.kind)
    measured = kind.read(settings, acquisition)
    device = devices.use(settings.device)
    if device.platform == "cpu":
        kind.estimate(settings, measured).require_fit(available_memory(), kind.smaller)
    described = describe_input(acquisition)
    chosen = settings.model_dump(mode="json")
    chosen.pop("device")
    decisive = {"config": chosen, "input": described}
    with (
        StopRequest(time_limit) as stop,  # The outer one: a signal must not keep the folder from its sentinel.
        RunFolder.create(output, force=force, resume=resume, fingerprint=decisive, may_grow=way.may_grow) as folder,
    ):
        folder.write_config(dump_commented(settings))
        provenance = described | {"config": chosen, "device": str(device)}

        def job(progress: "Progress") -> Job:
            return Job(kind, settings, measured, folder, provenance, progress, lambda: stop.reason)

        numbers = _run(way, job, stop, output)
        _report(output, way.sentence(numbers))
        late = stop.reason
        folder.finish(Sentinel.DONE, f"{way.sentence(numbers)}{f'; {late} {_LATE}' if late else ''}")
    _tell(way, numbers, output)
    if stop.interrupted:  # A script at the keyboard is to end here.
        raise Interrupted(f"interrupted {_LATE}")
    if late:
        console.note(f"{late} {_LATE}")
    return numbers


def _run(way: Way, job: Callable[["Progress"], Job], stop: "StopRequest", output: Path) -> Numbers:
    """Do the work, and say in the terms of a shell how it ended."""
    try:
        with console.progress(way.name) as progress:
            return way.work(job(progress))
    except Stopped as error:
        if stop.interrupted:
            raise Interrupted(*error.faults) from error
        raise
    except QualityError as error:  # The result is kept, and its report is where to look.
        _report(output, str(error))
        _tell_files(way, output)
        raise


def _tell(way: Way, numbers: Numbers, output: Path) -> None:
    """Print what a person wants to know at once."""
    console.say(f"{way.sentence(numbers)}; {console.duration(numbers['seconds'])}")
    for line in way.tell(numbers):
        console.say(line)
    _tell_files(way, output)


def _report(output: Path, reason: str) -> None:
    """Write the report of a run whose sentinel, which comes last, will say that it is done."""
    from ..recon.reports import write_report
    from ..recon.runs import Sentinel

    write_report(output, end=(Sentinel.DONE, reason))


def _tell_files(way: Way, output: Path) -> None:
    for name in (*way.files, "report.html"):
        if (output / name).exists():
            console.wrote(output / name)
