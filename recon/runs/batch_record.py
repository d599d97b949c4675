"""Record of a batch: the scans of one command, and what became of each, in the folder that holds their runs."""

import json
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ConfigError, DataError, Diagnostic
from ..io.atomic import disk_fault, remove_stale, write_atomically
from ..io.completeness import is_whole_hdf5
from ..io.detector_files import data_files_of
from ..io.hdf5_outline import references_of
from ..io.json_text import parse_json
from .contents import is_run
from .lock import Lock
from .provenance import changed_entries, fingerprint_path, flatten

BATCH = "batch.json"
MOST_DEATHS = 2
"""Number of processes that may die without a word over one scan before it is set aside."""


class State(StrEnum):
    """State of a run, which may be that of a scan in a batch; silent is one elsewhere that shows no sign of life."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    DIED = "died"
    SILENT = "silent"


@dataclass
class ScanRecord:
    """Record of one scan of a batch.

    Args:
        name: Name of its run, a folder inside that of the batch.
        file: Path of the acquisition, relative to the folder of the batch.
        status: State.
        fault: Reason for which it failed, or stopped.
        exit_status: Exit status that the scan alone would have.
        seconds: [s] Time that it took, reading and writing included.
        deaths: Number of processes that began it, one after the other, and did not come to an end.
        stamp: Size and time of the acquisition when it was begun.
        noted: [s] Time since 1970 at which its end, or the order to take it again, was noted: what its run folder
            holds from before is out of date.
        begins_anew: Whether its run is to begin anew, unless it has done so after ``noted``.
        warm_start: Name of the scan whose result its run was given to begin with; empty for a cold start.
        is_cold: Whether its run is to begin cold, as a warm start has not led to a sound result.
        network: Checksum of the learned network that its run uses; empty for that of the settings.
    """

    name: str
    file: str
    status: State = State.WAITING
    fault: str = ""
    exit_status: int = 0
    seconds: float = 0.0
    deaths: int = 0
    stamp: str = ""
    noted: float = 0.0
    begins_anew: bool = False
    warm_start: str = ""
    is_cold: bool = False
    network: str = ""

    def order(self, *, anew: bool = False) -> None:
        """Note that the scan is to be taken again, in spite of what its run folder holds by now.

        Args:
            anew: Whether the run is to begin anew, and not to go on.
        """
        self.status, self.fault, self.exit_status = State.WAITING, "", 0
        self.noted = time.time()
        if anew:
            self.begins_anew, self.deaths, self.seconds = True, 0, 0.0

    def begin(self, path: Path) -> None:
        """Note that work on the scan begins; the process counts as dead until `end` is called."""
        self.status, self.fault, self.exit_status = State.RUNNING, "", 0
        self.stamp, self.deaths = stamp_of(path), self.deaths + 1

    def end(self, status: State, seconds: float, exit_status: int = 0, fault: str = "") -> None:
        """Note that work on the scan has ended."""
        self.status, self.exit_status, self.fault, self.deaths = status, int(exit_status), fault, 0
        self.seconds, self.noted = seconds, time.time()


@dataclass
class BatchRecord:
    """Scans of a batch, by their names, in order.

    Args:
        method: Method of reconstruction.
        settings: Flat settings that decide the results.
        scans: Scans.
    """

    method: str
    settings: Mapping[str, Any]
    scans: dict[str, ScanRecord] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "BatchRecord | None":
        """Read the record of a folder; None where it holds no batch.

        Raises:
            DataError: If the record is damaged.
        """
        try:
            text = (folder / BATCH).read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            content = parse_json(text)
            names = {one.name for one in fields(ScanRecord)}
            rows = [{name: value for name, value in row.items() if name in names} for row in content["scans"]]
            scans = [ScanRecord(**row | {"status": State(row["status"])}) for row in rows]
            return cls(str(content["method"]), dict(content["settings"]), {scan.name: scan for scan in scans})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = "name another folder with -o, or start anew with --force"
            raise DataError(Diagnostic(str(folder / BATCH), f"is damaged: {error}", remedy)) from error

    def write(self, folder: Path) -> None:
        """Write the record, whole or not at all."""
        scans = [asdict(scan) for scan in self.scans.values()]
        content = {"method": self.method, "settings": self.settings, "scans": scans}
        with write_atomically(folder / BATCH) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def add(self, folder: Path, scans: Iterable[tuple[str, Path]]) -> None:
        """Add scans that it does not hold yet, by their names and paths."""
        for name, path in scans:
            if name not in self.scans:
                self.scans[name] = ScanRecord(name, relative_path(path, folder))

    def names_of_files(self, folder: Path) -> dict[Path, str]:
        """Names of the scans, by the resolved paths of their acquisitions."""
        return {(folder.resolve() / scan.file).resolve(): scan.name for scan in self.scans.values()}


class BatchFolder:
    """Folder of a batch that is open for writing, until the ``with`` block ends; made by :meth:`open`.

    Args:
        path: The folder.
        record: Record of the batch.
        has_grown: Whether its settings ask for more than those of the runs that are there.
        lock: Lock of the folder.
    """

    def __init__(self, path: Path, record: BatchRecord, has_grown: bool, lock: Lock) -> None:
        self.path, self.record, self.has_grown = path, record, has_grown
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: Path,
        method: str,
        settings: Mapping[str, Any],
        *,
        force: bool = False,
        resume: bool = False,
        may_grow: Collection[str] = (),
        defaults: Mapping[str, Any] = MappingProxyType({}),
    ) -> "BatchFolder":
        """Open a folder for a new batch, or to go on with the one in it.

        Args:
            path: The folder; created if it is missing.
            method: Method of reconstruction.
            settings: Settings that decide the results.
            force: Whether to begin anew a batch that is there.
            resume: Whether to go on with one that is there.
            may_grow: Numbers of the settings that may be larger when a batch goes on.
            defaults: Default settings, for those that an older batch does not know.

        Raises:
            ConfigError: If the folder holds a run, or a batch of another method or other settings, or one without
                ``force`` and ``resume``, or if another process works in it.
            DataError: If it cannot be written, or its record is damaged.
        """
        if force and resume:
            raise ConfigError("--force starts anew and --resume goes on: give one of them")
        if path.exists() and not path.is_dir():
            raise ConfigError(Diagnostic(str(path), "is a file", "name a folder for the runs"))
        if path.is_dir() and is_run(path):
            message, remedy = "holds the run of one acquisition", "name another folder for the runs of several"
            raise ConfigError(Diagnostic(str(path), message, remedy))
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fault = disk_fault(error, path) or Diagnostic(str(path), f"cannot be made: {error.strerror}")
            raise DataError(fault) from error
        lock = Lock.take(path)
        try:
            remove_stale(path)
            former, flat = None if force else BatchRecord.read(path), flatten(settings)
            if former is None:
                return cls(path, BatchRecord(method, flat), False, lock)
            if not resume:
                remedy = "name another folder, go on with it (--resume) or replace it (--force)"
                raise ConfigError(Diagnostic(str(path), "already holds the runs of several acquisitions", remedy))
            _require_same(path, former, method, flat, may_grow, flatten(defaults))
            known = flatten(defaults) | dict(former.settings)
            has_grown = any(known.get(name) != value for name, value in flat.items())
            former.settings = flat
            return cls(path, former, has_grown, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def reopen(cls, path: Path) -> "BatchFolder":
        """Open the folder of a batch as it is, to note what became of its scans.

        Raises:
            ConfigError: If another process works in it.
            DataError: If it holds no batch, or a damaged one.
        """
        lock = Lock.take(path)
        try:
            record = BatchRecord.read(path)
            if record is None:
                raise DataError(Diagnostic(str(path), "holds no runs of several acquisitions", "check the name"))
        except BaseException:
            lock.release()
            raise
        return cls(path, record, False, lock)

    def save(self) -> None:
        """Write the record."""
        self.record.write(self.path)

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __enter__(self) -> "BatchFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _require_same(
    path: Path,
    former: BatchRecord,
    method: str,
    settings: Mapping[str, Any],
    may_grow: Collection[str],
    defaults: Mapping[str, Any],
) -> None:
    """Refuse to go on with a batch of another method or other settings.

    Raises:
        ConfigError: With each difference.
    """
    remedy = "put it back, or start anew with --force"
    changes = changed_entries(former.settings, settings, may_grow, defaults)
    if method != former.method:
        changes.insert(0, f"the method was {former.method} and is now {method}")
    if changes:
        raise ConfigError(*(Diagnostic(str(path), change, remedy) for change in changes))


def must_begin_anew(run: Path, record: ScanRecord) -> bool:
    """Whether the run of a scan is still to begin anew: it was asked for, and has not happened since."""
    return record.begins_anew and not is_newer(fingerprint_path(run), record.noted)


def is_newer(file: Path, time_noted: float) -> bool:
    """Whether a file exists and was written after a time.

    Args:
        file: The file.
        time_noted: [s] Time since 1970.
    """
    try:
        return file.stat().st_mtime > time_noted
    except OSError:
        return False


def is_due(scan: Path, record: ScanRecord, *, retry_failed: bool = False) -> bool:
    """Whether a scan is to be taken: not if it is done, nor if it failed and neither it nor the wish is new.

    Args:
        scan: The acquisition.
        record: Record of the scan.
        retry_failed: Whether to try again what failed.
    """
    if record.status is State.DONE:
        return record.stamp != stamp_of(scan)
    if record.status is State.FAILED:
        return retry_failed or record.stamp != stamp_of(scan)
    return True


def stamp_of(path: Path) -> str:
    """Return a text that names the state of an acquisition by the names, sizes and times of its files, unread.

    Empty for a path that is absent.
    """
    try:
        files = files_of(path)
        states = [(file, file.stat()) for file in files]
    except OSError:
        return ""
    digest = sha256()
    for file, state in states:
        name = file.relative_to(path).as_posix() if file.is_relative_to(path) else file.name
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return f"{len(states)}-{sum(state.st_size for _, state in states)}-{digest.hexdigest()[:16]}"


def files_of(path: Path) -> list[Path]:
    """List the files of an acquisition: a file, or a master and its data, or all of a folder.

    Raises:
        OSError: If it cannot be read.
    """
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    files = [path, *data_files_of(path)]
    if is_whole_hdf5(path):
        there = {file.resolve() for file in files}
        files += [file for file in references_of(path)[0] if file.resolve() not in there]
    return files


def relative_path(path: Path, folder: Path) -> str:
    """Write a path relative to a folder; as it is on another drive."""
    try:
        return os.path.relpath(path.resolve(), folder.resolve())
    except ValueError:
        return str(path)
