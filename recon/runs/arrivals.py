"""Acquisitions that arrive in a folder: each is handed over once when it is whole, and again when it has changed."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..io.completeness import Unfinished, find_unfinished
from ..io.detector_files import data_files_of, master_of
from .batch_record import stamp_of


@dataclass(frozen=True)
class Arriving:
    """Acquisition that is on its way.

    Args:
        path: File or folder.
        reason: Sign that it is not whole, as a phrase after its name.
        is_open: Whether a program has it open, so that nobody knows when it ends.
    """

    path: Path
    reason: str
    is_open: bool = False


@dataclass
class _Observation:
    """Size and time of an acquisition, and when they were first seen [s]."""

    stamp: str
    since: float


class Arrivals:
    """Observation of acquisitions until each is whole.

    One is whole when its size and time have not changed for a settling time and it shows no sign that it is still
    written. One whose end is missing counts as whole, and is left to its reader to refuse, when it has not changed for
    longer; one that a program has open is waited for.

    Args:
        list_paths: Function that lists the acquisitions that are there.
        settling_time: [s] Time without a change after which one may be whole.
        patience: [s] Time without a change after which one that lacks its end is handed over nevertheless.
        clock: Clock [s].
    """

    def __init__(
        self,
        list_paths: Callable[[], Iterable[Path]],
        settling_time: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._list_paths, self._clock = list_paths, clock
        self._settling_time, self._patience = settling_time, max(patience, settling_time)
        self._observations: dict[Path, _Observation] = {}
        self._handed_over: dict[Path, str] = {}
        self.arriving: tuple[Arriving, ...] = ()

    def look(self) -> list[Path]:
        """List the acquisitions that have become whole since the last call, the earliest first.

        Raises:
            OSError: If the folder cannot be read.
        """
        paths = list(self._list_paths())
        here = set(paths)
        self._observations = {path: seen for path, seen in self._observations.items() if path in here}
        arriving, whole = [], []
        for path in paths:
            stamp, now = stamp_of(path), self._clock()
            if not stamp or self._handed_over.get(path) == stamp:
                continue
            seen = self._observations.get(path)
            if seen is None or seen.stamp != stamp:
                seen = self._observations[path] = _Observation(stamp, now)
            sign = self._sign_of(path, now - seen.since)
            if sign is None:
                whole.append((seen.since, path))
            else:
                arriving.append(Arriving(path, sign.reason, sign.is_open))
        for _, path in whole:
            self._handed_over[path] = self._observations.pop(path).stamp
        self.arriving = tuple(arriving)
        return [path for _, path in sorted(whole, key=lambda one: one[0])]

    def _sign_of(self, path: Path, quiet: float) -> Unfinished | None:
        """Sign that an acquisition is not to be handed over yet; None where it is.

        Args:
            path: The acquisition.
            quiet: [s] Time without a change.
        """
        if quiet < self._settling_time:
            return Unfinished("is being written")
        signs = (_sign_within(path, file) for file in (path, *data_files_of(path)))
        sign = next(filter(None, signs), None) or _missing_master(path)
        return None if sign is not None and not sign.is_open and quiet >= self._patience else sign


def _sign_within(path: Path, file: Path) -> Unfinished | None:
    """Sign that a file of an acquisition is not whole."""
    sign = find_unfinished(file)
    if sign is None or file == path:
        return sign
    return Unfinished(f"waits for {file.name}, which {sign.reason}", sign.is_open)


def _missing_master(path: Path) -> Unfinished | None:
    master = master_of(path)
    return None if master is None else Unfinished(f"waits for {master.name}, which may hold it")
