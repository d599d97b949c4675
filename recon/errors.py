"""Errors that end a command with a message for the user, and the exit statuses of the commands."""

from dataclasses import dataclass
from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit status of a command."""

    DONE = 0
    USAGE = 2
    DATA = 3
    DEVICE = 4
    QUALITY = 5
    STOPPED = 75
    INTERRUPTED = 130


@dataclass(frozen=True)
class Diagnostic:
    """Message of a fault: place, fault and remedy.

    Args:
        where: Place of the fault: ``run.yaml:4:3: volume.depth``, ``scan.h5:/measurement/images``. May be empty.
        message: Description of the fault, with the value received.
        remedy: Instruction to the user. May be empty.
    """

    where: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.remedy}" if self.remedy else text


class UnflatError(Exception):
    """Error with one or several faults, which ends a command with a message and no traceback."""

    status = ExitStatus.USAGE

    def __init__(self, *faults: Diagnostic | str):
        self.faults = tuple(f if isinstance(f, Diagnostic) else Diagnostic("", f) for f in faults)
        super().__init__("\n".join(map(str, self.faults)))


class ConfigError(UnflatError):
    """Fault of the command line or the config."""

    status = ExitStatus.USAGE


class DataError(UnflatError):
    """Fault of a file: missing, damaged, or with invalid contents."""

    status = ExitStatus.DATA


class DeviceError(UnflatError):
    """Device that is absent or has too little memory."""

    status = ExitStatus.DEVICE


class QualityError(UnflatError):
    """Result that is complete and written, but below its quality gate."""

    status = ExitStatus.QUALITY


class Stopped(UnflatError):  # noqa: N818 - a requested end is no error
    """Run that was stopped on request, with a checkpoint."""

    status = ExitStatus.STOPPED


class Interrupted(UnflatError):  # noqa: N818
    """Run that the user interrupted by Ctrl-C; the last checkpoint stays."""

    status = ExitStatus.INTERRUPTED


class ProcessEnded(UnflatError):  # noqa: N818
    """End of one of several processes because another has ended.

    Args:
        status: Exit status.
        faults: Messages; none where another process has told them.
    """

    def __init__(self, status: int, *faults: Diagnostic | str) -> None:
        super().__init__(*faults)
        self.status = ExitStatus(status) if status in set(ExitStatus) else status  # type: ignore[assignment]
