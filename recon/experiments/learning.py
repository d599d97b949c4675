"""Learning between the scans of a watch: the network is fine-tuned to the last ones while no scan waits.

A lesson is worked on in a thread, for about a second at a time, and for ten where a program is compiled first. A scan
that arrives begins at once, and the lesson goes on when nothing waits any more. Its network is used from the next scan
on if the withheld pixels of the scans are explained better. It lies beside the runs, so that the same command goes on
with it.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import ConfigError, Diagnostic, UnflatError
from ..io.json_text import json_object
from ..io.network_file import FILE_NAME, Network, read, write
from ..runs.batch_record import BatchFolder, ScanRecord, State, relative_path, stamp_of
from ..runs.contents import METRICS
from ..runs.learning_record import LEARNING, LearningRecord, Lesson, names_of
from ..runs.logs import without_absolute_paths
from ..runs.verdict import Verdict
from .base import Experiment
from .learner import LearnedNetwork, Learner, MeasuredScan, Units

DAMAGED = "network.damaged.h5"
"""Name under which a learned network that cannot be read is set aside."""

_TURN = 0.5
"""[s] Time after which no further unit is begun before the watch has looked for scans."""

_log = logging.getLogger(__name__)


def _ignore(_config: Any) -> None:
    """Use the network for the runs alone."""


@dataclass(frozen=True)
class LearningOptions:
    """Options of the learning.

    Args:
        report: Callback after each lesson.
        warn: Callback for a fault, which stops nothing.
        use_config: Callback with the settings that name a new network, for other users of it, such as previews.
    """

    report: Callable[[Lesson], None]
    warn: Callable[[str], None]
    use_config: Callable[[Any], None] = _ignore


class Learning:
    """Learning from the scans in the folder of a watch, until the ``with`` block ends.

    Args:
        experiment: Kind of experiment.
        config: Settings of the experiment, as the user gave them.
        folder: Folder of the runs, whose record holds the scans.
        options: Options.
        is_new: Whether to forget what was learned before.

    Attributes:
        config: Settings that name the network to use.
        digest: Checksum by which runs tell that network; empty for that of the user's settings.

    Raises:
        ConfigError: If no network of the kind learns from measurements.
    """

    def __init__(
        self,
        experiment: Experiment,
        config: Any,
        folder: BatchFolder,
        options: LearningOptions,
        *,
        is_new: bool = False,
    ) -> None:
        self._experiment, self._folder, self._options = experiment, folder, options
        self._learner = require_learner(experiment, config, folder.path)
        self._given = self.config = config
        self.digest = self._stamp = ""
        self._path = folder.path.resolve() / FILE_NAME
        if is_new:
            for name in (FILE_NAME, LEARNING):
                (folder.path / name).unlink(missing_ok=True)
        self._record = LearningRecord.read(folder.path)
        self._thread = ThreadPoolExecutor(1, "learning")
        self._unit: Future[LearnedNetwork | _Pause | None] | None = None
        self._units: Units | None = None
        self._begun = self._seconds = 0.0
        newest = self._record.newest
        # By names and stamps, as the clock may be set back while the watch goes on.
        self._known = {_key(scan) for scan in self._results() if newest is not None and scan.noted <= newest.begun}
        if self._path.is_file():
            self._resume()

    @property
    def sentence(self) -> str:
        """Description of the lesson under way, or of those before."""
        return "learns from the scans" if self._units is not None else self._record.summary

    def advance(self) -> bool:
        """Go on with the lesson that is due, if the unit before has ended; return whether a lesson has ended."""
        if self._unit is not None and not self._unit.done():
            return False
        unit, self._unit = self._unit, None
        try:
            return self._go_on(unit)
        except Exception as error:  # The measurement matters more.
            self._units = None
            _log.debug("learning", exc_info=error)
            self._options.warn(f"the network learned nothing: {_fault(error)}")
        return True

    def require_network(self) -> None:
        """Look whether the learned network is as it was written; if it cannot be read, use that of the config again."""
        if self.digest and stamp_of(self._path) != self._stamp:
            self._resume()

    def _go_on(self, unit: "Future[LearnedNetwork | _Pause | None] | None") -> bool:
        """Go on after a unit, if there was one; return whether the lesson has ended."""
        outcome = None if unit is None else unit.result()
        if isinstance(outcome, _Pause):
            self._seconds += outcome.seconds
        elif unit is not None:
            self._units = None
            if outcome is not None:
                self._end(outcome)
            return True
        self._start_unit()
        return False

    def _start_unit(self) -> None:
        """Begin the next unit of the lesson; of a new one, if scans have ended since the last."""
        if self._units is None:
            begun = time.time()
            scans = self._due_scans()
            if not scans:
                return
            self._begun, self._seconds = begun, 0.0
            self.require_network()
            self._units = self._learner.lesson(read(self.config.predict.network, self._experiment.name), scans)
        self._unit = self._thread.submit(_work, self._units)

    def _due_scans(self) -> dict[str, MeasuredScan]:
        """Last scans with a sound result, if one is new; without those that have changed or gone since."""
        results = self._results()
        new = {_key(scan) for scan in results} - self._known
        if not new:
            return {}
        self._known |= new
        sound = sorted(filter(self._is_sound, results), key=lambda scan: (_key(scan) in new, scan.noted))
        last = sound[-self._learner.most_scans :]
        if not last or _key(last[-1]) not in new:  # What is new is not sound.
            return {}
        root = self._folder.path.resolve()
        known = [(scan, MeasuredScan(root / scan.file, root / scan.name)) for scan in last]
        return {scan.name: one for scan, one in known if scan.stamp and stamp_of(one.path) == scan.stamp}

    def _results(self) -> list[ScanRecord]:
        """Scans with a result."""
        return [scan for scan in self._folder.record.scans.values() if scan.status is State.DONE]

    def _is_sound(self, scan: ScanRecord) -> bool:
        """Whether there is no reason to doubt the result of a scan as a whole."""
        verdict = Verdict.from_json(json_object(self._folder.path / scan.name / METRICS))
        return verdict is not None and verdict.holds

    def _end(self, learned: LearnedNetwork) -> None:
        """Record a lesson, and use its network if it is a better one."""
        numbers = (learned.steps, learned.accepted_steps, learned.before, learned.after, self._seconds, self._begun)
        lesson = Lesson(learned.scans, *numbers)
        if lesson.accepted_steps:
            write(_with_provenance(learned.network, lesson), self._path)
        self._record = self._record.add(lesson)
        try:
            self._record.write(self._folder.path)
        except (UnflatError, OSError) as error:
            self._options.warn(f"the lesson is not recorded, and may be repeated: {_fault(error)}")
        if lesson.accepted_steps:
            self._use_own()
        self._options.report(lesson)

    def _resume(self) -> None:
        """Use the network of an earlier watch; one that cannot be read is set aside."""
        try:
            self._learner.require(read(self._path, self._experiment.name))
            self._use_own()
        except (UnflatError, OSError) as error:
            aside = ""
            with suppress(OSError):  # It may be gone.
                self._path.replace(self._path.with_name(DAMAGED))
                aside = f"it is set aside as {DAMAGED}, and "
            if self.digest:
                self.config, self.digest = self._given, ""
                self._options.use_config(self.config)
            self._options.warn(f"{_fault(error)}; {aside}the network of the config is used again")

    def _use_own(self) -> None:
        """Use the network beside the runs from the next scan on."""
        name = relative_path(self._path, Path())
        section = self.config.predict.model_copy(update={"network": name})
        self.config = self.config.model_copy(update={"predict": section})
        # Where it lies is one of the settings of a run, which may not change when the run goes on.
        self.digest = hashlib.sha256(name.encode() + self._path.read_bytes()).hexdigest()[:16]
        self._stamp = stamp_of(self._path)
        self._options.use_config(self.config)

    def __enter__(self) -> "Learning":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up the lesson, after its unit: about a second, and ten where it compiles."""
        self._thread.shutdown(cancel_futures=True)


