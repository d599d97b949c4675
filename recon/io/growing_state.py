"""State of acquisition files that grow frame by frame: the frames that there will be, and those that are there.

The dataset of images has a first axis that grows; the number of frames that there will be is its attribute ``frames``,
or the limit of that axis. What else has an entry for each frame grows with it. A file that is received out of order
also holds ``/received``, 1 for each frame that is there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from jaxtyping import Bool

from ..errors import DataError, Diagnostic
from .frame_scan import FRAMES, MOST_FRAMES, RECEIVED, FrameScan, describe_file
from .hdf5_common import text_of
from .hdf5_open import open_unlocked
from .write import FORMAT

_TRIES, _PAUSE = 5, 0.05
"""Number of attempts to read what is being changed, and [s] the time between two."""
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class ReceivedFrames:
    """Frames that a growing file had when it was read.

    Args:
        received: Whether each of the declared frames is there.
    """

    received: Bool[np.ndarray, " frame"]

    @property
    def total(self) -> int:
        """Number of declared frames."""
        return len(self.received)

    @property
    def count(self) -> int:
        """Number of frames that are there."""
        return int(self.received.sum())

    @property
    def is_whole(self) -> bool:
        """Whether all frames are there."""
        return bool(self.received.all())

    @property
    def missing(self) -> list[int]:
        """Indices of the frames that are not there."""
        return [int(i) for i in np.flatnonzero(~self.received)]


@dataclass(frozen=True)
class GrowingState(ReceivedFrames):
    """State of a growing file when it was read.

    Args:
        scan: Everything but the frames.
    """

    scan: FrameScan


def read_growing(path: Path) -> GrowingState | None:
    """Read the state of a growing acquisition.

    Returns:
        The state; None where the file is none, or cannot be read yet.

    Raises:
        DataError: If the file says what cannot be: a number of frames that is none.
    """
    with open_growing(path) as file:
        return state_of(file, path)


def count_frames(path: Path) -> ReceivedFrames | None:
    """Read which frames a growing acquisition has, and nothing else, as `read_growing` does."""
    with open_growing(path) as file:
        layout = None if file is None else _settled(lambda: _layout(file, path))
        return None if layout is None else layout[1]


@contextmanager
def open_growing(path: Path) -> Iterator[Any]:
    """Open a file that another process may be writing; None where it is no growing acquisition, or not one yet."""
    file = None
    try:
        for attempt in range(_TRIES):
            try:
                file = open_unlocked(path, libver="latest", swmr=True)
                break
            except (OSError, ValueError):  # Not HDF5, not for such readers, or just being made.
                if attempt == _TRIES - 1 or not path.is_file():
                    break
                time.sleep(_PAUSE)
        yield file
    finally:
        if file is not None:
            file.close()


def state_of(file: Any, path: Path) -> GrowingState | None:
    """Read the state of an open file, as `read_growing` does; None for no file."""
    return None if file is None else _settled(lambda: _state(file, path))


def _settled(read: Callable[[], _Read | None]) -> _Read | None:
    """Read again and again what may be being changed; None where that does not end."""
    for _ in range(_TRIES):
        try:
            return read()
        except (OSError, KeyError, RuntimeError, ValueError, TypeError):  # It is being changed.
            time.sleep(_PAUSE)
    return None


def _state(file: Any, path: Path) -> GrowingState | None:
    if (layout := _layout(file, path)) is None:
        return None
    moving, frames = layout
    name = path.name.removesuffix(path.suffix).removesuffix(".partial")
    return GrowingState(frames.received, describe_file(file, moving, frames.total, name))


def _layout(file: Any, path: Path) -> tuple[list[str], ReceivedFrames] | None:
    """Paths of the arrays with an entry for each frame, the images first, and which frames are there; None if none."""
    if text_of(file.attrs.get("format", "")) != FORMAT or not isinstance(file.get("measurement"), h5py.Group):
        return None
    growing = {
        name: node for name, node in file["measurement"].items() if isinstance(node, h5py.Dataset) and _can_grow(node)
    }
    main = next(
        (name for name in (text_of(file["measurement"].attrs.get("signal", "")), "images") if name in growing), ""
    )
    if not main:
        return None
    for node in growing.values():
        node.refresh()
    received = np.zeros(_declared_frames(growing[main], f"{path}:/measurement/{main}"), bool)
    if RECEIVED in file:
        file[RECEIVED].refresh()
        received[:] = file[RECEIVED][()] == 1
    else:
        received[: min(len(node) for node in growing.values())] = True
    return [f"measurement/{main}", *(f"measurement/{name}" for name in growing if name != main)], ReceivedFrames(
        received
    )


def _declared_frames(images: Any, place: str) -> int:
    """Number of frames that there will be.

    Raises:
        DataError: If it is not declared, or cannot be.
    """
    declared = images.attrs.get(FRAMES, images.maxshape[0])
    if declared is None:
        remedy = f"write its attribute {FRAMES}, or limit its first axis (maxshape)"
        raise DataError(Diagnostic(place, "does not say how many frames there will be", remedy))
    try:
        frames = int(declared)
    except (TypeError, ValueError, OverflowError):
        message = f"says that there will be {' '.join(str(declared).split())[:40]} frames, which is no number"
        raise DataError(Diagnostic(place, message, f"correct its attribute {FRAMES}")) from None
    if not max(1, len(images)) <= frames <= MOST_FRAMES:
        message = f"holds {len(images)} frames, and says that there will be {frames}"
        raise DataError(Diagnostic(place, message, f"correct its attribute {FRAMES}"))
    return frames


def _can_grow(dataset: Any) -> bool:
    """Whether an array has an entry for each frame, of which some may be still to come."""
    if not dataset.shape:
        return False
    return FRAMES in dataset.attrs or dataset.maxshape[0] is None or dataset.maxshape[0] > dataset.shape[0]
