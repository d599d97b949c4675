"""Style of all figures: fonts, line widths, colours, scale bars, colour bars.

Figures use the Agg canvas of matplotlib without pyplot: they need no display, and no figure stays open.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from ..io.atomic import write_atomically
from ..sampled import Quantity
from .labels import colour_bar_unit, format_length, round_length

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.cm
    import matplotlib.figure

    from .tiles import ImageTile

_log = logging.getLogger(__name__)
INDEX_COLOURS = "inferno"
"""Colour map of a model's values."""
IMAGE_COLOURS = "gray"
"""Colour map of camera images."""
DIFFERENCE_COLOURS = "RdBu_r"
"""Colour map of differences, white at 0."""
INK = "#1a1a1a"
"""Colour of text, axes and ticks: nearly black."""
ACCENT = "#c2410c"
"""Colour of the most important curve or mark: orange."""
SECOND_ACCENT = "#1d4ed8"
"""Colour of the curve or mark beside it: blue."""
DPI = 200
"""[1/inch] Resolution of figures."""
_VECTOR_DPI = 450
"""[1/inch] Resolution of the images in a figure of vectors."""
_STROKE = 1.4
"""[pt] Width of the outline of text on images."""
_COMPRESSION = 4
"""Level of PNG compression: 6, the default, saves 5 % in size and takes more than twice as long."""
_LETTER = 0.66
"""Mean width of a letter of a length, relative to the font size."""
_TEXT_MARGIN = 0.03
"""Least distance of text from the edge of its image, relative to the width."""
_MISSING = re.compile(r"Glyph (\d+) .*missing from")
"""Warning of matplotlib about a character that no font has."""
_CONSTANT_HALF_RANGE = 0.5e-6
"""Half the colour range of values that are all equal, in their unit.

Any range above 0 gives one colour. This one is small beside the contrast of a refractive index, and as wide as a
specimen's detail for lengths in metres.
"""

_RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans", "Noto Sans CJK JP"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.titley": 1.0,  # Or else matplotlib measures every tick label to find room for the title.
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
    """Apply the fonts and line widths of unflat, independent of the user's matplotlibrc."""
    import matplotlib

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)  # A missing Helvetica is harmless: the next font of the list is taken.
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_RC)  # type: ignore[arg-type]
            yield
    finally:
        fonts.setLevel(level)


@contextmanager
def _one_warning_of_missing_characters() -> Iterator[None]:
    """Log one warning with the characters that no font has, instead of one of matplotlib for each."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    missing = dict.fromkeys(chr(int(m[1])) for w in caught if (m := _MISSING.match(str(w.message))))
    if missing:
        text = "no font here has the characters %s, which are drawn as boxes: install a font that has, Noto Sans CJK"
        _log.warning(text, "".join(missing))
    for other in caught:
        if not _MISSING.match(str(other.message)):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)


def new_figure(
    width: float, height: float, *, dpi: float = DPI, background: str = "white"
) -> "matplotlib.figure.Figure":
    """Create an empty figure on an Agg canvas.

    Args:
        width: [inch] Width of the figure.
        height: [inch] Height of the figure.
        dpi: [1/inch] Resolution.
        background: Colour of the background.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, facecolor=background)
    FigureCanvasAgg(figure)
    return figure


def new_image_figure(
    shape: tuple[int, int],
) -> "tuple[matplotlib.figure.Figure, matplotlib.axes.Axes, matplotlib.axes.Axes]":
    """Create a figure for one image, with its axes.

    Args:
        shape: Number of samples (y, x) of the image.

    Returns:
        The figure, the axes of the image, and narrow axes beside it for the colour bar.
    """
    tall, wide = shape
    width = 4.2 * min(1.0, wide / tall)
    height = width * tall / wide
    total_x, total_y = width + 0.95, height + 0.3
    figure = new_figure(total_x, total_y)
    image = figure.add_axes((0.05 / total_x, 0.05 / total_y, width / total_x, height / total_y))
    bar = figure.add_axes(((width + 0.15) / total_x, 0.05 / total_y, 0.11 / total_x, height / total_y))
    return figure, image, bar


