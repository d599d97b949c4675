"""Folder of a process that is not the first of several: a temporary one, of which only the log of a fault stays."""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

from ..errors import UnflatError
from ..io.atomic import write_atomically
from ..processes import ProcessGroup, current
from ..processes.jax_start import native_output
from .checkpoint import Checkpoint, write_checkpoint
from .contents import CHECKPOINTS, Sentinel, read_ending
from .folder import RunFolder, write_sentinel
from .lock import LOCK, Lock, LockHolder, lock_holder

if TYPE_CHECKING:
    from ..model import Model
    from ..model_series import ModelSeries

_SILENCE = 30.0
"""[s] Time without a sign of a process on another machine after which it counts as dead; it would end by then too."""
_ATTEMPTS = 4
"""Attempts, a second each, to see on a network disk a folder that was made just now."""

_log = logging.getLogger(__name__)


class CompanionFolder(RunFolder):
    """Run folder of such a process, whose checkpoints and metrics the first process writes.

    The next process that sees the run's folder takes its place for the last checkpoint if the first has died.
    """

    group: ProcessGroup
    run: Path
    first_lock: str
    """Text of the lock of the first process; empty where this process does not see the run's folder."""

    @property
    def common(self) -> Path:
        """Folder of the run where this process sees it, and else its own."""
        return self.run if self.first_lock else self.path

    @property
    def _takes_over(self) -> bool:
        """Whether this process writes the last checkpoint; not into a folder that another process works in by now."""
        is_next = self.group.has_lost_first and self.place[0] == 1
        return is_next and bool(self.first_lock) and _lock_text(self.run) == self.first_lock

    def append_metrics(self, step: int, **numbers: SupportsFloat) -> None:
        """Write nothing."""

    def save_checkpoint(
        self, step: int, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], part: str = ""
    ) -> None:
        """Write nothing, unless the first process has died."""
        if self._takes_over:
            folder = self.run / CHECKPOINTS / part
            folder.mkdir(exist_ok=True)
            write_checkpoint(folder, Checkpoint(step, dict(arrays), dict(metadata)))

    def save_preview(self, model: "Model | ModelSeries") -> None:
        """Write nothing."""

    def finish(self, sentinel: Sentinel, reason: str) -> None:
        """Close the folder; if the first process has died, write the sentinel of the run, and release its lock."""
        if self._takes_over and self._first_is_dead():
            write_sentinel(self.run, sentinel, reason)
            Lock(self.run / LOCK, self.first_lock).release()
        super().finish(sentinel, reason)

    def save_trial(self, name: str, step: int, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write nothing."""

    def _first_is_dead(self) -> bool:
        """Whether the first process has ended, and not only the connection with it."""
        holder, signs = lock_holder(self.run), _signs(self.run)
        until = time.monotonic() + _SILENCE
        while holder is not None and not holder.has_ended(LockHolder.current()):
            if _lock_text(self.run) != self.first_lock or _signs(self.run) != signs:
                return False
            if time.monotonic() > until:
                return not holder.is_beside(LockHolder.current())
            time.sleep(0.5)
        return holder is not None and _lock_text(self.run) == self.first_lock


@contextmanager
def open_companion(group: ProcessGroup, run: Path) -> Iterator[RunFolder]:
    """Open the folder of a process that is not the first, once the first has opened the run's.

    Args:
        group: The processes.
        run: Folder of the run, which gets the log of an unforeseen fault.
    """
    with tempfile.TemporaryDirectory(prefix="unflat-") as name:
        try:
            with CompanionFolder.create(name) as folder:
                vars(folder).update(group=group, run=run, first_lock="")
                share_folder(group, folder, run)
                yield folder
        except UnflatError:
            raise
        except Exception:
            _keep_logs(Path(name), run, group.index)
            raise


def share_folder(group: ProcessGroup, folder: RunFolder, run: Path, pattern: str = "") -> None:
    """Give the other processes files of a run that goes on, and learn which of them see its folder.

    Args:
        group: The processes.
        folder: Folder of this process.
        run: Folder of the run.
        pattern: Pattern of the names of the files; empty for none.
    """
    if group.count == 1:
        return

    def read() -> tuple[Any, dict[str, np.ndarray]]:
        files = sorted(run.glob(pattern)) if pattern else []
        return _lock_text(run), {file.name: np.fromfile(file, np.uint8) for file in files}

    lock, files = group.share(read)
    sees = group.is_first
    if isinstance(folder, CompanionFolder):
        for file, content in files.items():
            (folder.path / file).write_bytes(content.tobytes())
        sees = _sees(run, str(lock))
        folder.first_lock = str(lock) if sees else ""
    seeing = [bool(one) for one, _ in group.gather(sees)]
    folder.place = (sum(seeing[: group.index]), sum(seeing)) if sees else (0, 1)


def share_file(folder: RunFolder, name: str) -> Path | None:
    """Return the path of a file of the run, as the first process has it; None where it has none.

    Args:
        folder: Folder of this process.
        name: Name of the file.
    """
    group, path = current(), folder.path / name
    if not group.is_alone:
        files = group.share(lambda: (None, {name: np.fromfile(path, np.uint8)} if path.is_file() else {}))[1]
        if name not in files:
            return None
        if not group.is_first:
            path.write_bytes(files[name].tobytes())
    return path if path.is_file() else None


def _sees(run: Path, lock: str) -> bool:
    """Whether a folder here is that of the first process, by its lock."""
    for _ in range(_ATTEMPTS):
        if _lock_text(run) == lock:
            return bool(lock)
        if not run.parent.is_dir():
            break
        time.sleep(1)
    return False


def _lock_text(run: Path) -> str:
    with suppress(OSError, ValueError):
        return (run / LOCK).read_text(encoding="utf-8")
    return ""


def _signs(run: Path) -> tuple[object, ...]:
    """Collect what changes in a folder while a process works in it; a network disk tells the size of an open file."""
    sizes = []
    for name in ("metrics.jsonl", "run.log", "debug.log"):
        with suppress(OSError), (run / name).open("rb") as file:
            sizes.append(file.seek(0, 2))
    return read_ending(run), *sizes


def _keep_logs(temporary: Path, run: Path, index: int) -> None:
    """Write the log of a fault into the run's folder."""
    with suppress(OSError), write_atomically(run / f"process-{index}.log") as file:
        shutil.copyfile(temporary / "debug.log", file)
        with file.open("ab") as target:
            target.write(native_output().encode(errors="replace"))
