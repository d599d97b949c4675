"""Learner of one kind's network: fine-tuning to results of scans, a unit of work at a time."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ..io.network_file import Network


@dataclass(frozen=True)
class MeasuredScan:
    """Scan with a sound result.

    Args:
        path: Acquisition.
        run: Folder of its run.
    """

    path: Path
    run: Path


@dataclass(frozen=True)
class LearnedNetwork:
    """Outcome of a lesson.

    Args:
        network: Network with the weights that are to be used from now on: the old ones where the lesson was rejected.
        scans: Names of the scans that it was tuned to.
        steps: Number of steps.
        accepted_steps: Number of steps that were kept; 0 for the old network.
        before: Misfit of the withheld pixels before.
        after: Misfit after; of a lesson that was rejected, with the best network that was tried.
    """

    network: Network
    scans: tuple[str, ...]
    steps: int
    accepted_steps: int
    before: float
    after: float


Units: TypeAlias = Generator[None, None, LearnedNetwork | None]
"""Lesson that yields between its units of work of a second or two; None where no scan can be learned from."""


class Learner(ABC):
    """Learner of a network.

    Attributes:
        most_scans: Largest number of scans of a lesson.
    """

    most_scans: int = 4

    @abstractmethod
    def require(self, network: Network) -> None:
        """Refuse a network that this kind cannot use.

        Raises:
            DataError: If it has another architecture.
        """

    @abstractmethod
    def lesson(self, network: Network, scans: Mapping[str, MeasuredScan]) -> Units:
        """Fine-tune a network to the results of scans, without the pixels that were withheld from these.

        Args:
            network: Network as it is.
            scans: Scans by their names, the newest last.
        """