def render_rgb(figure: "matplotlib.figure.Figure") -> UInt8[np.ndarray, "y x 3"]:
    """Render a figure to pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)  # The canvas of matplotlib is untyped.
    with house_style(), _one_warning_of_missing_characters():
        canvas.draw()
    return np.array(canvas.buffer_rgba(), np.uint8)[..., :3]


def render_png(figure: "matplotlib.figure.Figure") -> bytes:
    """Render a figure as a PNG file; equal figures give equal bytes."""
    from io import BytesIO

    from PIL import Image

    buffer, size = BytesIO(), (figure.dpi, figure.dpi)
    Image.fromarray(render_rgb(figure)).save(buffer, "png", compress_level=_COMPRESSION, dpi=size)
    return buffer.getvalue()


def save_figure(figure: "matplotlib.figure.Figure", path: Path) -> None:
    """Write a figure as PNG; as SVG or PDF, whose text stays text, if the name ends so.

    Raises:
        DataError: If the folder is missing, or the disk is full or read-only.
    """
    form = path.suffix.lower().removeprefix(".")
    data = render_vectors(figure, form) if form in ("svg", "pdf") else render_png(figure)
    with write_atomically(path) as temporary:
        temporary.write_bytes(data)


def render_vectors(figure: "matplotlib.figure.Figure", form: str) -> bytes:
    """Render a figure as SVG or PDF; equal figures give equal bytes.

    Args:
        figure: The figure.
        form: ``svg`` or ``pdf``.
    """
    from io import BytesIO

    import matplotlib

    buffer = BytesIO()
    metadata = {"Date": None} if form == "svg" else {"CreationDate": None}
    with house_style(), _one_warning_of_missing_characters():
        # SVG has its text as text; PDF embeds the fonts as TrueType, which other programs can edit.
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "unflat", "pdf.fonttype": 42})
        figure.savefig(buffer, format=form, dpi=_VECTOR_DPI, metadata=metadata)
    return buffer.getvalue()


def add_scale_bar(
    axes: "matplotlib.axes.Axes",
    width: float,
    *,
    fraction: float = 0.28,
    colour: str = "white",
    size: float = 7.5,
    unit: str = "m",
    tile: "ImageTile | None" = None,
) -> None:
    """Draw a scale bar of a round length in the lower right corner.

    Args:
        axes: Axes that contain only an image, or tiles.
        width: Width of the image, in ``unit``.
        fraction: Largest length of the bar relative to the width.
        colour: Colour of bar and text.
        size: [pt] Font size.
        unit: Unit of lengths in the figure: ``m`` or ``voxel``.
        tile: ImageTile of the axes with the image; absent if the image fills the axes.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    length = round_length(width * fraction)
    if tile is None:
        axes.apply_aspect()  # The axes of an image take its shape only then.
    box = axes.get_window_extent() if tile is None else tile
    aspect, transform = box.width / box.height, axes.transAxes if tile is None else tile.transform
    right, bottom, thick = 0.95, 0.05 * max(aspect, 0.3), 0.014 * max(aspect, 0.3)
    left = right - length / width
    text = format_length(length, unit)
    bar = Rectangle((left, bottom), length / width, thick, transform=transform, color=colour, lw=0)
    edge = "black" if colour == "white" else "white"
    bar.set_path_effects([withStroke(linewidth=_STROKE, foreground=edge, alpha=0.55)])
    axes.add_patch(bar)
    inches = tile.width if tile is not None else box.width / axes.figure.dpi
    half = len(text) * _LETTER * size / 72 / inches / 2  # Of the width of the text, relative to that of the image.
    middle = max(min((left + right) / 2, 1 - _TEXT_MARGIN - half), min(half, 0.5))
    style = {"transform": transform, "color": colour, "ha": "center", "va": "bottom", "fontsize": size}
    _write_outlined(axes, (middle, bottom + 1.6 * thick), text, style, edge, 0.55)


