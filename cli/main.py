"""Command line ``unflat``: the group of commands, and the conversion of errors to messages and exit statuses.

The module of a command is imported when the command runs, so that ``--help`` is instant.
"""

import errno
import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click
from click.shell_completion import CompletionItem

from ..recon.errors import ExitStatus, UnflatError
from ..recon.io.confinement import allow_external_files
from ..recon.io.inputs import recording_inputs
from ..recon.signals import was_interrupted
from ..recon.version import __version__
from . import console
from .options import add_verbosity

INTERNAL_ERROR = 1
BROKEN_PIPE = 141  # 128 + SIGPIPE
_PROCESSES = f"{__name__.partition('.')[0]}.recon.processes"
"""Module of runs of several processes, which is slow to import."""
_GROWING_FILES = f"{__name__.partition('.')[0]}.recon.io.growing_file"
"""Module of files that grow, which loads HDF5."""


class CommandEntry(NamedTuple):
    """Module of a command, which is imported when it runs, and its line in ``unflat --help``."""

    module: str
    help: str


COMMANDS = {
    "demo": CommandEntry("demo", "Simulate a specimen, reconstruct it, compare it with the truth, and write a report."),
    "init": CommandEntry("init", "Write a commented config."),
    "check": CommandEntry("check", "Check a config and an acquisition, and estimate memory and time."),
    "plan": CommandEntry("plan", "Plan an experiment: resolution, missing cone, counts, memory, what one more brings."),
    "info": CommandEntry("info", "Show the contents of a file."),
    "convert": CommandEntry("convert", "Convert files of an instrument to an acquisition."),
    "simulate": CommandEntry("simulate", "Simulate an acquisition that contains its truth."),
    "fit": CommandEntry("fit", "Fit a neural field to an acquisition."),
    "phase": CommandEntry("phase", "Retrieve the phase of a diffraction pattern by iterative projections."),
    "train": CommandEntry("train", "Train a network on simulated specimens."),
    "predict": CommandEntry("predict", "Predict a result from an acquisition by a network."),
    "watch": CommandEntry("watch", "Reconstruct scans as they arrive in a folder or a stream."),
    "volume": CommandEntry("volume", "Sample a model on a grid: HDF5, OME-TIFF, MRC, VTI, NPZ, CXI."),
    "query": CommandEntry("query", "Evaluate a model at any coordinates."),
    "mesh": CommandEntry("mesh", "Write the surface of a model: STL, PLY, OBJ."),
    "render": CommandEntry("render", "Draw a model: slices, projections, a spin, a zoom, an image under new light."),
    "measure": CommandEntry("measure", "Measure specimens: a table of size, surface, curvature, dry mass, strain."),
    "evaluate": CommandEntry("evaluate", "Compare a result with the truth."),
    "report": CommandEntry("report", "Write the report of a run: one HTML file."),
    "view": CommandEntry("view", "Show results and runs that go on in a browser: a live local page."),
    "submit": CommandEntry("submit", "Submit a command as a SLURM job, or an array of several acquisitions."),
    "replay": CommandEntry("replay", "Send an acquisition frame by frame, as a stream or a growing file."),
    "status": CommandEntry("status", "Show what became of many runs, why some died, and how they go on."),
    "bench": CommandEntry("bench", "Measure how close each step is to what this machine can do."),
    "doctor": CommandEntry("doctor", "Show devices and versions, and find what commonly fails on a machine."),
}


class ClosedPipe(Exception):  # noqa: N818 - the reader has what it needs: not an error
    """A program that reads the output, such as ``head``, has ended before the command."""


@contextmanager
def _keep_broken_pipe() -> Iterator[None]:
    """Raise a `BrokenPipeError` as `ClosedPipe`: Click would turn it into ``sys.exit(1)``."""
    try:
        yield
    except BrokenPipeError as error:
        raise ClosedPipe from error


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    @_keep_broken_pipe()
    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments of the group, which may print its help."""
        return super().make_context(info_name, args, parent, **extra)

    @_keep_broken_pipe()
    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{COMMANDS[cmd_name].module}", __package__).command
        command.name = cmd_name
        add_verbosity(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their lines from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown name, suggest a similar one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            close = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing its module."""
        items = [CompletionItem(name, help=e.help) for name, e in COMMANDS.items() if name.startswith(incomplete)]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 2 usage or config, 3 data, 4 device or memory, 5 below the quality gate, 75 stopped "
    "early by a signal or a time limit (a run has a checkpoint: go on with --resume; run other commands again), "
    "130 interrupted.",
)
@click.version_option(__version__, prog_name="unflat")
def cli() -> None:
    """Turn flat measurements into continuous 3D models.

    \b
    Begin with:
      unflat demo                                    run on a simulated cell
      unflat init cell -o run.yaml                   write a config
      unflat check run.yaml scan.h5                  check the config and the data
      unflat fit run.yaml scan.h5 -o RUN --set volume.depth='9 um'
    """


