"""``unflat submit``: a command as a SLURM job, or an array of jobs."""

import re
from typing import TYPE_CHECKING, Any

import click

from .command_words import CommandWords
from .options import duration

if TYPE_CHECKING:
    from .submission import SubmitOptions

_NOT_SUBMITTED = ("submit", "status", "doctor")
_ARGUMENTS = f"{__name__}.arguments"
"""Key of the words of the command line among ``Context.meta``."""


def _time_limit(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read a time as unflat or as SLURM writes it: ``90 min``, ``01:30:00``, ``1-12:00:00``; no bare number."""
    if value is None:
        return None
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d\d))?(?::(\d\d))?", value.strip())
    if match and (match[1] or match[4]):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        if total := ((days * 24 + hours) * 60 + minutes) * 60 + seconds:
            return float(total)
    if match:
        raise click.BadParameter(f"{value!r} may be hours, minutes or seconds; write it as '90 min' or 01:30:00")
    return duration(ctx, param, value)


def _memory(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    """Read a size of memory, with a unit, as SLURM takes it: ``16 GB`` and ``16G`` as ``16G``."""
    if value is None:
        return ""
    match = re.fullmatch(r"(\d+)\s*([KMGT])(?:i?B)?", value.strip(), re.IGNORECASE)
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{value!r} is not a whole number with a unit; write it as '16 GB'")
    return f"{match[1]}{match[2].upper()}"


def _gpus(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    """Read a number of GPUs, which may have a type before it."""
    if value is not None and re.fullmatch(r"(?:[\w.-]+:)?[1-9]\d*", value) is None:
        raise click.BadParameter(f"{value!r} is not a number of GPUs; write it as 1, or with their type as a100:1")
    return value or ""


def _array(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[frozenset[int] | None, int]:
    """Read numbers of tasks, and how many of them may run at a time: ``0-9,12``, ``0-9%4``, ``%4``."""
    if value is None:
        return None, 0
    listed, _, limit = value.partition("%")
    spans = [re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", span) for span in listed.split(",")] if listed else []
    if not (listed or limit) or None in spans or ("%" in value and not re.fullmatch(r"[1-9]\d{0,6}", limit)):
        raise click.BadParameter(f"{value!r} is not a list of tasks; write it as 0-9, 0-9%4 or %4")
    ranges = [range(int(span[1]), int(span[2] or span[1]) + 1) for span in spans if span]
    return (frozenset(n for each in ranges for n in each) if listed else None), int(limit or 0)


class _RecordingCommand(click.Command):
    """Command that keeps its words, by which it can be given again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


@click.command(cls=_RecordingCommand, context_settings={"allow_interspersed_args": False})
@click.option("-p", "--partition", help="Partition of the cluster.")
@click.option("--gpus", callback=_gpus, metavar="N", help="Number of GPUs, also with a type: a100:1.")
@click.option("--cpus", type=click.IntRange(1), help="Number of cores, of each task.")
@click.option(
    "--tasks", type=click.IntRange(1), help="Number of processes that work on each run together, for fit, train, phase."
)
@click.option("--nodes", type=click.IntRange(1), help="Number of machines for the --tasks.")
@click.option("--memory", callback=_memory, metavar="SIZE", help="Memory of each machine, e.g. '16 GB'.")
@click.option("--time", "time_limit", callback=_time_limit, help="Time limit, e.g. '90 min', 01:30:00, 1-12:00:00.")
@click.option(
    "--margin",
    callback=duration,
    metavar="TIME",
    help="Time before the limit at which the command is asked to stop; 2 min by default, at most half of --time.",
)
@click.option(
    "--array",
    callback=_array,
    metavar="TASKS",
    help="Of several acquisitions: numbers of the tasks, and how many run at a time: 0-9, 0-9%4, %4. By default all.",
)
@click.option("--one-job", is_flag=True, help="Of several acquisitions: all in one job, one after the other.")
@click.option(
    "--sbatch",
    "further",
    multiple=True,
    metavar="OPTION",
    help="Another option of sbatch, e.g. --sbatch=--account=imaging. May be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Print the script, and do nothing else; works without SLURM.")
@click.option("--wait", is_flag=True, help="Follow the job, and end with the exit status of the command.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
@click.pass_context
def command(context: click.Context, /, words: tuple[str, ...], **options: Any) -> int | None:
    """Submit COMMAND, any command of unflat with its arguments, as a SLURM job.

    The script and the logs are in OUTPUT.slurm, beside the output of the command. Several ACQUISITIONs, a folder or a
    pattern become a job array with a task for each, whose run is OUTPUT/NAME. A short job after the last task writes
    OUTPUT/results.csv and OUTPUT/index.html; 'unflat status OUTPUT' shows the states. With --one-job, they are taken
    one after the other in one job, which is quicker for many small scans.

    Before its time limit, the job stops with a checkpoint and is requeued, until the result is complete. One side
    requeues, never both: the script does when the time limit is near (SIGUSR1, or the command's own --time-limit);
    SLURM does when a node fails or the job is preempted; nobody does after scancel. A second submission is refused
    while the first is in the queue.

    With --tasks, several processes, perhaps on several machines (--nodes), work on one run.

    With --wait, Ctrl-C ends the following only, and the job goes on.

    \b
    Examples:
      unflat submit --gpus 1 --time '1 h' -- fit run.yaml scan.h5 -o RUN
      unflat submit --time '2 h' --array %10 -- phase run.yaml scans/*.h5 -o RUNS
      unflat submit --time '2 h' -- phase run.yaml scans/*.h5 -o RUNS --resume --retry-failed
      unflat submit -p gpu --gpus 1 --time 1-00:00:00 --wait -- train run.yaml -o NETWORK
      unflat submit --tasks 4 --nodes 4 --gpus 4 --time '2 h' -- fit run.yaml scan.h5 -o RUN
      unflat submit --dry-run -- predict run.yaml scans/ -o RUNS
    """
    from .submission import submit

    inner = _parse(context, words)
    jobs = submit(inner, _options(context, words, options))
    if jobs and options["wait"]:
        from .follow import follow

        return follow(jobs)
    return None


def _parse(context: click.Context, words: tuple[str, ...]) -> CommandWords:
    """Parse the command to be submitted."""
    from .main import cli

    names = words[1:] if words[0] == "unflat" else words
    if not names or names[0] in _NOT_SUBMITTED:
        named = f"{names[0]!r} cannot be submitted" if names else "nothing is to be submitted"
        raise click.UsageError(f"{named}; name a command such as fit, phase, predict, train", context)
    return CommandWords.parse(cli, context.parent or context, names)


def _options(context: click.Context, words: tuple[str, ...], options: dict[str, Any]) -> "SubmitOptions":
    """Collect the options, and the words that gave them."""
    from ..recon.errors import ConfigError, Diagnostic
    from ..recon.runs.job_script import MARGIN, Resources
    from .submission import SubmitOptions

    limit, margin = options["time_limit"], options["margin"]
    if (options["nodes"] or 1) > (options["tasks"] or 1):
        remedy = f"give --tasks {options['nodes']} too, or more"
        raise ConfigError(Diagnostic("--nodes", "each machine needs a task at least", remedy))
    if limit is not None and margin is not None and margin >= limit:
        raise ConfigError(f"--margin of {margin:g} s is not shorter than --time of {limit:g} s")
    if margin is None:
        margin = MARGIN if limit is None else min(MARGIN, limit / 2)
    given = context.meta[_ARGUMENTS]
    own = [word for word in given[: len(given) - len(words)] if word not in ("--", "--dry-run", "--wait")]
    names = ("partition", "gpus", "cpus", "tasks", "nodes", "memory", "time_limit", "further")
    resources = Resources(**{name: options[name] for name in names if options[name] is not None})
    numbers, at_once = options["array"]
    return SubmitOptions(resources, margin, numbers, at_once, tuple(own), options["one_job"], options["dry_run"])
