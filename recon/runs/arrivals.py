"""Acquisitions that arrive in a folder: each is handed over once when it is whole, and again when it has changed."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..io.completeness import Unfinished, find_unfinished, is_whole_hdf5
from ..io.detector_files import master_of
from ..io.hdf5_outline import references_of
from .batch_record import files_of, stamp_of

_RHYTHM = 10
"""Intervals between two changes after which a file that is open no longer counts as growing."""
_FIRST_INTERVAL = 6.0
"""[s] Interval that is assumed before a second change."""


@dataclass(frozen=True)
class Arriving:
    """Acquisition that is on its way.

    Args:
        path: File or folder.
        reason: Sign that it is not whole, as a phrase after its name.
        is_open: Whether nobody knows when it will be whole, as with a file that a program has open.
        is_growing: Whether it has changed not long ago, measured by the time between its changes.
        hint: Further phrase on one that has not changed for long.
    """

    path: Path
    reason: str
    is_open: bool = False
    is_growing: bool = False
    hint: str = ""


@dataclass
class _Observation:
    """Size and time of an acquisition, when they were first seen [s], and the time since the change before [s]."""

    stamp: str
    since: float
    interval: float = _FIRST_INTERVAL


class Arrivals:
    """Observation of acquisitions until each is whole.

    One is whole when its size and time have not changed for a settling time and it shows no sign that it is still
    written. One whose end is missing counts as whole, and is left to its reader to refuse, when it has not changed for
    longer; one that a program has open is waited for, and so is a part of a detector's data without its master.

    Args:
        list_paths: Function that lists the acquisitions that are there.
        settling_time: [s] Time without a change after which one may be whole.
        patience: [s] Time without a change after which one that lacks its end is handed over nevertheless.
        clock: Clock [s].
        takes_parts: Whether a file that is named as a part of a detector's data may be an acquisition by itself.
    """

    def __init__(
        self,
        list_paths: Callable[[], Iterable[Path]],
        settling_time: float,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        takes_parts: bool = False,
    ) -> None:
        self._list_paths, self._clock, self._takes_parts = list_paths, clock, takes_parts
        self._settling_time, self._patience = settling_time, max(patience, settling_time)
        self._observations: dict[Path, _Observation] = {}
        self._handed_over: dict[Path, str] = {}
        self._parts: dict[Path, list[Path]] = {}
        self.arriving: tuple[Arriving, ...] = ()

    def look(self, *, again: bool = True) -> list[Path]:
        """List the acquisitions that have become whole since the last call, the earliest first.

        Args:
            again: Whether to look also at those that were handed over, which may have changed.

        Raises:
            OSError: If the folder cannot be read.
        """
        paths = list(self._list_paths())
        self._forget(set(paths))
        now = self._clock()
        for path in paths:
            if again or path not in self._handed_over:
                self._observe(path, now)
        parts = {part for files in self._parts.values() for part in files}
        arriving: list[Arriving] = []
        whole: list[tuple[float, float, Path]] = []
        for path in paths:
            seen = self._observations.get(path)
            if seen is None or path.resolve() in parts:
                continue
            try:
                one = self._sign_of(path, seen, now)
            except Exception as error:  # The others are not to wait for it.
                one = Arriving(path, f"cannot be looked at: {type(error).__name__}: {error}", is_open=True)
            if one is None:
                whole.append((seen.since, _time_of(path), path))
            else:
                arriving.append(one)
        for _, _, path in whole:
            self._handed_over[path] = self._observations.pop(path).stamp
        self.arriving = tuple(arriving)
        return [path for _, _, path in sorted(whole, key=lambda one: one[:2])]

    def _forget(self, here: set[Path]) -> None:
        """Forget what is gone: if it comes back, it is handed over again."""
        for known in (self._observations, self._handed_over, self._parts):
            for path in [path for path in known if path not in here]:
                del known[path]

    def _observe(self, path: Path, now: float) -> None:
        """Note the size and time of an acquisition, unless it was handed over like this."""
        stamp = stamp_of(path)
        if not stamp or self._handed_over.get(path) == stamp:
            self._observations.pop(path, None)
            return
        seen = self._observations.get(path)
        if seen is None:
            self._observations[path] = _Observation(stamp, now)
        elif seen.stamp != stamp:
            self._observations[path] = _Observation(stamp, now, now - seen.since)
        self._parts[path] = [file.resolve() for file in files_of(path) if file != path] if path.is_file() else []

    def _sign_of(self, path: Path, seen: _Observation, now: float) -> Arriving | None:
        """Sign that an acquisition is not to be handed over yet; None where it is."""
        master = master_of(path)
        since = seen.since if master is None else self._last_change_of_series(master)
        quiet = now - since
        if quiet < self._settling_time:
            return Arriving(path, "is being written")
        signs = (_sign_within(path, file) for file in ([path] if path.is_dir() else files_of(path)))
        sign = next(filter(None, signs), None) or _absent_file(path)
        is_late = quiet >= self._patience
        if sign is None and master is not None:
            if is_late and self._takes_parts:
                return None
            hint = "; if it is a scan by itself, give --pattern" if is_late else ""
            return Arriving(path, f"waits for {master.name}, which may hold it{hint}", is_open=is_late)
        if sign is None or (is_late and not sign.is_open):
            return None
        is_growing = sign.is_open and quiet < _RHYTHM * seen.interval
        hint = "h5clear -s, if its writer has died" if is_late and sign.is_open else ""
        return Arriving(path, sign.reason + (f" ({hint})" if hint else ""), sign.is_open, is_growing, hint)

    def _last_change_of_series(self, master: Path) -> float:
        """Last change of the files that are named as one detector's data [s]."""
        return max(seen.since for path, seen in self._observations.items() if master_of(path) == master)


def _sign_within(path: Path, file: Path) -> Unfinished | None:
    """Sign that a file of an acquisition is not whole."""
    sign = find_unfinished(file)
    if sign is None or file == path:
        return sign
    return Unfinished(f"waits for {file.name}, which {sign.reason}", sign.is_open)


def _absent_file(path: Path) -> Unfinished | None:
    """Sign that a file is not there to which an acquisition refers."""
    absent = references_of(path)[1] if is_whole_hdf5(path) else []
    return Unfinished(f"waits for {Path(absent[0]).name}, to which it refers") if absent else None


def _time_of(path: Path) -> float:
    """Time since 1970 at which a file or folder was changed [s]; 0 for one that is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
