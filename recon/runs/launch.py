"""Launch of a run: the command that makes it, the memory that it asks for, and the end of its job.

It is written when a run begins, and tells why a run ended that could not say so itself, and how it goes on.
"""

import json
import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..config.advice import shell
from ..io.atomic import write_atomically
from ..io.json_text import parse_json

LAUNCH = "launch.json"
SUBMIT_OPTIONS = "UNFLAT_SUBMIT_OPTIONS"
"""Environment variable of a job that ``unflat submit`` has made: the options with which it goes on in the queue."""


@dataclass(frozen=True)
class CommandLine:
    """Command line of a run.

    Args:
        words: Words after ``unflat``, without ``--force`` and ``--resume``.
        folder: Folder in which the command was given, relative to that of the run.
    """

    words: tuple[str, ...]
    folder: str

    def to_submit(self, options: tuple[str, ...]) -> "CommandLine":
        """Describe the command that submits this one to a queue.

        Args:
            options: Options of ``unflat submit``.
        """
        return replace(self, words=("submit", *options, "--", *self.words))

    def to_resume(self, run: Path) -> str:
        """Write the command that goes on with the run, as the shell takes it from the present folder."""
        command = shell("unflat", *self.words, "--resume")
        here = Path(os.path.normpath(run.resolve() / self.folder))
        if here == Path.cwd():
            return command
        return f"{shell('cd', _relative(here, Path.cwd()))} && {command}"


@dataclass(frozen=True)
class Launch:
    """Circumstances of a run at its beginning.

    Args:
        command: Command line; None for a run of a program, and for one scan of several.
        memory_needed: [bytes] Estimated memory.
        memory_available: [bytes] Memory that the machine, or the job, had left.
        job_end: [s] Time since 1970 at which SLURM ends the job; 0 if that is not known.
        out_of_memory_kills: Processes that the machine had ended for lack of memory until then.
    """

    command: CommandLine | None = None
    memory_needed: int = 0
    memory_available: int = 0
    job_end: int = 0
    out_of_memory_kills: int = 0

    @classmethod
    def now(cls, command: CommandLine | None = None, environment: Mapping[str, str] = os.environ) -> "Launch":
        """Describe this process, whose memory is not known yet."""
        end = environment.get("SLURM_JOB_END_TIME", "")
        return cls(command, job_end=int(end) if end.isdecimal() else 0, out_of_memory_kills=out_of_memory_kills())

    def with_memory(self, needed: int, available: int) -> "Launch":
        """Add the memory [bytes] that is needed and available."""
        return replace(self, memory_needed=needed, memory_available=available)

    def write(self, run: Path) -> None:
        """Write ``launch.json`` of a run."""
        with write_atomically(run / LAUNCH) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def command_line(words: tuple[str | Path, ...], run: Path, environment: Mapping[str, str] = os.environ) -> CommandLine:
    """Describe the command that makes a run, without absolute paths; in a job, the command that submits it again.

    Args:
        words: Words after ``unflat``; paths are recognised by their type.
        run: Folder of the run.
        environment: Environment variables.
    """
    here = Path.cwd()
    plain = tuple(_relative(word, here) if isinstance(word, Path) else word for word in words)
    line = CommandLine(plain, _relative(here, run.resolve()))
    options = environment.get(SUBMIT_OPTIONS)
    return line if options is None else line.to_submit(tuple(shlex.split(options)))


def read_launch(run: Path) -> Launch | None:
    """Read the launch of a run; None where there is none that is whole."""
    try:
        content: dict[str, Any] = parse_json((run / LAUNCH).read_text("utf-8"))
        command = content.pop("command")
        numbers = {field.name: int(content[field.name]) for field in fields(Launch) if field.name in content}
        line = None if command is None else CommandLine(tuple(map(str, command["words"])), str(command["folder"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Launch(line, **numbers)


def out_of_memory_kills(root: Path = Path("/")) -> int:
    """Count the processes that this machine has ended for lack of memory since it started; 0 where it does not say."""
    with suppress(OSError):
        match = re.search(r"^oom_kill (\d+)", (root / "proc/vmstat").read_text(), re.MULTILINE)
        return int(match[1]) if match else 0
    return 0


def _relative(path: Path, start: Path) -> str:
    """Write a path relative to a folder; as it is on another drive."""
    if not path.is_absolute():
        return str(path)
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return str(path)
