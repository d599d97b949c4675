"""Source of acquisitions that shows previews of those whose frames are still coming, while it waits for the next one.

Frames come faster than previews are made: each is made from all frames that are there, and a slow one is given up when
a newer one is due, unless there has been none for long. A fault of a preview is told, and the measurement goes on.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import DataError, UnflatError
from ..io.completeness import is_growing
from ..io.frame_receiver import PARTIAL
from ..io.growing_file import GrowingState, read_growing, write_snapshot
from ..runs.arrivals import Arriving
from ..runs.preview_record import PreviewRecord
from ..visualization.style import render_png
from .base import Experiment
from .preview import Preview, Previewer
from .watch import ScanSource

_log = logging.getLogger(__name__)

_SHARE = 16
"""Previews of a whole scan by default."""
_TURN = 4
"""Slow previews of a whole scan that are finished, though newer ones are due."""
_FEWEST = 2
"""Least number of frames between two previews by default."""

ReportPreview = Callable[[str, Preview], None]
"""Callback for each preview, with the name of the scan."""


@dataclass
class _Growing:
    """Scan that is previewed."""

    path: Path
    name: str
    total: int
    previewed: int = 0
    finished: int = 0
    fault: str = ""


class PreviewSource:
    """Source of acquisitions with previews, while the ``with`` block of the source within lasts.

    Args:
        source: Source of the acquisitions.
        experiment: Kind of experiment.
        config: Settings of the experiment.
        output: Folder of the runs, for the newest preview.
        report: Callback for each preview.
        note: Callback for why there is none, a sentence each.
        every: Number of new frames from which a new preview is due; None for a share of the scan.
    """

    def __init__(
        self,
        source: ScanSource,
        experiment: Experiment,
        config: object,
        output: Path,
        report: ReportPreview,
        note: Callable[[str], None],
        every: int | None = None,
    ) -> None:
        self._source, self._experiment, self._config = source, experiment, config
        self._output, self._report, self._note, self._every = output, report, note, every
        self._previewer: Previewer | None = None
        self._is_off = False
        self._scans: dict[str, _Growing] = {}
        self._current = ""

    @property
    def arriving(self) -> Sequence[Arriving]:
        """Acquisitions that are on their way, with the frames that they have by now."""
        return [self._with_frames(one) for one in self._source.arriving]

    def poll(self) -> Sequence[Path]:
        """List the acquisitions that have become whole, after a last quick preview of those that were previewed."""
        whole = self._source.poll()
        for path in whole:
            scan = self._scans.pop(path.stem, None)
            if scan is not None and scan.previewed < scan.total:
                self._show(scan, path, np.ones(scan.total, bool), lambda: "the answer follows")
            if self._current == path.stem:
                self._current = ""
        return whole

    def idle(self, seconds: float) -> bool:
        """Make a preview that is due, or wait.

        Args:
            seconds: [s] Longest time to wait.

        Returns:
            Whether there was a preview.
        """
        due = [] if self._is_off else list(self._due(self._source.arriving))
        if not due:
            return self._source.idle(seconds)
        scan, _ = max(due, key=lambda one: one[0].path.stat().st_mtime if one[0].path.exists() else 0)
        mask = next((entry.path for entry in self._experiment.schema if entry.hides), "/measurement/mask")
        with tempfile.TemporaryDirectory(prefix="unflat-") as folder:
            snapshot = Path(folder) / "frames.h5"
            try:
                state = write_snapshot(scan.path, snapshot, mask=mask)
            except UnflatError as error:
                self._tell(scan, str(error.faults[0]))
                return False
            return state is not None and self._show(scan, snapshot, state.received, lambda: self._newer(scan))

    def _with_frames(self, one: Arriving) -> Arriving:
        scan = self._scans.get(_name_of(one.path))
        state = _state_of(one.path) if scan is not None else None
        if scan is None or state is None:
            return one
        reason = f"has {state.count} of {scan.total} frames"
        if state.is_whole:
            reason += ", and is taken when its writer closes it (h5clear -s, if that has died)"
        return Arriving(one.path, reason, one.is_open)

    def _due(self, arriving: Iterable[Arriving]) -> Iterable[tuple[_Growing, GrowingState]]:
        """Iterate over the scans of which a preview is due."""
        for one in arriving:
            name = _name_of(one.path)
            try:
                state = _state_of(one.path)
            except DataError as error:
                self._tell(self._scans.setdefault(name, _Growing(one.path, name, 0)), str(error.faults[0]))
                continue
            if state is None:
                continue
            scan = self._scans.setdefault(name, _Growing(one.path, name, len(state.received)))
            scan.path, scan.total = one.path, len(state.received)
            if state.count - scan.previewed >= self._interval(scan) or (state.is_whole and scan.previewed < scan.total):
                yield scan, state

    def _interval(self, scan: _Growing) -> int:
        return self._every or max(_FEWEST, scan.total // _SHARE)

    def _newer(self, scan: _Growing) -> str | None:
        """Reason to give up a slow preview: the scan is whole, or a newer one is due and the last is not long ago."""
        state = _state_of(scan.path)
        if state is None or state.is_whole:
            return "the scan is whole"
        is_due = state.count - scan.previewed >= self._interval(scan)
        is_recent = scan.finished and _TURN * (scan.previewed - scan.finished) < scan.total
        return "more frames are there" if is_due and is_recent else None

    def _show(
        self, scan: _Growing, snapshot: Path, received: np.ndarray, should_stop: Callable[[], str | None]
    ) -> bool:
        """Make the previews of a scan; return whether there was one."""
        scan.previewed = int(received.sum())
        start, is_shown = time.monotonic(), False
        try:
            previewer = self._begin(scan)
            if previewer is None:
                return False
            for number, preview in enumerate(previewer.previews(snapshot, received, should_stop)):
                self._report(scan.name, preview)
                self._write(scan, preview)
                is_shown = True
                scan.finished = scan.previewed if number else scan.finished
        except UnflatError as error:
            self._tell(scan, f"{scan.previewed}/{scan.total} frames: no preview: {error.faults[0]}")
        except Exception as error:  # The measurement matters more.
            _log.debug("preview of %s", scan.name, exc_info=error)
            self._tell(scan, f"the preview failed: {type(error).__name__}: {error}")
        _log.debug("%s: %d frames, %.2f s", scan.name, scan.previewed, time.monotonic() - start)
        return is_shown

    def _begin(self, scan: _Growing) -> Previewer | None:
        """Return the maker of previews, which begins anew with each scan; None where the kind has none."""
        if self._previewer is None and not self._is_off:
            try:
                self._previewer = self._experiment.previewer(self._config)
            except UnflatError as error:
                self._note(f"there are no previews: {error.faults[0]}")
            self._is_off = self._previewer is None
        if self._previewer is not None and self._current != scan.name:
            self._previewer.begin()
            self._current = scan.name
        return self._previewer

    def _write(self, scan: _Growing, preview: Preview) -> None:
        picture = PreviewRecord.encode(render_png(preview.draw()))
        words = (preview.method, preview.trust, preview.outlook)
        PreviewRecord(scan.name, preview.frames, preview.total, *words, picture).write(self._output)

    def _tell(self, scan: _Growing, text: str) -> None:
        """Tell a fault, unless it is the last one that was told, but for its number of frames."""
        kind = text.partition(": ")[2] or text
        if kind != scan.fault:
            scan.fault = kind
            self._note(f"{scan.name}: {text}")

    def __enter__(self) -> "PreviewSource":
        PreviewRecord.remove(self._output)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        PreviewRecord.remove(self._output)


def _name_of(path: Path) -> str:
    """Name of a scan by that of its file, whether it is growing or received."""
    match = PARTIAL.fullmatch(path.name)
    return match["name"] if match else path.stem


def _state_of(path: Path) -> GrowingState | None:
    """State of a growing file; None for any other.

    Raises:
        DataError: If it says what cannot be.
    """
    return read_growing(path) if is_growing(path) else None