def require_learner(experiment: Experiment, config: Any, folder: Path) -> Learner:
    """Build the learner of a kind.

    Args:
        experiment: Kind of experiment.
        config: Settings of the experiment.
        folder: Folder of the runs, which the network that is learned is written to.

    Raises:
        ConfigError: If the kind has none, or the network of the config is the file to be written.
    """
    learner = experiment.learner(config)
    if learner is None:
        message = f"no network of the kind {experiment.name!r} learns from measurements"
        raise ConfigError(Diagnostic("--learn", message, "leave it out"))
    given = config.predict.network
    if given is not None and Path(given).resolve() == folder.resolve() / FILE_NAME:
        remedy = "without predict.network a watch goes on with it; to begin with it, copy it to another place"
        raise ConfigError(Diagnostic("predict.network", f"{given} is the file that --learn writes", remedy))
    return learner


def _key(scan: ScanRecord) -> tuple[str, str]:
    """Name and stamp of the acquisition of a scan."""
    return scan.name, scan.stamp


def _fault(error: Exception) -> str:
    """Describe an error in a line, without the places of files."""
    if isinstance(error, UnflatError):
        return without_absolute_paths(str(error.faults[0]))
    return f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class _Pause:
    """End of a unit of a lesson that goes on.

    Args:
        seconds: [s] Time that the unit took.
    """

    seconds: float


def _work(units: Units) -> LearnedNetwork | _Pause | None:
    """Do units of a lesson for a moment."""
    start = time.monotonic()
    try:
        while time.monotonic() - start < _TURN:
            next(units)
    except StopIteration as end:
        learned: LearnedNetwork | None = end.value
        return learned
    return _Pause(time.monotonic() - start)


def _with_provenance(network: Network, lesson: Lesson) -> Network:
    """Network with the lesson among those that it came from."""
    lessons = [*network.provenance.get("lessons", ()), f"{lesson.line}: {names_of(lesson.scans)}"]
    return replace(network, provenance=dict(network.provenance) | {"lessons": lessons})