add_verbosity(cli)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    for stream in (sys.stdout, sys.stderr):  # Names in a damaged file need not be text that a terminal can show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status = run(arguments)
    if _PROCESSES in sys.modules:
        from ..recon.processes import leave_now

        leave_now(status)
    if (growing := sys.modules.get(_GROWING_FILES)) is not None and growing.BROKEN:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # HDF5 would try to write the file again, and crash.
    sys.exit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after ``unflat``; those of the process by default.

    Returns:
        The exit status.
    """
    console.reset()
    allow_external_files(None)
    try:
        with recording_inputs():
            result = cli.main(arguments, prog_name="unflat", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return ExitStatus.USAGE
    except UnflatError as error:
        if was_interrupted():  # The fault is what a library made of Ctrl-C.
            return _interrupted()
        for fault in error.faults:
            console.error(str(fault))
        if console.is_debugging():
            traceback.print_exc()
        return error.status
    except (KeyboardInterrupt, click.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # Click takes the end of any file for that of the terminal's input.
            return _unexpected(error.__cause__)
        return _interrupted()
    except ClosedPipe:
        return _end_of_closed_pipe()
    except SystemExit as error:
        return _status_of_exit(error.code)
    except Exception as error:
        return _interrupted() if was_interrupted() else _unexpected(error)
    finally:
        was_interrupted()
        console.reset()  # Whatever else this process prints does not follow the options of this command.
    # A command returns None or a status; any other value is a bug, which must not look like success.
    if result is None or result is True:
        return ExitStatus.DONE
    return int(result) if isinstance(result, int) and result is not False else INTERNAL_ERROR


def _interrupted() -> int:
    console.error("interrupted")
    return ExitStatus.INTERRUPTED


def _end_of_closed_pipe() -> int:
    """Redirect stdout to the null device, so that nothing is flushed into the closed pipe at exit.

    Returns:
        The status of a process that SIGPIPE ended, as a shell reports it for ``unflat ... | head``.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _status_of_exit(code: object) -> int:
    """Convert the argument of ``sys.exit`` to an exit status, as Python does; text goes to stderr."""
    if code is None:
        return ExitStatus.DONE
    if isinstance(code, int):
        return code
    console.error(str(code))
    return INTERNAL_ERROR


def _unexpected(error: Exception) -> int:
    """Report an unforeseen error in one line.

    Returns:
        The exit status.
    """
    if console.is_debugging():
        traceback.print_exc()
    summary = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in summary:
        console.error(
            f"out of memory: {summary[:200]}; take fewer pixels (acquisition.crop, acquisition.bin), a coarser "
            "volume.spacing, a smaller fit.batch, or a larger machine"
        )
        return ExitStatus.DEVICE
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{error.filename}: " if error.filename else ""
        remedy = "; free some space and run again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        console.error(f"{place}{os.strerror(error.errno)}{remedy}")
        return ExitStatus.DATA
    if place := _plugin_line(error):
        console.error(
            f"error in {place} of the kind's own package: {type(error).__name__}: {summary}; -vv shows the traceback"
        )
        return INTERNAL_ERROR
    console.error(
        f"internal error: {type(error).__name__}: {summary}; this is a bug in unflat: please report it, with what "
        "-vv shows"
    )
    return INTERNAL_ERROR


def _plugin_line(error: Exception) -> str:
    """File and line of a package that adds a kind, if it raised the error; empty if unflat did.

    Frames of libraries belong to whichever of the two called them.
    """
    from ..recon.experiments import top_level_packages

    own, others = __name__.partition(".")[0], top_level_packages()
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == own:
            return ""
        if package in others:
            return f"{frame.f_code.co_filename}:{line}"
    return ""
