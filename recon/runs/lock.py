"""Only one process at a time works in a run's folder.

Whoever does keeps a file there that says so. It is made by exclusive creation, which network disks honour where they
know no locks; and it says which process of which machine made it, so that one left behind by a process that was killed
can be told from one that still counts.
"""

import json
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ConfigError, DataError, Diagnostic
from ..io.atomic import disk_fault, lives, temporary_name

LOCK = "run.lock"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LockHolder:
    """The process that works in a folder.

    Args:
        host: Name of its machine.
        process: Its number there.
        space: Which processes it sees: those of another container of one host have numbers of their own.
        born: When its machine started it, in the machine's own count; tells it from a later one of the same number.
        since: When it began here, ISO 8601, UTC.
        job: SLURM's number of its job, if it is one.
        restart: How often SLURM had started that job again.
    """

    host: str
    process: int
    space: str
    born: str
    since: str
    job: str = ""
    restart: int = 0

    @classmethod
    def myself(cls, environment: Mapping[str, str] = os.environ) -> "LockHolder":
        """This process, now."""
        return cls(
            socket.gethostname(),
            os.getpid(),
            _space(),
            _born(os.getpid()),
            datetime.now(UTC).isoformat(timespec="seconds"),
            environment.get("SLURM_JOB_ID", ""),
            _count(environment.get("SLURM_RESTART_COUNT", "")),
        )

    def is_gone(self, asking: "LockHolder") -> bool:
        """Whether it is certain that it works no more; of another machine's processes only SLURM tells.

        Args:
            asking: The process that wants to know.
        """
        if self.job and self.job == asking.job and self.restart < asking.restart:
            return True  # SLURM starts a job again when the former start of it has ended, on this machine or another.
        near = (self.host, self.space) == (asking.host, asking.space)
        return near and not (lives(self.process) and _born(self.process) == self.born)

    def __str__(self) -> str:
        job = f", SLURM job {self.job}" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {self.since}"


class Lock:
    """The right to work in a run's folder; made by :meth:`take`.

    Args:
        file: The file that says so.
        text: What this process wrote there.
    """

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text

    @classmethod
    def take(cls, folder: Path) -> "Lock":
        """Take the right, also from a process that left its file behind and is gone.

        Args:
            folder: The run's folder, which exists.

        Raises:
            ConfigError: If another process works there, or may do so.
            DataError: If the disk refuses.
        """
        file, me = folder / LOCK, LockHolder.myself()
        text = json.dumps(asdict(me)) + "\n"
        try:
            if not _create(file, text):
                _remove_left_behind(file, me)
                if not _create(file, text):  # Somebody else was as quick to see that it could be taken.
                    raise ConfigError(_in_use(file, _read(file)[1]))
        except OSError as error:
            raise DataError(
                disk_fault(error, file) or Diagnostic(str(file), f"cannot be made: {error.strerror}")
            ) from error
        return cls(file, text)

    def release(self) -> None:
        """Give the right back. A file that is no longer this process's is another's, and stays."""
        with suppress(OSError):
            if self._file.read_text(encoding="utf-8") == self._text:
                self._file.unlink()


def _create(file: Path, text: str) -> bool:
    """Make a file that is not there yet; whether it was not."""
    try:
        stream = file.open("x", encoding="utf-8")
    except FileExistsError:
        return False
    try:
        with stream:
            stream.write(text)
    except OSError:  # The disk is full: half a file would keep everybody out.
        file.unlink(missing_ok=True)
        raise
    return True


def _remove_left_behind(file: Path, me: LockHolder) -> None:
    """Remove the file of a process that is gone.

    Raises:
        ConfigError: If it is not certain that it is gone.
    """
    text, holder = _read(file)
    if not text and not file.exists():
        return
    if holder is None or not holder.is_gone(me):
        raise ConfigError(_in_use(file, holder))
    # Renamed first: of several that saw the same file only one gets it, and a new one of a quicker process is known.
    mine = temporary_name(file)
    with suppress(FileNotFoundError):
        file.rename(mine)
        if mine.read_text(encoding="utf-8") != text:
            _put_back(mine, file)
            raise ConfigError(_in_use(file, _read(file)[1]))
        mine.unlink()
        _log.warning("%s was left behind by %s, which is gone", file.name, holder)


def _put_back(mine: Path, file: Path) -> None:
    """Give a file its name back, unless a third process has made a new one of that name: renaming would replace it."""
    try:
        os.link(mine, file)
    except FileExistsError:
        pass
    except OSError:  # A disk without links: exclusive creation replaces nothing either.
        _create(file, mine.read_text(encoding="utf-8"))
    finally:
        mine.unlink(missing_ok=True)


def _read(file: Path) -> tuple[str, LockHolder | None]:
    """What the file says, and who that is, where it can be made out."""
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        return text, LockHolder(**json.loads(text))
    except (OSError, ValueError, TypeError):
        return text, None


def _in_use(file: Path, holder: LockHolder | None) -> Diagnostic:
    who = str(holder) if holder else f"a process that {file.name} does not tell"
    remedy = f"wait for it, or stop it; if it is gone, remove {file} and run again"
    return Diagnostic(str(file.parent), f"another process works in this folder: {who}", remedy)


def _count(text: str) -> int:
    """Read a number that a cluster tells; what is none, as where a script sets it to nothing, is 0."""
    try:
        return int(text)
    except ValueError:
        return 0


def _space() -> str:
    """Name of the space of process numbers that this process lives in; empty where the system knows none."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _born(process: int) -> str:
    """When a process here was started, in ticks since the machine was.

    Empty where the system does not tell, and for a process that has ended and of which only its parent has not heard.
    """
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return ""
    state, *fields = stat.rpartition(b")")[2].split()
    return "" if state in (b"Z", b"X") else fields[18].decode()
