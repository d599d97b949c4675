"""A stock of simulated crystals on disk, made by processes beside the training and grown while it goes on.

One shard is a few crystals on arrays of one size, in plain NumPy files that are mapped, not read. The crystals follow
from seed and number alone, so that a run that goes on, or is done again, trains on the same ones.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ....errors import DataError, Fault
from ....runs.atomic import open_for_arrays, write_atomically
from .specimens import Specimen, specimen

SHARD = 32
"""Crystals in a shard."""
_SIZE_TURNS = (64, 64, 64, 48)
"""Edges of the arrays of one shard after the other."""
_LOOK_AGAIN = 0.5
"""Seconds between two looks for a shard that is being made."""


def size_of(shard: int) -> int:
    """Edge of the arrays of a shard."""
    return _SIZE_TURNS[shard % len(_SIZE_TURNS)]


@dataclass
class Pool:
    """The stock.

    Args:
        folder: Where its shards stand.
        seed: Of its crystals.
        shards: How many it has when it is whole.
    """

    folder: Path
    seed: int
    shards: int
    _open: dict[int, tuple[np.ndarray, ...]] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator, shard: int) -> Specimen:
        """One crystal of a shard."""
        modulus, density, numbers = self._arrays(shard)
        i = int(rng.integers(len(modulus)))
        parts = density[i].astype(np.float32)
        return Specimen(
            modulus[i].astype(np.float32), parts[..., 0] + 1j * parts[..., 1], numbers[i, :3], float(numbers[i, 3])
        )

    def has(self, shard: int) -> bool:
        """Whether a shard is made."""
        return shard in self._open or self._file(shard, "numbers").exists()

    def wait_for(self, shard: int, stop: Callable[[], str | None], makers: "Makers") -> bool:
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
        drawn = [specimen(self.seed, shard * SHARD + i, size) for i in range(SHARD)]
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
        return self._open[shard]

    def _file(self, shard: int, name: str) -> Path:
        return self.folder / f"{shard:05d}-{name}.npy"


@dataclass
class Makers:
    """The processes that fill a pool.

    Args:
        pool: What to fill.
        workers: How many there are.
    """

    pool: Pool
    workers: int

    def __post_init__(self) -> None:
        # Spawned: a fork of a process with jax's threads may hang.
        self._processes = get_context("spawn").Pool(self.workers, _be_modest)
        missing = (shard for shard in range(self.pool.shards) if not self.pool.has(shard))
        empty = Pool(self.pool.folder, self.pool.seed, self.pool.shards)
        self._made = [self._processes.apply_async(empty.make, (shard,)) for shard in missing]

    def check(self) -> None:
        """Raise what a process failed with.

        Raises:
            DataError: If one did.
        """
        for made in self._made:
            if made.ready() and not made.successful():
                try:
                    made.get()
                except Exception as error:
                    remedy = "free space on the disk, and go on with --resume"
                    message = f"a simulated crystal was not made: {error}"
                    raise DataError(Fault(str(self.pool.folder), message, remedy)) from error

    def close(self) -> None:
        """End them at once: a shard appears whole or not at all."""
        self._processes.terminate()
        self._processes.join()


@contextmanager
def filled(pool: Pool, workers: int) -> Iterator[Makers]:
    """Fill a pool in the background for as long as the block lasts."""
    pool.folder.mkdir(parents=True, exist_ok=True)
    makers = Makers(pool, workers)
    try:
        yield makers
    finally:
        makers.close()


def _be_modest() -> None:
    """Leave the machine's cores to the training."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The keyboard's interrupt is for the training to answer.
    if hasattr(os, "nice"):
        os.nice(5)
