"""Frames to a GIF or an MP4."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..errors import ConfigError, Fault
from ..runs.atomic import write_atomically

ENDINGS = (".gif", ".mp4")


def write_movie(
    frames: Iterable[UInt8[np.ndarray, "y x 3"]],
    path: Path,
    *,
    rate: float = 20.0,
    total: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Write frames one by one: a GIF that repeats for ever, or an H.264 MP4, by the name's ending.

    Args:
        frames: Pictures of one size, with even edges.
        path: ``*.gif`` or ``*.mp4``.
        rate: Frames a second.
        total: How many frames there will be, for progress.
        progress: Called with (frames done, frames in all) after each.

    Raises:
        ConfigError: If the ending is neither.
        DataError: If the folder is missing, or the disk is full or read-only.
    """
    import imageio.v2 as imageio

    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(
            Fault(str(path), f"a movie cannot be written as {ending or 'a name without ending'!r}", "use .gif or .mp4")
        )
    with write_atomically(path) as temporary:
        if ending == ".gif":
            # GIF counts in hundredths of a second.
            writer = imageio.get_writer(temporary, mode="I", duration=round(100 / rate) * 10, loop=0)
        else:
            writer = imageio.get_writer(temporary, fps=rate, codec="libx264", quality=8, macro_block_size=2)
        with writer:
            for done, frame in enumerate(frames, 1):
                writer.append_data(frame)
                if progress is not None:
                    progress(done, max(total, done))
