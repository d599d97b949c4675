"""Moments at which the contents of a folder may have changed: by events of the system, and by looking again anyway."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger(__name__)

TICK = 0.25
"""[s] Time between two moments."""
_TICKS = 240
"""Moments after which the system is asked for events again."""
_GROUPED = 200
"""[ms] Time over which events are taken as one."""
_REMOTE = ("nfs", "cifs", "smb", "afs", "lustre", "gpfs", "beegfs", "ceph", "gluster", "9p", "fuse", "pvfs", "orangefs")
"""Beginnings of the names of file systems on which another machine may write, without an event here."""


def sees_events(folder: Path) -> bool:
    """Whether the system reports changes of a folder, as far as can be told from its file system."""
    system = _file_system(folder)
    return not system.startswith(_REMOTE) or system.startswith("fuseblk")


def _file_system(folder: Path) -> str:
    """Name of the file system of a folder; empty where the system does not say."""
    best, name = Path(), ""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
            fields, _, rest = line.partition(" - ")
            place = Path(fields.split()[4].replace("\\040", " "))
            if folder.resolve().is_relative_to(place) and len(place.parts) >= len(best.parts):
                best, name = place, rest.split()[0]
    return name


def folder_ticks(folder: Path, stopped: threading.Event, *, poll: bool) -> Iterator[bool | None]:
    """Iterate over moments, endless until stopped: True with an event, False without, None where none are reported.

    Args:
        folder: The folder, with all folders inside it.
        stopped: Event that ends it.
        poll: Whether not to ask the system for events.
    """
    is_warned = False
    while not stopped.is_set():
        if not poll:
            try:
                yield from _events(folder, stopped)
            except Exception as error:  # The folder is away, the system has no more watches, or a name is no text.
                _log.log(
                    logging.DEBUG if is_warned else logging.WARNING,
                    "%s reports no changes (%s): it is looked at regularly instead",
                    folder.name,
                    error,
                )
                is_warned = True
        for _ in range(_TICKS):
            if stopped.wait(TICK):
                return
            yield None


def _events(folder: Path, stopped: threading.Event) -> Iterator[bool]:
    from watchfiles import watch

    changes = watch(
        os.fspath(folder),
        watch_filter=None,
        debounce=_GROUPED,
        step=50,
        stop_event=stopped,
        rust_timeout=int(1000 * TICK),
        yield_on_timeout=True,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    for change in changes:
        yield bool(change)
