"""A stock of simulated crystals on disk, made by processes beside the training and grown while it goes on.

One shard is a few crystals on arrays of one size, in plain NumPy files that are mapped, not read. The crystals follow
from seed and number alone, so that a run that goes on, or is done again, trains on the same ones.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from ....errors import DataError, Diagnostic
from ....io.atomic import open_for_arrays, write_atomically
from .simulated_data import TrainingCrystal, specimen

SHARD = 32
"""Crystals in a shard."""
_SIZE_TURNS = (64, 64, 64, 48)
"""Edges of the arrays of one shard after the other."""
_OPEN = 64
"""Shards that are mapped at a time: each holds three files open, and systems allow a process some hundreds."""
_LOOK_AGAIN = 0.5
"""Seconds between two looks for a shard that is being made."""


def size_of(shard: int) -> int:
    """Edge of the arrays of a shard."""
    return _SIZE_TURNS[shard % len(_SIZE_TURNS)]


@dataclass
class SimulatedDataset:
    """The stock.

    Args:
        folder: Where its shards stand.
        seed: Of its crystals.
        shards: How many it has when it is whole.
    """

    folder: Path
    seed: int
    shards: int
    _open: OrderedDict[int, tuple[np.ndarray, ...]] = field(default_factory=OrderedDict)

    def draw(self, rng: np.random.Generator, shard: int) -> TrainingCrystal:
        """One crystal of a shard."""
        modulus, density, numbers = self._arrays(shard)
        i = int(rng.integers(len(modulus)))
        parts = density[i].astype(np.float32)
        return TrainingCrystal(
            modulus[i].astype(np.float32), parts[..., 0] + 1j * parts[..., 1], numbers[i, :3], float(numbers[i, 3])
        )

    def has(self, shard: int) -> bool:
        """Whether a shard is made."""
        return shard in self._open or self._file(shard, "numbers").exists()

    def wait_for(self, shard: int, stop: Callable[[], str | None], makers: "WorkerPool") -> bool:
        """Wait until a shard is made; give up if asked to stop.

        Raises:
            DataError: If whoever makes it failed.
        """
        while not self.has(shard):
            makers.check()
            if stop():
                return False
            time.sleep(_LOOK_AGAIN)
        return True

    def make(self, shard: int) -> None:
        """Make a shard, if it is not there."""
        if self.has(shard):
            return
        size = size_of(shard)
        drawn = []
        for i in range(SHARD):
            if _ended is not None and _ended.is_set():
                return
            drawn.append(specimen(self.seed, shard * SHARD + i, size))
        density = np.stack([one.density for one in drawn])
        arrays = {
            "modulus": np.stack([one.modulus for one in drawn]).astype(np.float16),
            "density": np.stack([density.real, density.imag], axis=-1).astype(np.float16),
            "numbers": np.stack([[*one.widths, one.strain] for one in drawn]),  # Last: it says that the shard is whole.
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
    """The processes that fill a pool.

    Args:
        pool: What to fill.
        workers: How many there are.
    """

    pool: SimulatedDataset
    workers: int

    def __post_init__(self) -> None:
        context = get_context("spawn")  # A fork of a process with jax's threads may hang.
        self._end = context.Event()
        self._executor = ProcessPoolExecutor(self.workers, context, _be_modest, (self._end,))
        missing = (shard for shard in range(self.pool.shards) if not self.pool.has(shard))
        empty = SimulatedDataset(self.pool.folder, self.pool.seed, self.pool.shards)
        self._made = [self._executor.submit(empty.make, shard) for shard in missing]

    def check(self) -> None:
        """Raise what a process failed with.

        Raises:
            DataError: If one did, or was killed.
        """
        for made in self._made:
            if made.done() and not made.cancelled() and (error := made.exception()) is not None:
                remedy = "go on with --resume"
                if isinstance(error, BrokenProcessPool):
                    remedy = "it was killed, by want of memory perhaps: lower train.workers, and go on with --resume"
                message = f"a simulated crystal was not made: {error}"
                raise DataError(Diagnostic(str(self.pool.folder), message, remedy)) from error

    def close(self) -> None:
        """End them: each gives up after the crystal that it is at."""
        self._end.set()
        self._executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def filled(pool: SimulatedDataset, workers: int) -> Iterator[WorkerPool]:
    """Fill a pool in the background for as long as the block lasts."""
    pool.folder.mkdir(parents=True, exist_ok=True)
    makers = WorkerPool(pool, workers)
    try:
        yield makers
    finally:
        makers.close()


_ended: Event | None = None
"""Whether a process that makes crystals is to give up; None in any other process."""


def _be_modest(ended: Event) -> None:
    """Leave the machine's cores to the training, and listen to it."""
    import signal

    global _ended
    _ended = ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The keyboard's interrupt is for the training to answer.
    if hasattr(os, "nice"):
        os.nice(5)
