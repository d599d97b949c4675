"""How every picture looks: type, line widths, colours, scale bars, colour bars.

Figures are drawn by matplotlib's Agg canvas without pyplot, so that no display is needed and nothing stays open.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from ..io.atomic import write_atomically
from ..sampled import Quantity

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.cm
    import matplotlib.figure

INDEX_COLOURS = "inferno"
IMAGE_COLOURS = "gray"
DIFFERENCE_COLOURS = "RdBu_r"
INK = "#1a1a1a"
ACCENT = "#c2410c"
SECOND = "#1d4ed8"
DPI = 200
_NANOMETRES = 5e-7
"""[m] Below which lengths are told in nm."""

_RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "axes.edgecolor": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "image.interpolation": "antialiased",
    "mathtext.fontset": "dejavusans",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with the house's type and lines, whatever the user's matplotlibrc says."""
    import logging

    import matplotlib

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)  # A missing Helvetica is no news: the list goes on to one that is there.
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_RC)  # type: ignore[arg-type]
            yield
    finally:
        fonts.setLevel(level)


def new_figure(width: float, height: float, *, dpi: float = DPI, ground: str = "white") -> "matplotlib.figure.Figure":
    """An empty figure of the given size [inch] on an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, facecolor=ground)
    FigureCanvasAgg(figure)
    return figure


def lone_picture(
    shape: tuple[int, int],
) -> "tuple[matplotlib.figure.Figure, matplotlib.axes.Axes, matplotlib.axes.Axes]":
    """A figure with axes for one picture of so many samples (y, x), and narrow ones beside it for the colour bar."""
    tall, wide = shape
    width = 4.2 * min(1.0, wide / tall)
    height = width * tall / wide
    total_x, total_y = width + 0.95, height + 0.3
    figure = new_figure(total_x, total_y)
    picture = figure.add_axes((0.05 / total_x, 0.05 / total_y, width / total_x, height / total_y))
    bar = figure.add_axes(((width + 0.15) / total_x, 0.05 / total_y, 0.11 / total_x, height / total_y))
    return figure, picture, bar


def as_rgb(figure: "matplotlib.figure.Figure") -> UInt8[np.ndarray, "y x 3"]:
    """The pixels of a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)  # Matplotlib leaves its canvas untyped.
    with house_style():
        canvas.draw()
    return np.array(canvas.buffer_rgba(), np.uint8)[..., :3]


def as_png(figure: "matplotlib.figure.Figure") -> bytes:
    """A figure as a PNG file's bytes; the same figure gives the same bytes."""
    from io import BytesIO

    buffer = BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=figure.dpi, metadata={"Software": None})
    return buffer.getvalue()


def save_figure(figure: "matplotlib.figure.Figure", path: Path) -> None:
    """Write a figure as PNG.

    Raises:
        DataError: If the folder is missing, or the disk is full or read-only.
    """
    data = as_png(figure)
    with write_atomically(path) as temporary:
        temporary.write_bytes(data)


def label_of(quantity: Quantity) -> str:
    """Axis label of a quantity, with its unit: ``refractive index n``, ``absorption κ``, ``displacement (m)``."""
    symbol = {"refractive_index": " $n$", "absorption": " $κ$"}.get(quantity.name, "")
    unit = f" ({quantity.unit})" if quantity.unit not in ("", "1") else ""
    return quantity.name.replace("_", " ") + symbol + unit


def _readable(quantity: Quantity, low: float | None, high: float | None) -> tuple[str, float]:
    """Label of a colour bar, and what its numbers are multiplied by."""
    if quantity.unit != "m":
        return label_of(quantity), 1.0
    largest = max(abs(low or 0.0), abs(high or 0.0))
    factor, unit = (1e9, "nm") if largest < _NANOMETRES else (1e6, "µm")
    return label_of(replace(quantity, unit=unit)), factor


def shown_unit(unit: str) -> tuple[float, str]:
    """What coordinates are multiplied by in pictures, and what their axes then say: micrometres, or voxels."""
    return (1.0, "voxels") if unit == "voxel" else (1e6, "µm")


def length_text(length: float, unit: str = "m") -> str:
    """A length as people write it: ``2 µm``, ``250 nm``, ``−12.5 µm``, or ``5 voxels``."""
    if unit == "voxel":
        return f"{length:.3g} voxels".replace("-", "−")
    if length and abs(length) < 0.9995e-6:
        return f"{length * 1e9:.3g} nm".replace("-", "−")
    return f"{length * 1e6:.3g} µm".replace("-", "−")


