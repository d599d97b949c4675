"""Data set of simulated specimens on disk, which processes beside the training make and let grow meanwhile.

A shard is a few specimens with arrays of one shape, in plain NumPy files that are mapped, not read. Its contents follow
from seed and number alone, so that a run that is resumed or repeated trains on the same ones.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import DataError, Diagnostic
from ..io.atomic import open_for_arrays, write_atomically
from ..signals import leave_signals_to_parent

_OPEN = 64
"""Shards that are mapped at a time: each holds a few files open, and systems allow a process some hundreds."""
_POLL_INTERVAL = 0.5
"""[s] Time between two checks for a shard that is being made."""

Shard: TypeAlias = Mapping[str, np.ndarray]
"""Arrays of a shard by name, with an axis of the specimens first."""


@dataclass
class SimulatedDataset:
    """Data set of simulated specimens.

    Args:
        folder: Folder of the shards.
        shards: Number of shards when all are made.
        simulate: Simulation of a shard by its number, or None where it was to end early (`is_ended`). It is sent to
            other processes: a function of a module, with its arguments by `functools.partial`.
        names: Names of the arrays of a shard.
        share: Number of this process among those that make the shards of one folder together, and their number.
    """

    folder: Path
    shards: int
    simulate: Callable[[int], Shard | None]
    names: tuple[str, ...]
    share: tuple[int, int] = (0, 1)
    _open: OrderedDict[int, Shard] = field(default_factory=OrderedDict)

    def arrays(self, shard: int) -> Shard:
        """Map the arrays of a shard."""
        if shard not in self._open:
            self._open[shard] = {name: np.load(self._file(shard, name), mmap_mode="r") for name in self.names}
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return self._open[shard]

    def has(self, shard: int) -> bool:
        """Check whether a shard is made."""
        return shard in self._open or self._file(shard, self.names[-1]).exists()

    def wait_for(self, shard: int, should_stop: Callable[[], str | None], workers: "WorkerPool") -> bool:
        """Wait until a shard is made; False if a stop was requested meanwhile.

        Raises:
            DataError: If a process that makes shards failed.
        """
        while not self.has(shard):
            if should_stop():  # First: whoever ends all of a job has ended the processes too.
                return False
            workers.check()
            time.sleep(_POLL_INTERVAL)
        return True

    def make(self, shard: int) -> None:
        """Make a shard, if it is missing."""
        if self.has(shard) or is_ended():
            return
        arrays = self.simulate(shard)
        if arrays is None:
            return
        for name in self.names:  # The last one is a sign that the shard is whole.
            with write_atomically(self._file(shard, name)) as temporary, open_for_arrays(temporary) as file:
                np.save(file, arrays[name])

    def _file(self, shard: int, name: str) -> Path:
        return self.folder / f"{shard:05d}-{name}.npy"


@dataclass
class WorkerPool:
    """Processes that make the shards of a data set.

    Args:
        dataset: Data set.
        count: Number of processes.
    """

    dataset: SimulatedDataset
    count: int

    def __post_init__(self) -> None:
        context = get_context("spawn")  # A fork of a process with jax's threads may hang.
        self._end = context.Event()
        self._executor = ProcessPoolExecutor(self.count, context, _start_worker, (self._end,))
        place, count = self.dataset.share
        missing = (shard for shard in range(place, self.dataset.shards, count) if not self.dataset.has(shard))
        given = self.dataset
        unopened = SimulatedDataset(given.folder, given.shards, given.simulate, given.names)
        self._shards = [self._executor.submit(unopened.make, shard) for shard in missing]

    def check(self) -> None:
        """Raise the error of a process.

        Raises:
            DataError: If one failed, or was killed.
        """
        for shard in self._shards:
            if shard.done() and not shard.cancelled() and (error := shard.exception()) is not None:
                remedy = "go on with --resume"
                if isinstance(error, BrokenProcessPool):
                    remedy = "it was killed, by want of memory perhaps: lower train.workers, and go on with --resume"
                message = f"a simulated specimen was not made: {error}"
                raise DataError(Diagnostic(str(self.dataset.folder), message, remedy)) from error

    def close(self) -> None:
        """End the processes: each gives up after its present specimen."""
        self._end.set()
        self._executor.shutdown(wait=True, cancel_futures=True)
        del self._executor, self._end  # Else their semaphores outlive a process that leaves without its last rites.


@contextmanager
def simulate_in_background(dataset: SimulatedDataset, count: int) -> Iterator[WorkerPool]:
    """Make the shards of a data set in so many processes for as long as the block lasts."""
    dataset.folder.mkdir(parents=True, exist_ok=True)
    workers = WorkerPool(dataset, count)
    try:
        yield workers
    finally:
        workers.close()


_ended: Event | None = None
"""Event that ends a process that makes shards; None in any other process."""


def is_ended() -> bool:
    """Whether the simulation of a shard, in a process of a pool, is to end early."""
    return _ended is not None and _ended.is_set()


def _start_worker(ended: Event) -> None:
    """Initialise a process: low priority, no signal of its own, no accelerator, and the event that ends it."""
    global _ended
    _ended = ended
    leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["JAX_PLATFORMS"] = "cpu"  # The accelerator is the training's.
    if hasattr(os, "nice"):
        os.nice(5)


def _end_with_parent() -> None:
    """End this process when the training has died without a word to it."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
