"""What can go wrong, said so that a person can mend it, and the exit status that a shell sees."""

from dataclasses import dataclass
from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended."""

    DONE = 0
    USAGE = 2
    DATA = 3
    DEVICE = 4
    QUALITY = 5
    STOPPED = 75
    INTERRUPTED = 130


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong.

    Args:
        where: Where it stands: ``run.yaml:4:3: volume.depth``, ``scan.h5:/measurement/images``.
        message: What is wrong, with the value received.
        remedy: What to do, as an instruction. May be empty.
    """

    where: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.remedy}" if self.remedy else text


class UnflatError(Exception):
    """One or several faults that end a command with a message and no traceback."""

    status = ExitStatus.USAGE

    def __init__(self, *faults: Diagnostic | str):
        self.faults = tuple(f if isinstance(f, Diagnostic) else Diagnostic("", f) for f in faults)
        super().__init__("\n".join(map(str, self.faults)))


class ConfigError(UnflatError):
    """The command line or the config is wrong."""

    status = ExitStatus.USAGE


class DataError(UnflatError):
    """A file is missing, torn, or holds what it must not."""

    status = ExitStatus.DATA


class DeviceError(UnflatError):
    """The device is absent, or too small for the work."""

    status = ExitStatus.DEVICE


class QualityError(UnflatError):
    """The work ended and its result is kept, but it did not reach its quality gate."""

    status = ExitStatus.QUALITY


class Stopped(UnflatError):  # noqa: N818 - no error, but the end that was asked for
    """The work was asked to end early; its checkpoint is kept."""

    status = ExitStatus.STOPPED


class Interrupted(UnflatError):  # noqa: N818
    """A person pressed Ctrl-C; the checkpoint, if there was one, is kept."""

    status = ExitStatus.INTERRUPTED
