"""``unflat replay``: an acquisition frame by frame, in the rhythm of an instrument, as a stream or a growing file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..recon.errors import ConfigError
from ..recon.signals import interrupts_raised
from . import console
from .options import OUTPUT, PATH, duration

_INTERVAL = 0.1
"""[s] Time between two frames by default."""


@click.command()
@click.argument("file", type=PATH)
@click.option("--to", "address", metavar="tcp://HOST:PORT", help="Send the frames to 'unflat watch' at this address.")
@click.option("--into", "growing", type=OUTPUT, help="Write the frames into a growing HDF5 file.")
@click.option(
    "--interval", metavar="TIME", callback=duration, help="Time between two frames, e.g. '0.5 s'; 0.1 s by default."
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Frames per second, instead of the time.")
@click.option("--name", help="Name of the scan; that of the file by default.")
@click.option("--timeout", metavar="TIME", callback=duration, help="Wait so long for a receiver; 1 min by default.")
@click.option("--force", is_flag=True, help="Replace the growing file where it already exists.")
def command(
    file: Path,
    address: str | None,
    growing: Path | None,
    interval: float | None,
    rate: float | None,
    name: str | None,
    timeout: float | None,
    force: bool,
) -> None:
    """Send the acquisition FILE frame by frame, as an instrument measures it.

    The frames go to a running 'unflat watch' as a ZeroMQ stream (--to), or into an HDF5 file that grows while others
    read it (--into). FILE is of unflat's own format, as 'unflat convert' and 'unflat simulate' write it; a truth in it
    stays behind. A scan that is sent twice is the same scan: what did not arrive at first is completed.

    \b
    Examples:
      unflat replay scan.h5 --to tcp://127.0.0.1:5555
      unflat replay scan.h5 --to tcp://127.0.0.1:5555 --rate 20
      unflat replay scan.h5 --into incoming/scan.h5 --interval '0.5 s'
    """
    from ..recon.experiments import get_experiment
    from ..recon.io.frame_scan import open_frame_source

    if (address is None) == (growing is None):
        raise ConfigError("replay sends to one place: give --to ADDRESS or --into FILE")
    if interval is not None and rate is not None:
        raise ConfigError("--interval and --rate say the same: give one of them")
    step = interval if interval is not None else 1 / rate if rate else _INTERVAL
    with (
        interrupts_raised(),  # A file that grows is closed first.
        open_frame_source(file, lambda kind: get_experiment(kind).schema, name or "") as source,
        console.progress("replay") as progress,
    ):
        total, rhythm = source.scan.frames, _Rhythm(step, lambda index: progress(index, source.scan.frames))
        if address is not None:
            from ..recon.io.frame_stream import send_frames

            send_frames(source, address, rhythm.wait, *([] if timeout is None else [timeout]))
        elif growing is not None:
            console.refuse_to_overwrite(growing, force=force)
            _grow(source, growing, rhythm.wait)
        progress(total, total)
    console.print_line(f"{total} frames of {source.scan.name} in {console.format_duration(rhythm.seconds)}")


class _Rhythm:
    """Rhythm of an instrument: frames at even times from the first one, as far as the receiver keeps up.

    Args:
        interval: [s] Time between two frames.
        report: Callback before each frame.
    """

    def __init__(self, interval: float, report: Callable[[int], None]) -> None:
        self._interval, self._report = interval, report
        self._start: float | None = None

    @property
    def seconds(self) -> float:
        """Time since the first frame [s]."""
        return 0.0 if self._start is None else time.monotonic() - self._start

    def wait(self, index: int) -> None:
        """Wait until a frame is due."""
        self._report(index)
        if self._start is None:  # A receiver may have been waited for.
            self._start = time.monotonic()
        time.sleep(max(0.0, index * self._interval - self.seconds))


def _grow(source: Any, path: Path, wait: Callable[[int], None]) -> None:
    """Write the frames into a growing file."""
    from ..recon.io.growing_file import GrowingWriter

    writer, done = GrowingWriter(path, source.scan), 0
    try:
        for index in range(source.scan.frames):
            wait(index)
            writer.write(index, source.frame(index))
            done = index + 1
    finally:
        writer.close()
        if done < source.scan.frames:
            console.warn(f"{path} holds {done} of {source.scan.frames} frames, and is refused until it is replaced")
