"""Lock of a run folder: one process at a time works in it.

The lock is a file that is written aside and linked into place, which also works on network disks without locks of their
own. It names the process and the machine, so that the lock of a process that was killed can be recognised and removed.
"""

import json
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ConfigError, DataError, Diagnostic
from ..io.atomic import disk_fault, is_process_alive, temporary_name
from ..io.json_text import parse_json

LOCK = "run.lock"
_PATIENCE = 60.0
"""[s] Time after which an empty lock counts as abandoned; it is written within milliseconds."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LockHolder:
    """Process that holds a lock.

    Args:
        host: Name of the machine.
        process: Process number.
        space: Namespace of process numbers; containers of one host have separate ones.
        born: Start of the process, in clock ticks since the machine started; a later process of the same number has
            another.
        since: Time at which the lock was taken, ISO 8601, UTC.
        job: Number of the SLURM job, if there is one.
        restart: Number of times that SLURM had restarted that job.
    """

    host: str
    process: int
    space: str
    born: str
    since: str
    job: str = ""
    restart: int = 0

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> "LockHolder":
        """Describe this process."""
        return cls(
            socket.gethostname(),
            os.getpid(),
            _namespace(),
            _start_of(os.getpid()),
            datetime.now(UTC).isoformat(timespec="seconds"),
            environment.get("SLURM_JOB_ID", ""),
            _count(environment.get("SLURM_RESTART_COUNT", "")),
        )

    def has_ended(self, observer: "LockHolder") -> bool:
        """Whether the process has certainly ended; of a process on another machine only SLURM knows.

        Args:
            observer: The process that wants the lock.
        """
        if self.job and self.job == observer.job and self.restart < observer.restart:
            return True  # SLURM restarts a job only after its former start has ended, on this machine or another.
        return self.is_beside(observer) and not (
            is_process_alive(self.process) and _start_of(self.process) == self.born
        )

    def is_beside(self, observer: "LockHolder") -> bool:
        """Whether the process is on the machine of another, where it can be seen."""
        return (self.host, self.space) == (observer.host, observer.space)

    def __str__(self) -> str:
        job = f", SLURM job {self.job}" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {self.since}"


class Lock:
    """Lock of a run folder; made by :meth:`take`.

    Args:
        file: The lock file.
        text: Contents that this process wrote to it.
    """

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text

    @classmethod
    def take(cls, folder: Path) -> "Lock":
        """Take the lock, if need be from a process that has ended without releasing it.

        Args:
            folder: An existing run folder.

        Raises:
            ConfigError: If another process works in the folder, or may do so.
            DataError: If the lock file cannot be written.
        """
        file, me = folder / LOCK, LockHolder.current()
        text = json.dumps(asdict(me)) + "\n"
        try:
            if not _create(file, text):
                _remove_stale_lock(file, me)
                if not _create(file, text):  # Another process took the stale lock first.
                    raise ConfigError(_in_use(file, _read(file)[1]))
        except OSError as error:
            raise DataError(
                disk_fault(error, file) or Diagnostic(str(file), f"cannot be made: {error.strerror}")
            ) from error
        return cls(file, text)

    def release(self) -> None:
        """Remove the lock file, unless another process has written it since."""
        with suppress(OSError):
            if self._file.read_text(encoding="utf-8") == self._text:
                self._file.unlink()


def lock_holder(folder: Path) -> LockHolder | None:
    """Read the process that holds, or held, the lock of a folder; None where none does, or its file is damaged."""
    return _read(folder / LOCK)[1]


def _create(file: Path, text: str) -> bool:
    """Create a file unless it exists: whole, so that a process killed here leaves no empty lock, which nobody owns.

    Returns:
        Whether the file was created.
    """
    mine = temporary_name(file)
    try:
        mine.write_text(text, encoding="utf-8")  # An error is that of the disk: full, or read-only.
        try:
            os.link(mine, file)  # Unlike renaming, it replaces nothing.
        except FileExistsError:
            return mine.stat().st_nlink == 2  # NFS may repeat a request that it has granted.
        except OSError:  # A disk without hard links.
            return _create_exclusively(file, text)
        return True
    finally:
        with suppress(OSError):
            mine.unlink(missing_ok=True)


def _create_exclusively(file: Path, text: str) -> bool:
    """Create a file unless it exists, on a disk without hard links: other processes may see it empty for a moment.

    Returns:
        Whether the file was created.
    """
    try:
        stream = file.open("x", encoding="utf-8")
    except FileExistsError:
        return False
    try:
        with stream:
            stream.write(text)
    except OSError:  # The disk is full: half a file would lock everyone out.
        file.unlink(missing_ok=True)
        raise
    return True


def _is_abandoned(file: Path) -> bool:
    """Whether a lock is empty for so long that the process that was to write it must have been killed.

    Both times come from the disk, whatever the clock of this machine shows.
    """
    probe = temporary_name(file)
    try:
        probe.touch()
        return file.stat().st_size == 0 and probe.stat().st_mtime - file.stat().st_mtime > _PATIENCE
    except OSError:
        return False
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _remove_stale_lock(file: Path, me: LockHolder) -> None:
    """Remove the lock of a process that has ended.

    Raises:
        ConfigError: If it is not certain that the process has ended.
    """
    text, holder = _read(file)
    if not text and not file.exists():
        return
    if not (_is_abandoned(file) if holder is None else holder.has_ended(me)):
        raise ConfigError(_in_use(file, holder))
    # Rename first: of several processes that read the same file only one succeeds, and a lock that another process has
    # taken in the meantime is recognised by its text.
    mine = temporary_name(file)
    with suppress(FileNotFoundError):
        file.rename(mine)
        if mine.read_text(encoding="utf-8") != text:
            _put_back(mine, file)
            raise ConfigError(_in_use(file, _read(file)[1]))
        mine.unlink()
        _log.warning("%s was left behind by %s, which has ended", file.name, holder or "a process without a name")


def _put_back(mine: Path, file: Path) -> None:
    """Restore a lock file under its name, unless a third process has created one there."""
    try:
        os.link(mine, file)  # Unlike renaming, it replaces nothing.
    except FileExistsError:
        pass
    except OSError:  # A disk without hard links.
        _create(file, mine.read_text(encoding="utf-8"))
    finally:
        mine.unlink(missing_ok=True)


def _read(file: Path) -> tuple[str, LockHolder | None]:
    """Read the lock file: its text and, if it can be parsed, the process."""
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        holder = LockHolder(**parse_json(text))
        is_typed = all(type(getattr(holder, field.name)) is field.type for field in fields(holder))
        return text, holder if is_typed else None
    except (OSError, ValueError, TypeError):
        return text, None


def _in_use(file: Path, holder: LockHolder | None) -> Diagnostic:
    who = str(holder) if holder else f"a process that {file.name} does not name"
    remedy = f"wait for it, or stop it; if it is gone, remove {file} and run again"
    return Diagnostic(str(file.parent), f"another process works in this folder: {who}", remedy)


def _count(text: str) -> int:
    """Parse an environment variable that should hold a number; 0 for any other text, such as an empty one."""
    try:
        return int(text)
    except ValueError:
        return 0


def _namespace() -> str:
    """Return the namespace of process numbers of this process; empty where the system has none."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_of(process: int) -> str:
    """Return the start of a process, in clock ticks since the machine started.

    Empty where the system does not provide it, and for a process that has ended but still has an entry (a zombie).
    """
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return ""
    state, *fields = stat.rpartition(b")")[2].split()
    return "" if state in (b"Z", b"X") else fields[18].decode()
