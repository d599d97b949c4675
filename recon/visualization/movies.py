"""Movies: square frames with a scale bar, a line of text and a colour bar, written as GIF or MP4."""

import errno
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from ..errors import ConfigError, DataError, Diagnostic
from ..io.atomic import write_atomically
from .colour_scale import ColourScale
from .labels import display_unit
from .planes import Plane
from .style import add_scale_bar, house_style, new_figure, render_rgb

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.image

Frame = UInt8[np.ndarray, "y x 3"]
_PIXELS_PER_INCH = 120.0
_SMALLEST_FRAME = 96
"""[pixel] Edge below which text and colour bar of a frame do not fit."""


def frame_size(size: int) -> int:
    """Return the edge of frames for a requested one [pixel]: even, as video requires, and at least 96."""
    return max(size + size % 2, _SMALLEST_FRAME)


def draw_frame(plane: Plane, scale: ColourScale, label: str, *, text: str = "", size: int = 480) -> Frame:
    """Draw a plane as a frame of a movie.

    Args:
        plane: Plane to draw. It is fitted into the frame with equal scales, on a background of the first colour.
        scale: Colours of the values.
        label: Label of the colour bar.
        text: Text in the upper left corner.
        size: [pixel] Requested width and height of the frame; see :func:`frame_size`.
    """
    size = frame_size(size)
    inches = size / _PIXELS_PER_INCH
    point = 7.0 * inches / 4
    with house_style():
        figure = new_figure(inches, inches, dpi=_PIXELS_PER_INCH, background="black")
        axes = figure.add_axes((0, 0, 1, 1))
        image = axes.imshow(
            plane.values,
            extent=plane.extent,
            cmap=scale.colours,
            vmin=scale.low,
            vmax=scale.high,
            interpolation=scale.interpolation or "bicubic",
        )
        axes.set_facecolor(image.cmap(scale.ground))
        span, (factor, _) = max(plane.width, plane.height), display_unit(plane.unit)
        middle_x, middle_y = sum(plane.extent[:2]) / 2, sum(plane.extent[2:]) / 2
        half = span * factor / 2
        axes.set_xlim(middle_x - half, middle_x + half)
        axes.set_ylim(middle_y + half, middle_y - half)
        axes.set_axis_off()
        figure.patch.set_facecolor(image.cmap(scale.ground))
        axes.text(
            0.03, 0.97, text, transform=axes.transAxes, color=scale.mark, ha="left", va="top", fontsize=1.15 * point
        )
        add_scale_bar(axes, span, fraction=0.25, colour=scale.mark, size=1.1 * point, unit=plane.unit)
        _add_inset_colour_bar(axes, image, scale, label, point)
        return render_rgb(figure)


def _add_inset_colour_bar(
    axes: "matplotlib.axes.Axes",
    image: "matplotlib.image.AxesImage",
    scale: ColourScale,
    label: str,
    point: float,
) -> None:
    """Draw a colour bar in the lower left corner, with its limits below it."""
    bar = axes.inset_axes((0.04, 0.085, 0.3, 0.016))
    bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=image.cmap, extent=(0, 1, 0, 1))
    bar.set_axis_off()
    style = {"color": scale.mark, "fontsize": point, "transform": bar.transAxes}
    digits = max(0, 1 - int(np.floor(np.log10(max(scale.high - scale.low, 1e-12)))))
    bar.text(0, -0.5, f"{scale.low:.{digits}f}", ha="left", va="top", **style)  # type: ignore[arg-type]
    bar.text(1, -0.5, f"{scale.high:.{digits}f}", ha="right", va="top", **style)  # type: ignore[arg-type]
    bar.text(0, 1.5, label, ha="left", va="bottom", **style)  # type: ignore[arg-type]


EXTENSIONS = (".gif", ".mp4")
"""Extensions of the names of movies."""


def write_movie(
    frames: Iterable[UInt8[np.ndarray, "y x 3"]],
    path: Path,
    *,
    rate: float = 20.0,
    total: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Write frames one by one to an endless GIF or an H.264 MP4.

    Args:
        frames: Images of one size, with even edges.
        path: ``*.gif`` or ``*.mp4``.
        rate: [1/s] Frame rate.
        total: Number of frames, for progress.
        progress: Callback after each frame, with the number of frames so far and of all.

    Raises:
        ConfigError: If the extension is neither.
        DataError: If the folder is missing, or the disk is full or read-only.
    """
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        raise ConfigError(
            Diagnostic(
                str(path),
                f"a movie cannot be written as {extension or 'a name without extension'!r}",
                "use .gif or .mp4",
            )
        )

    def frames_with_progress() -> Iterator[UInt8[np.ndarray, "y x 3"]]:
        for done, frame in enumerate(frames, 1):
            yield frame
            if progress is not None:
                progress(done, max(total, done))

    with write_atomically(path) as temporary:
        if extension == ".gif":
            temporary.write_bytes(_gif(frames_with_progress(), rate))
        else:
            _write_mp4(frames_with_progress(), rate, temporary, path)


def _gif(frames: Iterable[UInt8[np.ndarray, "y x 3"]], rate: float) -> bytes:
    """Encode a GIF in memory: a writer whose disk is full would try again, with a traceback, when it is deleted."""
    import imageio.v2 as imageio

    buffer = BytesIO()
    # GIF counts in hundredths of a second.
    writer = imageio.get_writer(buffer, format="GIF", mode="I", duration=round(100 / rate) * 10, loop=0)
    with writer:
        for frame in frames:
            writer.append_data(frame)
    return buffer.getvalue()


def _write_mp4(frames: Iterable[UInt8[np.ndarray, "y x 3"]], rate: float, temporary: Path, path: Path) -> None:
    """Encode an MP4 by ffmpeg.

    Raises:
        DataError: If ffmpeg ended before the last frame; it gives no reason.
    """
    import imageio.v2 as imageio

    temporary.touch()  # On a read-only disk this raises an error with the reason.
    writer = imageio.get_writer(
        temporary, fps=rate, codec="libx264", quality=8, macro_block_size=2, ffmpeg_log_level="quiet"
    )
    try:
        with writer:
            for frame in frames:
                writer.append_data(frame)
        is_complete = b"moov" in temporary.read_bytes()  # The table of contents, which is written last.
    except OSError as error:
        if error.errno not in (None, errno.EPIPE):  # For a pipe that ffmpeg has closed imageio gives no number.
            raise
        is_complete = False
    if not is_complete:
        raise DataError(Diagnostic(str(path), "cannot be written: ffmpeg ended early", "see whether the disk is full"))
