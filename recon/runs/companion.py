"""Folder of a process that is not the first of several: a temporary one, of which only the log of a fault stays."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from ..errors import UnflatError
from ..io.atomic import write_atomically
from ..processes import ProcessGroup
from ..processes.jax_start import native_output
from .checkpoint import Checkpoint, write_checkpoint
from .contents import CHECKPOINTS, Sentinel
from .folder import RunFolder, write_sentinel

_log = logging.getLogger(__name__)


class CompanionFolder(RunFolder):
    """Run folder of such a process, whose checkpoints and metrics the first process writes.

    Process 1 takes its place for the last checkpoint if the first has died.
    """

    group: ProcessGroup
    run: Path

    @property
    def _takes_over(self) -> bool:
        """Whether this process writes the last checkpoint, into a folder that it sees too."""
        return self.group.has_lost_first and self.group.index == 1 and (self.run / CHECKPOINTS).is_dir()

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

    def finish(self, sentinel: Sentinel, reason: str) -> None:
        """Close the folder; write the sentinel of the run if the first process has died."""
        if self._takes_over:
            write_sentinel(self.run, sentinel, reason)
        super().finish(sentinel, reason)

    def save_trial(self, name: str, step: int, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
        """Write nothing."""


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
                vars(folder).update(group=group, run=run)
                for file, content in group.share(lambda: (None, {}))[1].items():
                    (folder.path / file).write_bytes(content.tobytes())
                yield folder
        except UnflatError:
            raise
        except Exception:
            _keep_logs(Path(name), run, group.index)
            raise


def share_files(group: ProcessGroup, run: Path, *, needed: bool) -> None:
    """Give the other processes the files of a run that goes on, if they need any.

    Args:
        group: The processes.
        run: Folder of the run.
        needed: Whether the method reads files of its own again: the networks of the first parts of a training.
    """

    def read() -> tuple[Any, dict[str, np.ndarray]]:
        files = sorted(run.glob("*.h5")) if needed and group.count > 1 else []
        return None, {file.name: np.fromfile(file, np.uint8) for file in files}

    group.share(read)


def _keep_logs(temporary: Path, run: Path, index: int) -> None:
    """Write the log of a fault into the run's folder."""
    with suppress(OSError), write_atomically(run / f"process-{index}.log") as file:
        shutil.copyfile(temporary / "debug.log", file)
        with file.open("ab") as target:
            target.write(native_output().encode(errors="replace"))
