"""``unflat watch``: scans that are reconstructed as they arrive in a folder."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recon.errors import ConfigError
from . import console
from .batch import print_outcome, print_row
from .options import PATH, InputPath, config_options, duration, output_options

if TYPE_CHECKING:
    from rich.status import Status

    from ..recon.experiments.preview import Preview
    from ..recon.experiments.watch import WatchProgress
    from ..recon.runs.folder_source import FolderSource
    from ..recon.visualization.batch_page import BatchRow

_SHOWN = 3
"""Most names in the line that is shown while scans are waited for."""


def _duration_or_zero(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Read a time that may be 0, as an option's callback."""
    if value is not None and value.strip().split(" ")[0] in ("0", "0.0"):
        return 0.0
    return duration(context, parameter, value)


def _pattern(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Check a pattern of names inside the folder, as an option's callback."""
    if value is None:
        return None
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise click.BadParameter(f"{value!r} leads out of DIR; write it as 'scan_*.h5' or '*/master.h5'")
    try:
        next(Path(os.devnull).glob(value), None)
    except (ValueError, NotImplementedError) as error:
        raise click.BadParameter(f"{value!r}: {error}") from None
    return value


class _SourceType(InputPath):
    """Argument type of a folder, or of the address of a stream."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """Leave an address as it is, and take anything else as a path that is read."""
        return value if str(value).startswith("tcp://") else super().convert(value, parameter, context)


@click.command()
@click.argument("config", type=PATH)
@click.argument("folder", type=_SourceType(path_type=Path), metavar="DIR|tcp://HOST:PORT")
@output_options
@config_options
@click.option(
    "--method",
    type=click.Choice(["fit", "phase", "predict"]),
    help="Method; by default fit for a cell, phase for a crystal, predict for shapes.",
)
@click.option(
    "--pattern",
    callback=_pattern,
    metavar="PATTERN",
    help="Names inside DIR that are a scan each, files or folders, e.g. '*.tif' or 'run_*/'; by default all files that "
    "hold a whole measurement, such as HDF5.",
)
@click.option(
    "--settle",
    callback=duration,
    default="2 s",
    show_default=True,
    metavar="TIME",
    help="Time without a change after which a file may be whole.",
)
@click.option(
    "--patience",
    callback=duration,
    default="30 s",
    show_default=True,
    metavar="TIME",
    help="Time without a change after which a file that lacks its end is set aside.",
)
@click.option(
    "--idle",
    callback=_duration_or_zero,
    metavar="TIME",
    help="End when no new scan has come for this time; 0 takes what is there, and ends.",
)
@click.option(
    "--time-limit",
    callback=duration,
    metavar="TIME",
    help="Stop with a checkpoint and exit status 75 after this time, e.g. '50 min'.",
)
@click.option(
    "--every",
    type=click.IntRange(1),
    metavar="FRAMES",
    help="Preview a scan that is being measured after so many new frames; by default a sixteenth of it.",
)
@click.option("--no-preview", is_flag=True, help="Make no previews of scans that are being measured.")
@click.option(
    "--silence",
    callback=duration,
    default="60 s",
    show_default=True,
    metavar="TIME",
    help="Time without a frame after which a scan of a stream is reported as interrupted.",
)
@click.option("--poll", is_flag=True, help="Look at DIR regularly, where the system does not report its changes.")
@click.option(
    "--cold",
    is_flag=True,
    help="Begin no scan with the result of a former one. Without it, the phasing of a crystal has a start with the "
    "density of the last sound scan, where that explains the new one, and fewer others; if the result is not sound, it "
    "begins again cold. Other methods always begin cold: in a cell, what the images leave open would stay as in the "
    "former one.",
)
@click.option("--retry-failed", is_flag=True, help="Try again the scans that failed before.")
@click.option("--resume", is_flag=True, help="Go on with what is there, as the command does in any case.")
def command(
    config: Path,
    folder: Path | str,
    output: Path,
    force: bool,
    overrides: list[str],
    method: str | None,
    pattern: str | None,
    settle: float,
    patience: float,
    idle: float | None,
    time_limit: float | None,
    every: int | None,
    no_preview: bool,
    silence: float,
    poll: bool,
    cold: bool,
    retry_failed: bool,
    resume: bool,
) -> int | None:
    """Reconstruct scans as they arrive in DIR or by a stream, with CONFIG for all, into run folders inside the output.

    A scan is taken when its file is whole: its size and time have not changed for the time of --settle, it has an end,
    and no program has it open for writing. Names under which files are copied (.x.h5.AbC12, x.h5.part) are passed over.
    Programs are compiled once; results.csv and index.html, which refreshes itself, show the newest. A scan that fails
    is set aside with its reason, and the others go on.

    An HDF5 file that grows frame by frame (SWMR), or a ZeroMQ stream of frames to an address (see 'unflat replay'), is
    previewed while it is measured, where the kind has previews: the network at once, the physics after it, with how far
    they can be trusted. What a stream brings is kept in RUNS/received.

    The command goes on until it is stopped, or for --idle. The same command goes on after any end: what is done is not
    done again, a scan that was interrupted goes on from its checkpoint, and a file that has changed is taken again.

    \b
    Examples:
      unflat watch crystal.yaml incoming/ -o RUNS
      unflat watch cell.yaml incoming/ -o RUNS --pattern 'day_*/*.h5' --idle '2 h'
      unflat watch crystal.yaml incoming/ -o RUNS --method predict --poll
      unflat watch crystal.yaml tcp://127.0.0.1:5555 -o RUNS --every 4
      unflat status RUNS
    """
    from ..recon.experiments import get_experiment
    from ..recon.experiments.configs import load_config
    from ..recon.experiments.preview_source import PreviewSource
    from ..recon.experiments.watch import WatchOptions, require_apart, run_watch
    from ..recon.runs.folder_source import FolderSource
    from ..recon.runs.launch import command_line
    from ..recon.runs.stream_source import StreamSource

    settings: Any = load_config(config, overrides)
    experiment = get_experiment(settings.kind)
    chosen = method or experiment.default_method
    experiment.require(chosen)
    words: list[str | Path] = ["watch", config, folder, "-o", output]
    words += [word for assignment in overrides for word in ("--set", assignment)]
    words += [] if method is None else ["--method", method]
    words += [] if pattern is None else ["--pattern", pattern]
    words += [] if every is None else ["--every", str(every)]
    times = {"--settle": settle, "--patience": patience, "--idle": idle, "--time-limit": time_limit}
    times["--silence"] = silence
    words += [word for name, time in times.items() if time is not None for word in (name, f"{time:g} s")]
    words += ["--no-preview"] * no_preview + ["--poll"] * poll + ["--cold"] * cold
    options = WatchOptions(output, force, retry_failed, time_limit, idle, cold, command_line(tuple(words), output))
    waiting = WaitingLine()

    def report(row: "BatchRow") -> None:
        print_row(experiment, chosen, row)

    def report_preview(name: str, preview: "Preview") -> None:
        waiting(None)
        console.print_line(f"{name}: {preview.line}")

    def tell(text: str) -> None:
        waiting(None)
        console.warn(text)

    if isinstance(folder, Path):
        require_apart(folder, output)
    else:
        _refuse_folder_options(pattern, poll=poll)
    opened = (
        FolderSource(folder, pattern, settle, patience, poll=poll)
        if isinstance(folder, Path)
        else StreamSource(folder, output, tell, silence)
    )
    with opened as inner:
        if isinstance(inner, FolderSource):
            _note_others(inner, pattern)
        source = PreviewSource(inner, experiment, settings, output, report_preview, tell, every)
        with nullcontext(inner) if no_preview else source as watched:
            outcome = run_watch(chosen, settings, watched, options, console.progress, report, waiting)
        left = watched.arriving
    for one in left:
        console.note(f"left: {one.path.name} {one.reason}")
    print_outcome(outcome, output, "run the same command to go on")
    return outcome.exit_status


def _refuse_folder_options(pattern: str | None, *, poll: bool) -> None:
    """Refuse options that say how a folder is watched.

    Raises:
        ConfigError: If there is one.
    """
    if pattern is not None or poll:
        raise ConfigError(f"{'--poll' if poll else '--pattern'} goes with a folder, not with a stream")


class WaitingLine:
    """Line that is shown while scans are waited for: one that refreshes at a terminal, a new one after a scan else."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._shown = ""

    def __call__(self, progress: "WatchProgress | None") -> None:
        """Show the progress; None removes the line."""
        if progress is None or console.is_quiet():
            if self._status is not None:
                self._status.stop()
                self._status = None
            return
        text = f"waiting for scans: {progress.done} done, {progress.failed} set aside"
        if sys.stderr.isatty():
            names = [f"{one.path.name} {one.reason}" for one in progress.arriving[:_SHOWN]]
            self._show("; ".join([text, *names, *(["…"] if len(progress.arriving) > _SHOWN else [])]))
        elif text != self._shown:
            self._shown = text
            console.note(text)

    def _show(self, text: str) -> None:
        from rich.console import Console
        from rich.text import Text

        if self._status is None:
            self._status = Console(stderr=True).status(Text(text))
            self._status.start()
        else:
            self._status.update(Text(text))


def _note_others(source: "FolderSource", pattern: str | None) -> None:
    """Tell how to take entries of the folder that are no scans by themselves, where there is no other."""
    if pattern is not None or source.arriving:
        return
    others = sum(not entry.name.startswith(".") for entry in source.folder.iterdir())
    if others:
        console.note(
            f"{source.folder} holds no file of a whole measurement, such as HDF5, yet; to take other files or folders "
            "as a scan each, give --pattern"
        )