def add_label(axes: "matplotlib.axes.Axes", text: str, tile: "ImageTile | None" = None, colour: str = "white") -> None:
    """Write text in the upper left corner of an image, legible on any background.

    Args:
        axes: Axes that contain only an image, or tiles.
        text: The text.
        tile: ImageTile of the axes with the image; absent if the image fills the axes.
        colour: Colour of the text.
    """
    transform = axes.transAxes if tile is None else tile.transform
    style = {"transform": transform, "color": colour, "ha": "left", "va": "top", "fontsize": 7.5}
    _write_outlined(axes, (0.035, 0.965), text, style, "black" if colour == "white" else "white", 0.6)


def _write_outlined(
    axes: "matplotlib.axes.Axes", place: tuple[float, float], text: str, style: dict[str, Any], edge: str, alpha: float
) -> None:
    """Write text with an outline; the text itself has no path effect, which would turn it into curves in an SVG."""
    from matplotlib.patheffects import Stroke

    outline = axes.text(*place, text, **style)
    outline.set_path_effects([Stroke(linewidth=_STROKE, foreground=edge, alpha=alpha)])
    axes.text(*place, text, **style)


def add_colour_bar(
    figure: "matplotlib.figure.Figure",
    image: "matplotlib.cm.ScalarMappable",
    axes: "matplotlib.axes.Axes",
    label: str | Quantity,
    *,
    extend: Literal["neither", "min", "max", "both"] = "neither",
) -> None:
    """Fill axes with the colour bar of an image; numbers are written in full (1.334, not 4e−3 + 1.33).

    Args:
        figure: Figure with the axes.
        image: Image that defines the colours.
        axes: Axes to fill.
        label: Label, or the quantity that the image shows; lengths are then in µm or nm.
        extend: Ends that are arrows, because values of the image lie beyond them.
    """
    from matplotlib.ticker import FuncFormatter

    bar = figure.colorbar(image, cax=axes, extend=extend)
    factor, text = (1.0, label) if isinstance(label, str) else colour_bar_unit(label, *image.get_clim())
    bar.set_label(text)
    bar.outline.set_linewidth(0.6)
    bar.ax.tick_params(width=0.6, length=2.5)
    if factor == 1:
        bar.formatter.set_useOffset(False)  # type: ignore[attr-defined]
    else:
        bar.formatter = FuncFormatter(lambda value, _: f"{round(factor * value, 9):g}".replace("-", "−"))
    bar.update_ticks()


def colour_range(
    values: Float[np.ndarray, "..."], background: float | None = None, *, outliers: float = 2e-4
) -> tuple[float, float]:
    """Choose the colour limits (vmin, vmax) of values.

    If all but a tenth of the range lies on one side of the background, the background becomes the limit at the other
    side, so that the medium has the first or the last colour and looks empty.

    Args:
        values: All values that are drawn with these colours.
        background: Value of the medium; None for values without one.
        outliers: Fraction of the samples at each end that is ignored: few for a smooth model, more for a camera.

    Returns:
        The lower and the upper limit, in the unit of the values; (0, 1) if no value is finite.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, [100 * outliers, 100 - 100 * outliers]))
    if high - low < 1e-12 * max(abs(high), 1):  # The only feature may be smaller than the ignored fraction.
        low, high = float(finite.min()), float(finite.max())
    if background is not None:
        low, high = min(low, background), max(high, background)
        if background - low < 0.1 * (high - low):
            low = background
        elif high - background < 0.1 * (high - low):
            high = background
    if not high > low:
        return low - _CONSTANT_HALF_RANGE, high + _CONSTANT_HALF_RANGE
    return low, high
