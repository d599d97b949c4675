"""Options that several commands share, so that each means the same everywhere."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import click

from ..recon.io.confinement import allow_external_files
from . import console

F = TypeVar("F", bound=Callable[..., Any])


class InputPath(click.Path):
    """Path that the command reads, and therefore does not replace."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert a word of the command line to a path, and record it."""
        from ..recon.io.entry_name import split_entry
        from ..recon.io.inputs import record_input
        from ..recon.runs.contents import files_of_run

        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        name = "" if param is None else param.human_readable_name.rstrip(".")
        for file in files_of_run(path) or [split_entry(path)[0]]:
            record_input(file, name)
        return path


PATH = InputPath(path_type=Path)
"""Argument type of a path that is read. Whether it must be there is for the reader to say, so that a missing file is a
fault of the data in every command."""
OUTPUT = click.Path(path_type=Path)
"""Argument type of a path that is written."""


def kind_name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Take the name of a kind that there is, as a callback: of one word a choice would say "'b' is not 'a'"."""
    from ..recon.experiments import experiment_names, unknown_kind

    if value not in experiment_names():
        raise click.BadParameter(f"{unknown_kind(value)}; there is: {', '.join(experiment_names())}")
    return value


def complete_kind(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a kind, as the shell asks for it."""
    from ..recon.experiments import experiment_names

    return [name for name in experiment_names() if name.startswith(incomplete)]


KIND: dict[str, Any] = {"callback": kind_name, "shell_complete": complete_kind}
"""Settings of an argument or option that names a kind: its check and its completion."""


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Read a time on the command line, as an option's callback: ``90``, ``90 s``, ``10 min``, ``1.5 h``.

    Returns:
        The time [s], or None where the option was not given.
    """
    if value is None:
        return None
    from ..recon.config.units import parse_with_unit

    try:
        seconds, dimension = parse_with_unit(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as '10 min'") from None
    if dimension not in ("time", None) or not seconds > 0:
        raise click.BadParameter(f"{value!r} is not a positive time such as '10 min'")
    return seconds


def config_options(command: F) -> F:
    """Add ``--set``, ``--seed`` and ``--device``.

    The command gets one argument, ``overrides``: a list of ``key=value`` for ``recon.settings.load_config``, in which
    the seed and the device are written as the config's own keys.
    """

    @click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set any value of the config, e.g. --set volume.depth='12 um'. May be repeated.",
    )
    @click.option("--seed", type=int, help="Set the config's seed.")
    @click.option("--device", type=click.Choice(["auto", "cpu", "gpu", "tpu"]), help="Set the config's device.")
    @wraps(command)
    def wrapper(*args: Any, assignments: tuple[str, ...], seed: int | None, device: str | None, **kwargs: Any) -> Any:
        overrides = list(assignments)
        overrides += [f"{key}={value}" for key, value in (("seed", seed), ("device", device)) if value is not None]
        return command(*args, overrides=overrides, **kwargs)

    return wrapper  # type: ignore[return-value]


def output_options(command: F) -> F:
    """Add ``-o/--output`` (required) and ``--force``: arguments ``output: Path`` and ``force: bool``."""
    command = click.option("--force", is_flag=True, help="Replace the output where it already exists.")(command)
    return click.option("-o", "--output", type=OUTPUT, required=True, help="File or folder to write.")(command)


def run_options(command: F) -> F:
    """Add ``--resume`` and ``--time-limit``: arguments ``resume: bool`` and ``time_limit: float | None`` [s]."""
    command = click.option(
        "--time-limit",
        metavar="TIME",
        callback=duration,
        help="Stop with a checkpoint and exit status 75 after this time, e.g. '50 min'.",
    )(command)
    return click.option("--resume", is_flag=True, help="Resume from the run's newest checkpoint.")(command)


RECEIVER = f"{__name__}.receiver"
"""Key of the function that takes the arguments of a method's command in place of it, among ``Context.meta``."""


class Inputs(NamedTuple):
    """Acquisitions of a command.

    Args:
        paths: Acquisitions, folders and patterns as given.
        each: Whether every entry of a folder, or every match of a pattern, is an acquisition of its own.
        retry_failed: Whether to try again what failed before.
        series: Coordinate of a series that the acquisitions are, with their positions if given; None for none.
    """

    paths: tuple[Path, ...]
    each: bool
    retry_failed: bool
    series: str | None = None


def _several_options(command: F) -> F:
    """Add ``--each`` and ``--retry-failed``: arguments ``each: bool`` and ``retry_failed: bool``."""
    command = click.option(
        "--retry-failed", is_flag=True, help="With --resume, of several acquisitions: try again those that failed."
    )(command)
    return click.option(
        "--each",
        is_flag=True,
        help="Take every file and folder in a folder, or every match of a pattern, as an acquisition of its own; "
        "without it only files such as HDF5, as images may be parts of one.",
    )(command)


def _process_options(command: F) -> F:
    """Add ``--coordinator``, ``--processes`` and ``--process``, for a run of several processes."""
    for option, text, kind in (
        ("--process", "Number of this process, from 0.", int),
        ("--processes", "Number of processes that work on this run together; 1 for this one alone.", int),
        ("--coordinator", "Of several processes: machine of process 0, and a free port there, HOST:PORT.", str),
    ):
        command = click.option(option, type=kind, help=text)(command)
    return command


