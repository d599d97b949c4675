"""Source of acquisitions that shows previews of those whose frames are still coming, while it waits for the next one.

Frames come faster than previews are made: each is made from all frames that are there, and a slow one is given up when
a newer one is due, unless there has been none for long; of a scan that is whole there is none, as its result follows. A
fault of a preview is told, and the measurement goes on.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import DataError, UnflatError
from ..io.completeness import is_growing
from ..io.growing_file import write_snapshot
from ..io.growing_state import ReceivedFrames, count_frames, read_growing
from ..io.received_files import name_of
from ..runs.arrivals import Arriving
from ..runs.batch_record import BatchRecord, relative_path
from ..runs.preview_record import PreviewRecord
from ..runs.scan_list import name_scan
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
    """Scan that is previewed.

    Args:
        path: File that grows.
        whole: File of the whole scan.
        name: Name of its run.
        total: Number of frames that there will be.
        previewed: Number of frames of the last preview that was begun.
        finished: Number of frames of the last slow preview.
        fault: Last fault that was told.
    """

    path: Path
    whole: Path
    name: str
    total: int = 0
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
        expects_frames: Whether every scan comes frame by frame, so that previews are prepared before the first.
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
        *,
        expects_frames: bool = False,
    ) -> None:
        self._source, self._experiment, self._config = source, experiment, config
        self._output, self._report, self._note, self._every = output, report, note, every
        self._previewer: Previewer | None = None
        self._is_off, self._is_begun, self._is_warm, self._expects_frames = False, False, False, expects_frames
        self._scans: dict[Path, _Growing] = {}
        self._current: _Growing | None = None
        self._fault, self._is_old = "", False

    def use_config(self, config: object) -> None:
        """Make the previews with other settings, from the next scan on."""
        self._config, self._is_old = config, True

    @property
    def arriving(self) -> Sequence[Arriving]:
        """Acquisitions that are on their way, with the frames that they have by now."""
        return [self._with_frames(one) for one in self._source.arriving]

    def poll(self) -> Sequence[Path]:
        """List the acquisitions that have become whole since the last call, the earliest first.

        The first call removes the preview of an earlier watch, when the folder of the runs is the caller's own.
        """
        if not self._is_begun:
            PreviewRecord.remove(self._output)
            self._is_begun = True
        whole = self._source.poll()
        for path in whole:
            if self._scans.pop(path, None) is self._current:
                self._current = None
        return whole

    def idle(self, seconds: float) -> bool:
        """Make a preview that is due, or wait.

        Args:
            seconds: [s] Longest time to wait.

        Returns:
            Whether there was a preview.
        """
        arriving = () if self._is_off else self._source.arriving
        try:
            due = list(self._due(arriving))
            if due and self._preview(max(due, key=lambda scan: _changed(scan.path))):
                return True
            if not due and not self._is_warm:
                self._warm_up()
        except Exception as error:  # The measurement matters more.
            _log.debug("previews", exc_info=error)
            fault = f"a preview failed: {type(error).__name__}: {error}"
            if fault != self._fault:
                self._fault = fault
                self._note(fault)
        return self._source.idle(seconds)

    def _preview(self, scan: _Growing) -> bool:
        """Preview the frames of a scan that are there; return whether there is something to see."""
        mask = next((entry.path for entry in self._experiment.schema if entry.hides), "/measurement/mask")
        with tempfile.TemporaryDirectory(prefix="unflat-") as folder:
            snapshot = Path(folder) / "frames.h5"
            try:
                state = write_snapshot(scan.path, snapshot, mask=mask)
            except UnflatError as error:
                self._tell(scan, str(error.faults[0]))
                return False
            return state is not None and self._show(scan, snapshot, state.received, lambda: self._newer(scan))

    def _warm_up(self) -> None:
        """Prepare the maker of previews while frames are waited for, and its programs once their shape is known."""
        scan = next((scan for scan in self._scans.values() if scan.total), None)
        previewer = self._maker() if scan is not None or self._expects_frames else None
        state = None if scan is None or previewer is None else read_growing(scan.path)
        if previewer is not None and state is not None:
            self._is_warm = True
            previewer.warm_up((state.total, *state.scan.images.shape))

    def _with_frames(self, one: Arriving) -> Arriving:
        scan = self._scans.get(_whole_file(one.path))
        try:
            frames = _frames_of(one.path) if scan is not None else None
        except (UnflatError, OSError):
            frames = None
        if frames is None:
            return one
        reason = f"has {frames.count} of {frames.total} frames"
        if frames.is_whole:
            reason += ", and is taken when its writer closes it (h5clear -s, if that has died)"
        elif one.hint:
            reason += f" ({one.hint})"
        return replace(one, reason=reason)

    def _due(self, arriving: Iterable[Arriving]) -> Iterable[_Growing]:
        """Iterate over the scans of which a preview is due."""
        for one in arriving:
            try:
                frames = _frames_of(one.path)
            except DataError as error:
                self._tell(self._scan_of(one.path), str(error.faults[0]))
                continue
            if frames is None:
                continue
            scan = self._scan_of(one.path)
            scan.path, scan.total = one.path, frames.total
            if not frames.is_whole and frames.count - scan.previewed >= self._interval(scan):
                yield scan

    def _scan_of(self, path: Path) -> _Growing:
        """Scan of a growing file, which has the name that its run will have."""
        whole = _whole_file(path)
        if whole not in self._scans:
            record = BatchRecord.read(self._output)
            known = {} if record is None else record.names_of_files(self._output)
            known |= {scan.whole.resolve(): scan.name for scan in self._scans.values()}
            self._scans[whole] = _Growing(path, whole, name_scan(whole, known).name)
        return self._scans[whole]

    def _interval(self, scan: _Growing) -> int:
        return self._every or max(_FEWEST, scan.total // _SHARE)

    def _newer(self, scan: _Growing) -> str | None:
        """Reason to give up a slow preview: the scan is whole, or a newer one is due and the last is not long ago."""
        try:
            frames = _frames_of(scan.path)
        except DataError:
            frames = None
        if frames is None or frames.is_whole:
            return "the scan is whole"
        is_due = frames.count - scan.previewed >= self._interval(scan)
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
            self._is_warm = True
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
        if self._is_old and self._current is not scan:
            self._previewer, self._is_old = None, False
        previewer = self._maker()
        if previewer is not None and self._current is not scan:
            previewer.begin()
            self._current = scan
        return previewer

    def _maker(self) -> Previewer | None:
        """Return the maker of previews; None where the kind has none."""
        if self._previewer is None and not self._is_off:
            try:
                self._previewer = self._experiment.previewer(self._config)
            except UnflatError as error:
                self._note(f"there are no previews: {error.faults[0]}")
            self._is_off = self._previewer is None
        return self._previewer

    def _write(self, scan: _Growing, preview: Preview) -> None:
        picture = PreviewRecord.encode(render_png(preview.draw()))
        words = (preview.method, preview.trust, preview.outlook)
        file = relative_path(scan.whole, self._output)
        record = PreviewRecord(scan.name, preview.frames, preview.total, *words, picture, file, time.time())
        record.write(self._output)

    def _tell(self, scan: _Growing, text: str) -> None:
        """Tell a fault, unless it is the last one that was told, but for its number of frames."""
        kind = text.partition(": ")[2] or text
        if kind != scan.fault:
            scan.fault = kind
            self._note(f"{scan.name}: {text}")

    def __enter__(self) -> "PreviewSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_begun:
            PreviewRecord.remove(self._output)


def _whole_file(path: Path) -> Path:
    """File of the whole scan, by that of a scan that is growing or being received."""
    name = name_of(path)
    return path if name == path.stem else path.with_name(f"{name}.h5")


def _frames_of(path: Path) -> ReceivedFrames | None:
    """Frames of a growing file; None for any other.

    Raises:
        DataError: If it says what cannot be.
    """
    return count_frames(path) if is_growing(path) else None


def _changed(path: Path) -> float:
    """Time of the last change of a file; 0 for one that is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
