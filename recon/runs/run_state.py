"""States of runs, read from their folders: sentinels, locks, metrics, and the records of batches. Without jax."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, Diagnostic
from ..io.file_names import natural_order
from ..io.json_text import json_object, parse_json
from .batch_record import BatchRecord, ScanRecord, State, is_newer
from .contents import METRICS, Sentinel, is_run, read_ending
from .launch import CommandLine, read_launch
from .lock import LOCK, LockHolder, lock_holder
from .verdict import Verdict
from .watch_state import WATCH, WatchState

_log = logging.getLogger(__name__)

SILENCE = 900.0
"""[s] Time without a sign after which a run on another machine is doubted."""
_SIGNS = ("metrics.jsonl", "debug.log", "run.log", LOCK, METRICS, WATCH)
_TAIL = 1 << 16
"""[bytes] End of ``metrics.jsonl`` that the last step is read from."""


@dataclass(frozen=True)
class RunState:
    """State of a run.

    Args:
        path: Folder of the run.
        state: State.
        verdict: Verdict on its result; None where there is none.
        reason: Reason of its end, its first line; empty while it goes on.
        step: Number of steps done; None where no step was noted.
        loss: Loss of the last step.
        last_sign: [s] Time since 1970 of its last sign of life; 0 without one.
        holder: Process that holds, or held, its lock.
        command: Command line that goes on with it; None where it is not known, or nothing is left.
        launched: Folder that the command is told by: its own, or that of its batch.
        is_watch: Whether it is a watch, whose runs have states of their own.
    """

    path: Path
    state: State
    verdict: Verdict | None = None
    reason: str = ""
    step: int | None = None
    loss: float | None = None
    last_sign: float = 0.0
    holder: LockHolder | None = None
    command: CommandLine | None = None
    launched: Path = Path()
    is_watch: bool = False

    @property
    def is_of_batch(self) -> bool:
        """Whether it is one of the runs of a batch."""
        return self.launched != self.path

    @property
    def resume_command(self) -> str:
        """Command that goes on with the run, as the shell takes it; empty where there is none."""
        return "" if self.command is None else self.command.to_resume(self.launched)

    @property
    def retry_command(self) -> str:
        """Command that tries a failed scan of a batch again, which ``--resume`` alone leaves; empty for other runs."""
        is_failed_scan = self.state == State.FAILED and self.is_of_batch and self.command is not None
        return f"{self.resume_command} --retry-failed" if is_failed_scan else ""


@dataclass(frozen=True)
class RunPlace:
    """Folder of a run, and its part in a batch.

    Args:
        path: Folder of the run, or of the watch.
        scan: Record of the scan in its batch; None for a run of its own.
        watch: State of the watch that works in the folder; None for a run.
    """

    path: Path
    scan: ScanRecord | None = None
    watch: WatchState | None = None

    def read(self) -> RunState:
        """Read the state."""
        return read_state(self.path, self.scan) if self.watch is None else _state_of_watch(self.path, self.watch)


def find_runs(paths: Sequence[Path]) -> list[RunState]:
    """Read the states of runs.

    Args:
        paths: Run folders, folders of batches, and folders that hold such.

    Raises:
        DataError: If one is absent, or holds no run.
    """
    states: list[RunState] = []
    for path in paths:
        if not path.is_dir():
            raise DataError(Diagnostic(str(path), "there is no such folder", "name the folder that -o made"))
        inside = [place.read() for place in places_in(path)]
        if not inside:
            raise DataError(Diagnostic(str(path), "holds no run", "name the folder that -o made"))
        states += inside
    return states


def places_in(path: Path, depth: int = 2) -> Iterable[RunPlace]:
    """Find the runs in a folder, and in those inside it, without reading their states.

    Args:
        path: A folder.
        depth: Number of levels of folders below it that are searched.
    """
    if is_run(path):
        parent = _record_of(_folder_of(path))
        yield RunPlace(path, None if parent is None else parent.scans.get(path.resolve().name))
        return
    record = _record_of(path)
    if record is not None:
        if (watch := WatchState.read(path)) is not None:
            yield RunPlace(path, watch=watch)
        yield from (RunPlace(path / scan.name, scan) for scan in record.scans.values())
    if depth:
        folders = [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        for folder in sorted(folders, key=lambda entry: natural_order(entry.name)):
            if record is None or folder.name not in record.scans:
                yield from places_in(folder, depth - 1)


def _record_of(folder: Path) -> BatchRecord | None:
    """Read the record of a batch; one that is damaged counts for none, as the runs themselves tell most of it."""
    try:
        return BatchRecord.read(folder)
    except DataError as error:
        _log.warning("%s", error)
        return None


def read_state(run: Path, scan: ScanRecord | None = None) -> RunState:
    """Read the state of a run, which may be that of a scan of a batch.

    Args:
        run: Folder of the run.
        scan: Record of the scan in its batch; None for a run of its own.
    """
    step, loss = _last_step(run / "metrics.jsonl")
    folder = _folder_of(run)
    holder, batch_holder = lock_holder(run), lock_holder(folder) if scan else None
    known = _noted_state(run, scan, holder)
    state, reason = known or (_state_by_lock(run, scan, holder or batch_holder), "")
    launched = run if scan is None else folder
    is_going_on = batch_holder is not None and not batch_holder.has_ended(LockHolder.current())
    launch = None if state is State.DONE or is_going_on else read_launch(launched)
    return RunState(
        run,
        state,
        Verdict.from_json(json_object(run / METRICS)) if state is State.DONE else None,
        reason,
        step,
        loss,
        _last_sign(run),
        holder or (batch_holder if state in (State.DIED, State.SILENT) else None),
        None if launch is None else launch.command,
        launched,
    )


def _state_of_watch(folder: Path, watch: WatchState) -> RunState:
    """State of the process that takes scans as they arrive in the folder of a batch."""
    holder = lock_holder(folder)
    sign = max(_last_sign(folder), _last_sign(folder / watch.running) if watch.running else 0.0)
    launch, me = read_launch(folder), LockHolder.current()
    if holder is not None and not holder.has_ended(me):
        is_seen = holder.is_beside(me) or time.time() - sign < SILENCE
        state = State.RUNNING if is_seen else State.SILENT
        reason = watch.summary() if is_seen else ""
        return RunState(folder, state, reason=reason, last_sign=sign, holder=holder, launched=folder, is_watch=True)
    ending = State.DONE if watch.is_complete else State.STOPPED
    state, reason = (ending, watch.ended) if watch.ended else (State.DIED, "")
    command = None if launch is None or state is State.DONE else launch.command
    return RunState(
        folder,
        state,
        reason=reason,
        last_sign=sign,
        holder=holder,
        command=command,
        launched=folder,
        is_watch=True,
    )


def _folder_of(run: Path) -> Path:
    """Folder that holds a run, also of one that is named by a dot."""
    return run.parent if run.name not in ("", "..") else run.resolve().parent


def read_new_ending(run: Path, scan: ScanRecord) -> tuple[Sentinel, str] | None:
    """Read the outcome of the run of a scan; None where it is older than what the record notes."""
    ending = read_ending(run)
    return ending if ending is not None and is_newer(run / ending[0], scan.noted) else None


def _noted_state(run: Path, scan: ScanRecord | None, holder: LockHolder | None) -> tuple[State, str] | None:
    """State of a run that is noted, by its sentinel or the record, whichever is newer; None where its lock decides."""
    ending = read_ending(run) if scan is None else read_new_ending(run, scan)
    if ending is not None:
        return State(ending[0].lower()), _first_line(ending[1])
    is_taken = holder is not None and not holder.has_ended(LockHolder.current())
    if scan is None or is_taken or scan.status is State.RUNNING or is_newer(run / LOCK, scan.noted):
        return None
    state, former = scan.status, read_ending(run)
    agrees = former is not None and former[0].lower() == state
    if state is State.DONE and not agrees:
        return State.WAITING, ""  # Its result was removed.
    text = former[1] if former is not None and agrees and state is not State.FAILED else scan.fault
    return state, _first_line(text)


def _state_by_lock(run: Path, scan: ScanRecord | None, holder: LockHolder | None) -> State:
    """State of a run that has no end, by the process that holds its lock or that of its batch."""
    me = LockHolder.current()
    if holder is None or holder.has_ended(me):
        return State.DIED
    sign = max(_last_sign(run), _last_sign(_folder_of(run)) if scan is not None else 0.0)
    return State.RUNNING if holder.is_beside(me) or time.time() - sign < SILENCE else State.SILENT


def _last_step(file: Path) -> tuple[int | None, float | None]:
    """Read the last step that was noted, and its loss, from the end of a file that may be long."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _TAIL))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None, None
    for line in reversed(lines):
        try:
            record = parse_json(line)
            loss = record.get("loss")
            return int(record["step"]), None if loss is None else float(loss)
        except (ValueError, KeyError, TypeError, AttributeError):  # The first, or the last, may be torn.
            continue
    return None, None


def _last_sign(run: Path) -> float:
    """Time of the last sign of life: of the newest of the files that a run keeps writing."""
    times = []
    for file in [*(run / name for name in _SIGNS), *run.glob("checkpoint/**/*"), *run.glob("trials/*/*")]:
        try:
            times.append(file.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
