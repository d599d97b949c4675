"""Preview of a measurement that is under way: a picture, and how far it can be trusted."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Preview:
    """Preview of a measurement from the frames that are there.

    Args:
        method: Method in one word: ``network``, ``physics``.
        frames: Number of frames that it was made from.
        total: Number of frames that there will be.
        trust: Statement of how far it can be trusted.
        outlook: Statement of whether more frames would change it.
        draw: Function that draws it.
        numbers: Numbers behind the statements.
        seconds: [s] Time that it took.
    """

    method: str
    frames: int
    total: int
    trust: str
    outlook: str
    draw: "Callable[[], Figure]"
    numbers: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """The preview in one line."""
        head = f"{self.frames}/{self.total} frames, {self.method}"
        return f"{head}: {self.trust}; {self.outlook} ({self.seconds:.1f} s)"


class Previewer(ABC):
    """Maker of the previews of one kind of experiment, which remembers the last one of a scan."""

    def warm_up(self, shape: tuple[int, ...]) -> None:
        """Compile the programs of the previews while frames are waited for.

        Args:
            shape: Shape of the array of images, with all of its frames.
        """
        return

    @abstractmethod
    def begin(self) -> None:
        """Begin a new scan."""

    @abstractmethod
    def previews(
        self, snapshot: Path, received: Bool[np.ndarray, " frame"], should_stop: Callable[[], str | None]
    ) -> Iterator[Preview]:
        """Make previews of the frames that are there, the quickest first.

        Args:
            snapshot: Acquisition of the full number of frames, in which the missing ones are masked.
            received: Whether each frame is there.
            should_stop: Reason to give up a slow preview, because a newer one is due; None to go on.

        Raises:
            DataError: If nothing can be seen yet, with the reason.
        """
