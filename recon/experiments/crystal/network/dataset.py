"""Data set of simulated crystals on disk, which processes beside the training make and let grow meanwhile.

A shard is a few crystals on arrays of one size, in plain NumPy files that are mapped, not read. The crystals follow
from seed and number alone, so that a run that is resumed or repeated trains on the same ones.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from ....errors import DataError, Diagnostic
from ....io.atomic import open_for_arrays, write_atomically
from ....signals import leave_signals_to_parent
from .simulated_data import TrainingCrystal, simulate_crystal

SHARD = 32
"""Crystals in a shard."""
_SIZE_TURNS = (64, 64, 64, 48)
"""Edges of the arrays of one shard after the other."""
_OPEN = 64
"""Shards that are mapped at a time: each holds three files open, and systems allow a process some hundreds."""
_POLL_INTERVAL = 0.5
"""[s] Time between two checks for a shard that is being made."""


def size_of(shard: int) -> int:
    """Return the edge of the arrays of a shard."""
    return _SIZE_TURNS[shard % len(_SIZE_TURNS)]


@dataclass
class SimulatedDataset:
    """Data set of simulated crystals.

    Args:
        folder: Folder of the shards.
        seed: Seed of the crystals.
        shards: Number of shards when all are made.
        share: Number of this process among those that make the shards of one folder together, and their number.
    """

    folder: Path
    seed: int
    shards: int
    share: tuple[int, int] = (0, 1)
    _open: OrderedDict[int, tuple[np.ndarray, ...]] = field(default_factory=OrderedDict)

    def draw(self, rng: np.random.Generator, shard: int) -> TrainingCrystal:
        """Draw one crystal of a shard."""
        modulus, density, numbers = self._arrays(shard)
        i = int(rng.integers(len(modulus)))
        parts = density[i].astype(np.float32)
        return TrainingCrystal(
            modulus[i].astype(np.float32), parts[..., 0] + 1j * parts[..., 1], numbers[i, :3], float(numbers[i, 3])
        )

    def has(self, shard: int) -> bool:
        """Check whether a shard is made."""
        return shard in self._open or self._file(shard, "numbers").exists()

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
        if self.has(shard):
            return
        size = size_of(shard)
        crystals = []
        for i in range(SHARD):
            if _ended is not None and _ended.is_set():
                return
            crystals.append(simulate_crystal(self.seed, shard * SHARD + i, size))
        density = np.stack([one.density for one in crystals])
        arrays = {
            "modulus": np.stack([one.modulus for one in crystals]).astype(np.float16),
            "density": np.stack([density.real, density.imag], axis=-1).astype(np.float16),
            "numbers": np.stack(
                [[*one.widths, one.strain] for one in crystals]
            ),  # Last: a sign that the shard is whole.
        }
        for name, array in arrays.items():
            with write_atomically(self._file(shard, name)) as temporary, open_for_arrays(temporary) as file:
                np.save(file, array)

    def _arrays(self, shard: int) -> tuple[np.ndarray, ...]:
        if shard not in self._open:
            names = ("modulus", "density", "numbers")
            self._open[shard] = tuple(np.load(self._file(shard, name), mmap_mode="r") for name in names)
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return self._open[shard]

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
        unopened = SimulatedDataset(self.dataset.folder, self.dataset.seed, self.dataset.shards)
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
                message = f"a simulated crystal was not made: {error}"
                raise DataError(Diagnostic(str(self.dataset.folder), message, remedy)) from error

    def close(self) -> None:
        """End the processes: each gives up after its present crystal."""
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
"""Event that ends a process that makes crystals; None in any other process."""


def _start_worker(ended: Event) -> None:
    """Initialise a process: low priority, no signal of its own, and the event that ends it."""
    global _ended
    _ended = ended
    leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(5)


def _end_with_parent() -> None:
    """End this process when the training has died without a word to it."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
