"""One frame of a movie: an image that fills a dark square, with a scale bar, a line of text and a slim colour bar.

Frames to a GIF or an MP4.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from ..errors import ConfigError, DataError, Diagnostic
from ..io.atomic import write_atomically
from .planes import Plane
from .style import INDEX_COLOURS, as_rgb, house_style, new_figure, scale_bar, shown_unit

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.image

Frame = UInt8[np.ndarray, "y x 3"]
_PIXELS_PER_INCH = 120.0


def draw_frame(plane: Plane, limits: tuple[float, float], label: str, *, text: str = "", size: int = 480) -> Frame:
    """Draw a plane as a frame of a movie.

    Args:
        plane: What to show. It is fitted into the frame with its own proportions; around it is the first colour.
        limits: Values of the first and the last colour.
        label: What the colours mean.
        text: A line in the upper left corner.
        size: [pixel] Width and height of the frame; made even, as video needs it.
    """
    size = max(size + size % 2, 96)
    inches = size / _PIXELS_PER_INCH
    point = 7.0 * inches / 4
    with house_style():
        figure = new_figure(inches, inches, dpi=_PIXELS_PER_INCH, ground="black")
        axes = figure.add_axes((0, 0, 1, 1))
        image = axes.imshow(
            plane.values,
            extent=plane.extent,
            cmap=INDEX_COLOURS,
            vmin=limits[0],
            vmax=limits[1],
            interpolation="bicubic",
        )
        axes.set_facecolor(image.cmap(0.0))
        span, (factor, _) = max(plane.width, plane.height_shown), shown_unit(plane.unit)
        middle_x, middle_y = sum(plane.extent[:2]) / 2, sum(plane.extent[2:]) / 2
        half = span * factor / 2
        axes.set_xlim(middle_x - half, middle_x + half)
        axes.set_ylim(middle_y + half, middle_y - half)
        axes.set_axis_off()
        figure.patch.set_facecolor(image.cmap(0.0))
        axes.text(0.03, 0.97, text, transform=axes.transAxes, color="white", ha="left", va="top", fontsize=1.15 * point)
        scale_bar(axes, span, share=0.25, size=1.1 * point, unit=plane.unit)
        _slim_bar(axes, image, limits, label, point)
        return as_rgb(figure)


def _slim_bar(
    axes: "matplotlib.axes.Axes",
    image: "matplotlib.image.AxesImage",
    limits: tuple[float, float],
    label: str,
    point: float,
) -> None:
    """A colour bar in the lower left corner, its two ends written below it."""
    bar = axes.inset_axes((0.04, 0.085, 0.3, 0.016))
    bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=image.cmap, extent=(0, 1, 0, 1))
    bar.set_axis_off()
    white = {"color": "white", "fontsize": point, "transform": bar.transAxes}
    digits = max(0, 1 - int(np.floor(np.log10(max(limits[1] - limits[0], 1e-12)))))
    bar.text(0, -0.5, f"{limits[0]:.{digits}f}", ha="left", va="top", **white)  # type: ignore[arg-type]
    bar.text(1, -0.5, f"{limits[1]:.{digits}f}", ha="right", va="top", **white)  # type: ignore[arg-type]
    bar.text(0, 1.5, label, ha="left", va="bottom", **white)  # type: ignore[arg-type]


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
            Diagnostic(
                str(path), f"a movie cannot be written as {ending or 'a name without ending'!r}", "use .gif or .mp4"
            )
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
        raise DataError(Diagnostic(str(path), "cannot be written: ffmpeg ended early", "see whether the disk is full"))