series_option = click.option(
    "--series",
    "coordinate",
    metavar="NAME[=POSITIONS]",
    help="Take all ACQUISITIONs as a series of one specimen, for one model, with a coordinate such as time. Positions "
    "are those of the files, or given: time=0s,10s,20s; else the files' order.",
)
"""Adds ``--series``: an argument ``coordinate: str | None``."""


def run_arguments(
    *,
    measured: bool = True,
    distributed: bool = False,
    series: bool = False,
    shortcuts: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Add the arguments and options of every command that runs a method.

    These are CONFIG, ``-o``, ``--force``, ``--set``, ``--seed``, ``--device``, ``--resume`` and ``--time-limit``, and
    with a measurement also ACQUISITION, of which there may be several, ``--each`` and ``--retry-failed``. The command
    gets ``config`` (settings), ``inputs`` (`Inputs`), if there is a measurement, and ``options`` (`RunOptions`).

    Args:
        measured: Whether there is an ACQUISITION.
        distributed: Whether several processes can work on a run: adds ``--coordinator``, ``--processes`` and
            ``--process``, which ``srun`` and ``mpirun`` stand for.
        series: Whether several acquisitions can be one series: adds ``--series``.
        shortcuts: Options of the command itself, by name, and the settings that they stand for.
    """

    def decorate(command: Callable[..., int | None]) -> Callable[..., int | None]:
        @output_options
        @config_options
        @run_options
        @wraps(command)
        def wrapper(
            *,
            config: Path,
            output: Path,
            force: bool,
            overrides: list[str],
            resume: bool,
            time_limit: float | None,
            acquisitions: tuple[Path, ...] = (),
            each: bool = False,
            retry_failed: bool = False,
            coordinator: str | None = None,
            processes: int | None = None,
            process: int | None = None,
            coordinate: str | None = None,
            **own: Any,
        ) -> int | None:
            from ..recon.processes import plan_group, tell_of_signals

            group = plan_group(coordinator, processes, process) if distributed else None
            tell_of_signals(group)
            from ..recon.experiments.configs import load_config
            from ..recon.experiments.run import RunOptions
            from ..recon.runs.launch import command_line

            assignments = overrides + _assignments(shortcuts, own)
            settings = load_config(config, assignments)
            inputs = Inputs(acquisitions, each, retry_failed, coordinate)
            line = command_line(_words(config, inputs, output, assignments, time_limit), output)
            if group is not None and group.index:
                console.set_quiet(True)
            options = RunOptions(output, force, resume, time_limit, command=line, group=group)
            run = click.get_current_context().meta.get(RECEIVER, command)
            return run(settings, inputs, options) if measured else run(settings, options)  # type: ignore[no-any-return]

        arguments = _process_options(wrapper) if distributed else wrapper
        arguments = series_option(arguments) if series else arguments
        if measured:
            named = click.argument("acquisitions", type=PATH, nargs=-1, required=True, metavar="ACQUISITION...")
            arguments = named(_several_options(arguments))
        return click.argument("config", type=PATH)(arguments)

    return decorate


def _assignments(shortcuts: Mapping[str, str], own: Mapping[str, Any]) -> list[str]:
    """List the assignments of settings that the command's own options stand for."""
    # Not "in (None, False)": that would take 0 for an option that was not given.
    given = {shortcuts[name]: value for name, value in own.items() if value is not None and value is not False}
    return [f"{key}={value}" for key, value in given.items()]


def _words(
    config: Path, inputs: Inputs, output: Path, assignments: Sequence[str], time_limit: float | None
) -> tuple[str | Path, ...]:
    """Words of the command under way, which goes on from them after an interruption."""
    words: list[str | Path] = [click.get_current_context().info_name or "", config, *inputs.paths, "-o", output]
    words += [word for assignment in assignments for word in ("--set", assignment)]
    words += ["--each"] if inputs.each else []
    words += [] if inputs.series is None else ["--series", inputs.series]
    words += [] if time_limit is None else ["--time-limit", f"{time_limit:g} s"]
    return tuple(words)


def quantities_option(use: str) -> Callable[[F], F]:
    """Add ``--quantity``: an argument ``names: tuple[str, ...]``.

    Args:
        use: Use of the quantities, a verb.
    """
    return click.option(
        "--quantity",
        "--channel",
        "names",
        multiple=True,
        metavar="NAME",
        help=f"Name or number of a quantity or channel to {use}; all by default. May be repeated.",
    )


draw_option = click.option(
    "--draw", type=click.IntRange(0), help="Number of the draw, of a model of shapes; the mean of all if absent."
)
"""Adds ``--draw``: an argument ``draw: int | None``."""


def _external_files(_ctx: click.Context, _param: click.Parameter, choice: str | None) -> None:
    """Follow ``--external-files``, as its callback."""
    if choice is not None:
        allow_external_files(choice == "read")


def add_verbosity(command: click.Command) -> None:
    """Give a command ``-v``, ``-q`` and ``--external-files`` unless it has them: no command handles them itself."""
    if any(option.name == "verbose" for option in command.params):
        return
    command.params += [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=lambda _ctx, _param, count: console.set_verbosity(count),
            help="Print more; -vv for debugging.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=lambda _ctx, _param, quiet: console.set_quiet(quiet),
            help="Print errors only.",
        ),
        click.Option(
            ["--external-files"],
            type=click.Choice(["refuse", "read"]),
            expose_value=False,
            hidden=not isinstance(command, click.Group),
            callback=_external_files,
            help="Whether a file may take numbers from files outside its folder; any command takes this option.",
        ),
    ]
