"""Frames to a GIF or an MP4."""

import errno
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..errors import ConfigError, DataError, Fault
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
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(
            Fault(str(path), f"a movie cannot be written as {ending or 'a name without ending'!r}", "use .gif or .mp4")
        )

    def told() -> Iterator[UInt8[np.ndarray, "y x 3"]]:
        for done, frame in enumerate(frames, 1):
            yield frame
            if progress is not None:
                progress(done, max(total, done))

    with write_atomically(path) as temporary:
        if ending == ".gif":
            temporary.write_bytes(_gif(told(), rate))
        else:
            _write_mp4(told(), rate, temporary, path)


def _gif(frames: Iterable[UInt8[np.ndarray, "y x 3"]], rate: float) -> bytes:
    """Make a GIF in memory: a writer that the disk refuses would try again, loudly, when it is forgotten."""
    import imageio.v2 as imageio

    whole = BytesIO()
    # GIF counts in hundredths of a second.
    writer = imageio.get_writer(whole, format="GIF", mode="I", duration=round(100 / rate) * 10, loop=0)
    with writer:
        for frame in frames:
            writer.append_data(frame)
    return whole.getvalue()


def _write_mp4(frames: Iterable[UInt8[np.ndarray, "y x 3"]], rate: float, temporary: Path, path: Path) -> None:
    """Have ffmpeg write an MP4.

    Raises:
        DataError: If ffmpeg ended before the film did; it does not say why.
    """
    import imageio.v2 as imageio

    temporary.touch()  # A folder that is read-only refuses this with a reason.
    writer = imageio.get_writer(
        temporary, fps=rate, codec="libx264", quality=8, macro_block_size=2, ffmpeg_log_level="quiet"
    )
    try:
        with writer:
            for frame in frames:
                writer.append_data(frame)
        whole = b"moov" in temporary.read_bytes()  # The table of contents, which is written last.
    except OSError as error:
        if error.errno not in (None, errno.EPIPE):  # imageio tells of a pipe that ffmpeg has closed without a number.
            raise
        whole = False
    if not whole:
        raise DataError(Fault(str(path), "cannot be written: ffmpeg ended early", "see whether the disk is full"))