def at_height(name: str, height: float, unit: str = "m") -> str:
    """Where a plane cuts an axis: ``z = −0.10 µm``."""
    factor, label = shown_unit(unit)
    return f"${name}$ = {height * factor + 0.0:.2f} {label}".replace("-", "−")


def nice_length(longest: float) -> float:
    """[m] The greatest of 1, 2, 5 × 10ⁿ that is at most ``longest``."""
    decade = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= longest * (1 + 1e-9)))


def scale_bar(
    axes: "matplotlib.axes.Axes",
    width: float,
    *,
    share: float = 0.28,
    colour: str = "white",
    size: float = 7.5,
    unit: str = "m",
) -> None:
    """Draw a scale bar in the lower right corner, a round length of at most ``share`` of the image's width.

    Args:
        axes: Axes that hold an image and nothing else.
        width: [m] Width of the image.
        share: Longest bar as a share of the width.
        colour: Of bar and text.
        size: Of the text [pt].
        unit: Of the width: ``m``, or ``voxel``.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import AbstractPathEffect, withStroke

    length = nice_length(width * share)
    box = axes.get_window_extent()
    aspect = box.width / max(box.height, 1)
    right, bottom, thick = 0.95, 0.05 * max(aspect, 0.3), 0.014 * max(aspect, 0.3)
    left = right - length / width
    edge: list[AbstractPathEffect] = [withStroke(linewidth=1.4, foreground="black", alpha=0.55)]
    bar = Rectangle((left, bottom), length / width, thick, transform=axes.transAxes, color=colour, lw=0)
    bar.set_path_effects(edge)
    axes.add_patch(bar)
    text = axes.text(
        (left + right) / 2,
        bottom + 1.6 * thick,
        length_text(length, unit),
        transform=axes.transAxes,
        color=colour,
        ha="center",
        va="bottom",
        fontsize=size,
    )
    text.set_path_effects(edge)


def tag(axes: "matplotlib.axes.Axes", text: str) -> None:
    """Write in the upper left corner of an image, legible on any ground."""
    from matplotlib.patheffects import withStroke

    label = axes.text(0.035, 0.965, text, transform=axes.transAxes, color="white", ha="left", va="top", fontsize=7.5)
    label.set_path_effects([withStroke(linewidth=1.4, foreground="black", alpha=0.6)])


def colour_bar(
    figure: "matplotlib.figure.Figure",
    image: "matplotlib.cm.ScalarMappable",
    axes: "matplotlib.axes.Axes",
    what: str | Quantity,
) -> None:
    """Fill narrow axes with the colour bar of an image; numbers are written out in full (1.334, not 4e−3 + 1.33).

    Args:
        figure: The picture.
        image: Whose colours.
        axes: To fill.
        what: Is shown: a label, or a quantity, whose lengths are then told in µm or nm.
    """
    from matplotlib.ticker import FuncFormatter

    bar = figure.colorbar(image, cax=axes)
    label, factor = (what, 1.0) if isinstance(what, str) else _readable(what, *image.get_clim())
    bar.set_label(label)
    bar.outline.set_linewidth(0.6)
    bar.ax.tick_params(width=0.6, length=2.5)
    if factor == 1:
        bar.formatter.set_useOffset(False)  # type: ignore[attr-defined]
    else:
        bar.formatter = FuncFormatter(lambda value, _: f"{round(factor * value, 9):g}")
    bar.update_ticks()


def colour_range(
    values: Float[np.ndarray, "..."], background: float | None = None, *, outliers: float = 2e-4
) -> tuple[float, float]:
    """Values that take the first and the last colour.

    Where the values lie on one side of the background but for a tenth of their range, the background takes the first or
    the last colour: empty medium is then plainly empty.

    Args:
        values: All that will be shown with these colours.
        background: Value of the medium, if it has one.
        outliers: Share of the samples at each end that does not count. A model is smooth and has few; a camera has
            more.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, [100 * outliers, 100 - 100 * outliers]))
    if high - low < 1e-12 * max(abs(high), 1):  # The only feature may be smaller than that.
        low, high = float(finite.min()), float(finite.max())
    if background is not None:
        low, high = min(low, background), max(high, background)
        if background - low < 0.1 * (high - low):
            low = background
        elif high - background < 0.1 * (high - low):
            high = background
    if not high > low:
        return low - 0.5e-6, high + 0.5e-6
    return low, high
