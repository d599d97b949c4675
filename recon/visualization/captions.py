"""Captions below figures, and below the frames of a movie."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from .movies import Frame
from .style import house_style, new_figure, render_rgb

if TYPE_CHECKING:
    import matplotlib.figure

_POINT = 1 / 72
"""[inch] A point of typography."""
_SIZE, _LEADING = 8.0, 1.35
"""[pt] Font size of the caption of a figure, and the distance of its lines relative to that."""
_LETTER = 0.52
"""Mean width of a letter, relative to the font size."""
_MARGIN = 0.06
"""[inch] Room around a caption."""
_MOVIE_SIZE = 0.034
"""Font size of the caption of a movie, relative to the width of its frames."""


def add_caption(figure: "matplotlib.figure.Figure", text: str) -> None:
    """Write a caption below a figure, which becomes taller by its lines.

    Args:
        figure: The figure.
        text: The caption; it is broken into lines of the figure's width.
    """
    width, height = (float(edge) for edge in figure.get_size_inches())
    lines = _broken(text, width - 2 * _MARGIN, _SIZE * _POINT)
    added = len(lines) * _SIZE * _LEADING * _POINT + 2 * _MARGIN
    total = height + added
    for axes in figure.axes:
        box = axes.get_position(original=True)
        place = (box.x0, (added + box.y0 * height) / total, box.width, box.height * height / total)
        axes.set_position(place)
    for other in figure.texts:
        x, y = other.get_position()
        other.set_position((x, (added + float(y) * height) / total))
    figure.set_size_inches(width, total)
    with house_style():
        figure.text(
            _MARGIN / width,
            (added - _MARGIN) / total,
            "\n".join(lines),
            va="top",
            fontsize=_SIZE,
            linespacing=_LEADING,
            parse_math=False,
        )


def with_caption(frames: Iterable[Frame], text: str) -> Iterator[Frame]:
    """Add a caption below each frame of a movie.

    Args:
        frames: Images of one size, with even edges.
        text: The caption; it is broken into lines of the frames' width.
    """
    strip: Frame | None = None
    for frame in frames:
        if strip is None:
            strip = _strip(text, frame.shape[1])
        yield np.concatenate([frame, strip])


def _strip(text: str, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a caption in white on black, with an even height.

    Args:
        text: The caption.
        width: [pixel] Width of the strip.
    """
    dots = 120.0
    inches, size = width / dots, _MOVIE_SIZE * width / dots / _POINT
    lines = _broken(text, inches * 0.94, size * _POINT)
    height = 2 * round((len(lines) + 0.8) * size * _LEADING * _POINT * dots / 2)
    with house_style():
        figure = new_figure(inches, height / dots, dpi=dots, background="black")
        figure.text(
            0.03,
            0.5,
            "\n".join(lines),
            va="center",
            color="white",
            fontsize=size,
            linespacing=_LEADING,
            parse_math=False,
        )
        return render_rgb(figure)


def _broken(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines.

    Args:
        text: The text; its own line breaks stay.
        width: [inch] Width of a line.
        size: [inch] Font size.
    """
    from textwrap import wrap

    letters = max(int(width / (_LETTER * size)), 8)
    return [line for part in text.splitlines() for line in wrap(part, letters) or [""]] or [""]
