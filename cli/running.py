"""What every command that reconstructs into a run folder has in common: device, memory, signals, report, sentinel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from ..recon.errors import ConfigError, Diagnostic, Interrupted, QualityError, Stopped
from . import console
from .options import Request

if TYPE_CHECKING:
    from ..recon.experiments.base import Experiment
    from ..recon.runs import Progress, RunContext, StopRequest

Numbers: TypeAlias = dict[str, float]
Part = TypeVar("Part")
WAYS = ("fit", "phase", "predict")
"""Ways of reconstruction. Each is a command, whose module has it as ``WAY``."""
_LATE = "after the last step: all results were written nevertheless"
"""What is said of a request to stop that came when little was left to do, less than going on would cost."""


@dataclass(frozen=True)
class Job:
    """All that a way of reconstruction gets.

    Args:
        kind: What was measured.
        settings: The config.
        acquisition: The measurement, an `Acquisition`; None where there is none.
        place: Where everything goes, and who is told.
    """

    kind: "Experiment"
    settings: Any
    acquisition: Any
    place: "RunContext"


@dataclass(frozen=True)
class Way(Generic[Part]):
    """A way of reconstruction, as a command runs it.

    Args:
        name: Of the command.
        part: What a kind has for it; None where this way is closed to the kind.
        closed: Says so, of a ``{kind}``.
        work: Does it all with the kind's part, and gives the numbers of ``metrics.json``.
        sentence: Says how good the result is.
        tell: Gives further lines for the screen.
        files: What it leaves in the folder for people: names, or patterns of names.
        may_grow: Gives, of a kind and a config, the settings that may be larger when a run goes on.
        show: Shows what ``unflat demo`` ends with: of an acquisition with its truth, the run's folder and its numbers.
        networks: Whether it is a network that computes.
        require: Reads what else the settings name, before a folder is taken, and describes it for the provenance.
        named: Files that the settings name beside the acquisition, by setting, for a kind; refused where they are not
            what they should be.
    """

    name: str
    part: "Callable[[Experiment], Part | None]"
    closed: str
    work: Callable[[Part, Job], Numbers]
    sentence: "Callable[[Experiment, Numbers], str]"
    tell: "Callable[[Experiment, Numbers], list[str]]"
    files: tuple[str, ...]
    may_grow: "Callable[[Experiment, Any], tuple[str, ...]]" = lambda _kind, _settings: ()
    show: Callable[[Path, Path, Numbers], None] | None = None
    networks: bool = False
    require: Callable[[Any], Mapping[str, Any]] | None = None
    named: "Callable[[Experiment, Any], Mapping[str, Path]] | None" = None


def way_named(name: str) -> Way[Any]:
    """Find a way of reconstruction, by the name of its command."""
    way: Way[Any] = import_module(f".{name}", __package__).WAY
    return way


def reconstruct(way: Way[Part], request: Request) -> Numbers:
    """Reconstruct an acquisition into a run folder, with progress on the screen.

    Raises:
        UnflatError: Whatever ends the command with another status than 0.
    """
    from ..recon import devices
    from ..recon.config import dump_commented
    from ..recon.experiments import get_experiment
    from ..recon.runs import RunContext, RunFolder, Sentinel, StopRequest, available_memory, describe_input

    settings, output = request.settings, request.output
    kind = get_experiment(settings.kind)
    part = _part(way, kind)
    if not request.resume:  # A run that goes on deletes nothing, and may have what it needs in its folder by now.
        _require_elsewhere(way, kind, settings, output)
    beside = {} if way.require is None else way.require(settings)
    measured = None if request.acquisition is None else kind.read(settings, request.acquisition)
    device = devices.use(settings.device, networks=way.networks)
    if device.platform == "cpu" and measured is not None:
        kind.estimate(settings, measured).require_fit(available_memory(), kind.smaller)
    described = {**({} if request.acquisition is None else describe_input(request.acquisition)), **beside}
    chosen = settings.model_dump(mode="json")
    chosen.pop("device")
    decisive = {"config": chosen, "input": described}
    with (
        # The outer one: a signal must not keep the folder from its sentinel.
        StopRequest(request.time_limit) as stop,
        RunFolder.create(
            output,
            force=request.force,
            resume=request.resume,
            fingerprint=decisive,
            may_grow=way.may_grow(kind, settings),
        ) as folder,
    ):
        folder.write_config(dump_commented(settings))
        provenance = described | {"config": chosen, "device": str(device)}

        def work(progress: "Progress") -> Numbers:
            place = RunContext(folder, provenance, progress, lambda: stop.reason)
            return way.work(part, Job(kind, settings, measured, place))

        numbers = _run(way, work, stop, output)
        _report(output, way.sentence(kind, numbers))
        late = stop.reason
        folder.finish(Sentinel.DONE, f"{way.sentence(kind, numbers)}{f'; {late} {_LATE}' if late else ''}")
    _tell(way, kind, numbers, output)
    if stop.interrupted:  # A script at the keyboard is to end here.
        raise Interrupted(f"interrupted {_LATE}")
    if late:
        console.note(f"{late} {_LATE}")
    return numbers


def _part(way: Way[Part], kind: "Experiment") -> Part:
    """What the kind has for this way, or else which ways there are for the kind."""
    part = way.part(kind)
    if part is None:
        others = [f"unflat {name}" for name in WAYS if way_named(name).part(kind) is not None]
        takes = "which takes" if len(others) == 1 else "which take"
        remedy = f"use {' or '.join(others)}, {takes} the same config and acquisition" if others else ""
        raise ConfigError(Diagnostic("kind", way.closed.format(kind=kind.name), remedy))
    return part


def _require_elsewhere(way: Way[Part], kind: "Experiment", settings: Any, output: Path) -> None:
    """See the files that the settings name before a run's folder is taken, which may delete what is in it.

    Raises:
        ConfigError: If one lies in that folder.
    """
    for setting, path in ({} if way.named is None else way.named(kind, settings)).items():
        if path.resolve().is_relative_to(output.resolve()):
            message = f"{str(path)!r} lies in {str(output)!r}, which the run is to be written to"
            raise ConfigError(Diagnostic(setting, message, "write to another folder with -o"))


def _run(way: Way[Part], work: Callable[["Progress"], Numbers], stop: "StopRequest", output: Path) -> Numbers:
    """Do the work, and say in the terms of a shell how it ended."""
    try:
        with console.progress(way.name) as progress:
            return work(progress)
    except Stopped as error:
        if stop.interrupted:
            raise Interrupted(*error.faults) from error
        raise
    except QualityError as error:  # The result is kept, and its report is where to look.
        _report(output, str(error))
        _tell_files(way, output)
        raise


def _tell(way: Way[Part], kind: "Experiment", numbers: Numbers, output: Path) -> None:
    """Print what a person wants to know at once."""
    console.print_line(f"{way.sentence(kind, numbers)}; {console.format_duration(numbers['seconds'])}")
    for line in way.tell(kind, numbers):
        console.print_line(line)
    _tell_files(way, output)


def _report(output: Path, reason: str) -> None:
    """Write the report of a run whose sentinel, which comes last, will say that it is done."""
    from ..recon.runs import Sentinel
    from ..recon.visualization.report import write_report

    write_report(output, end=(Sentinel.DONE, reason))


def _tell_files(way: Way[Part], output: Path) -> None:
    for name in (*way.files, "report.html"):
        for path in sorted(output.glob(name)):
            console.report_file(path)
