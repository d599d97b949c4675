"""``unflat watch``: scans that are reconstructed as they arrive in a folder, or as a stream of frames."""

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recon.errors import ConfigError
from ..recon.signals import ends_with_work
from . import console
from .batch import print_outcome
from .options import PATH, InputPath, config_options, duration, output_options
from .watch_lines import WatchLines

if TYPE_CHECKING:
    from ..recon.experiments.watch import WatchOptions
    from ..recon.runs.folder_source import FolderSource
    from ..recon.runs.stream_source import StreamSource

_ZERO = re.compile(r"\s*0+(\.0*)?\s*(ms|s|min|h|d)?\s*")
"""Time of zero, with a unit or without one."""


def _duration_or_zero(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Read a time that may be 0, as an option's callback."""
    if value is not None and _ZERO.fullmatch(value):
        return 0.0
    return duration(context, parameter, value)


def _pattern(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Check a pattern of names inside the folder, as an option's callback."""
    if value is None:
        return None
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise click.BadParameter(f"{value!r} leads out of DIR; write it as 'scan_*.h5' or '*/master.h5'")
    if value.rfind("[") > value.rfind("]"):
        raise click.BadParameter(f"{value!r} has a '[' without its ']'; a '[' of a name is written '[[]'")
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


def _time_option(name: str, default: str, text: str) -> Callable[[Any], Any]:
    """Declare an option that is a time and has a default."""
    return click.option(name, callback=duration, default=default, show_default=True, metavar="TIME", help=text)


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
@_time_option("--settle", "2 s", "Time without a change after which a file may be whole.")
@_time_option("--patience", "30 s", "Time without a change after which a file that lacks its end is set aside.")
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
@_time_option("--silence", "60 s", "Time without a frame after which a scan of a stream is reported as interrupted.")
@click.option("--poll", is_flag=True, help="Look at DIR regularly, where the system does not report its changes.")
@click.option(
    "--cold",
    is_flag=True,
    help="Begin no scan with the result of a former one. Without it, the phasing of a crystal has a start with the "
    "density of the last sound scan, where that explains the new one, and fewer others; if the result is not sound, it "
    "begins again cold. Other methods always begin cold: in a cell, what the images leave open would stay as in the "
    "former one.",
)
@click.option(
    "--learn",
    is_flag=True,
    help="While no scan waits, tune the network to the last scans, without any truth. The new network is used from the "
    "next scan on if pixels that are withheld from it are explained better; it is kept in RUNS.",
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
    learn: bool,
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
      unflat watch crystal.yaml incoming/ -o RUNS --method predict --set predict.refine=true --learn
      unflat status RUNS
    """
    from ..recon.experiments import get_experiment
    from ..recon.experiments.configs import load_config
    from ..recon.experiments.watch import WatchOptions
    from ..recon.runs.launch import command_line

    settings: Any = load_config(config, overrides)
    experiment = get_experiment(settings.kind)
    chosen = method or experiment.default_method
    experiment.require(chosen)
    times = {"settle": settle, "patience": patience, "idle": idle, "time-limit": time_limit, "silence": silence}
    words = _command_words(
        (config, folder, "-o", output),
        [("set", assignment) for assignment in overrides]
        + [("method", method), ("pattern", pattern), ("every", every)],
        times,
        {"no-preview": no_preview, "poll": poll, "cold": cold, "learn": learn},
    )
    options = WatchOptions(output, force, retry_failed, time_limit, idle, cold, command_line(words, output))
    source = _SourceOptions(folder, pattern, settle, patience, silence, poll)
    lines = WatchLines(experiment, chosen)
    return _watch(lines, settings, source, options, every, has_previews=not no_preview, learns=learn)


@dataclass(frozen=True)
class _SourceOptions:
    """Options of the source of the scans, by the names of the command line."""

    folder: Path | str
    pattern: str | None
    settle: float
    patience: float
    silence: float
    poll: bool


def _watch(
    lines: WatchLines,
    settings: Any,
    source_options: _SourceOptions,
    options: "WatchOptions",
    every: int | None,
    *,
    has_previews: bool,
    learns: bool,
) -> int | None:
    """Watch a source until the end, and print what became of the scans."""
    from ..recon.experiments.learning import LearningOptions
    from ..recon.experiments.preview_source import PreviewSource
    from ..recon.experiments.watch import run_watch

    output, is_stream = options.output, not isinstance(source_options.folder, Path)
    with _open_source(source_options, output, lines.warn) as inner:
        reports = (lines.show_preview, lines.warn)
        source = PreviewSource(inner, lines.experiment, settings, output, *reports, every, expects_frames=is_stream)
        if learns:
            learning = LearningOptions(lines.show_lesson, lines.warn, source.use_config)
            options = replace(options, learning=learning)
        with source if has_previews else nullcontext(inner) as watched:
            shown = (console.progress, lines.show_row, lines.waiting)
            with ends_with_work():
                outcome = run_watch(lines.method, settings, watched, options, *shown)
        left = watched.arriving
    for one in left:
        console.note(f"left: {one.path.name} {one.reason}")
    print_outcome(outcome, output, "run the same command to go on")
    return outcome.exit_status


def _command_words(
    arguments: tuple[str | Path, ...],
    values: Sequence[tuple[str, str | int | None]],
    times: Mapping[str, float | None],
    flags: Mapping[str, bool],
) -> tuple[str | Path, ...]:
    """Words of the command that goes on.

    Args:
        arguments: Arguments, and the output.
        values: Options with a value; None for those that were not given.
        times: Options with a time [s].
        flags: Options without a value.
    """
    words: list[str | Path] = ["watch", *arguments]
    words += [word for name, value in values if value is not None for word in (f"--{name}", str(value))]
    words += [word for name, time in times.items() if time is not None for word in (f"--{name}", f"{time:g} s")]
    words += [f"--{name}" for name, is_set in flags.items() if is_set]
    return tuple(words)


def _open_source(
    options: _SourceOptions, output: Path, warn: Callable[[str], None]
) -> AbstractContextManager["FolderSource | StreamSource"]:
    """Make the source of the scans, a folder or a stream.

    Raises:
        ConfigError: If the options do not go with it, or it is no folder to be watched.
    """
    from ..recon.experiments.watch import require_apart
    from ..recon.runs.folder_source import FolderSource
    from ..recon.runs.stream_source import StreamSource

    folder, pattern = options.folder, options.pattern
    if isinstance(folder, Path):
        require_apart(folder, output)
        source = FolderSource(folder, pattern, options.settle, options.patience, poll=options.poll)
        return _noting_others(source, pattern)
    _refuse_folder_options(pattern, poll=options.poll)
    return StreamSource(folder, output, warn, options.silence)


@contextmanager
def _noting_others(source: "FolderSource", pattern: str | None) -> Iterator["FolderSource"]:
    """Open a folder, and tell how to take what is no scan by itself."""
    with source:
        _note_others(source, pattern)
        yield source


def _refuse_folder_options(pattern: str | None, *, poll: bool) -> None:
    """Refuse options that say how a folder is watched.

    Raises:
        ConfigError: If there is one.
    """
    if pattern is not None or poll:
        raise ConfigError(f"{'--poll' if poll else '--pattern'} goes with a folder, not with a stream")


def _note_others(source: "FolderSource", pattern: str | None) -> None:
    """Tell that the folder holds entries, none of which is a scan, and how to take them."""
    if source.arriving or not any(not entry.name.startswith(".") for entry in source.folder.iterdir()):
        return
    if pattern is not None:
        console.note(f"{source.folder} holds no entry that --pattern {shlex.quote(pattern)} matches, yet")
    else:
        console.note(
            f"{source.folder} holds no file of a whole measurement, such as HDF5, yet; to take other files or folders "
            "as a scan each, give --pattern"
        )
