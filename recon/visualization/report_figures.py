"""Figures of a report, embedded in its page."""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UnflatError
from ..model import UNCERTAINTY
from . import compare_views, depth_montage, loss_curves, orthogonal_slices
from .planes import point_of_highest_contrast
from .run_data import PredictedViews, RunData
from .style import DPI, render_png

if TYPE_CHECKING:
    from pathlib import Path

    import matplotlib.figure

COURSE_TITLE = "Course of the fit"
"""Title of the figure of the losses, which are those of the whole run."""
_PIXELS_PER_INCH = 125
"""CSS pixels to an inch of a figure: text of 8 points is as large as that of the page's captions."""
_TALLEST = 736
"""[CSS pixel] Largest height of a figure."""


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure in the page.

    Args:
        title: Heading.
        caption: Text below it.
        png: The picture itself.
        drawn: Whether the report drew it; else it is a file of the run.
    """

    title: str
    caption: str
    png: bytes
    drawn: bool = True

    @property
    def source(self) -> str:
        """``data:`` address of the whole picture."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    @property
    def width(self) -> int:
        """[CSS pixel] Width at which the text of all drawn figures has one size; 0 for a file of another resolution."""
        if not self.drawn:
            return 0
        wide, tall = (
            int.from_bytes(self.png[start : start + 4], "big") for start in (16, 20)
        )  # The head of a PNG file.
        return round(min(wide * _PIXELS_PER_INCH / DPI, _TALLEST * wide / tall))

    @property
    def file_name(self) -> str:
        """File name in the run's ``figures/``."""
        return self.title.lower().replace(" ", "_") + ".png"


@dataclass(frozen=True)
class DeferredFigure:
    """A figure that is drawn with the page.

    Args:
        title: Heading.
        caption: Text below it.
        draw: Function that draws it; an `UnflatError` becomes a gap in the report.
    """

    title: str
    caption: str
    draw: "Callable[[], matplotlib.figure.Figure]"


def draw_figures(figures: "Iterable[DeferredFigure]", files: "Iterable[Path]", gaps: list[str]) -> list[EmbeddedFigure]:
    """Draw figures, and embed those that a run left as files.

    Args:
        figures: Figures to draw.
        files: Pictures of the run; one of the name of a drawn figure is that figure of a former report.
        gaps: Receives a line for each figure that cannot be drawn.
    """
    embedded: list[EmbeddedFigure] = []
    for figure in figures:
        try:
            embedded.append(EmbeddedFigure(figure.title, figure.caption, render_png(figure.draw())))
        except UnflatError as error:
            gaps.append(f"{figure.title}: {error}")
    names = {figure.file_name for figure in embedded}
    for file in files:
        if file.name not in names:
            title = file.stem.replace("_", " ").capitalize()
            embedded.append(EmbeddedFigure(title, "", file.read_bytes(), drawn=False))
    return embedded


def fit_figures(run: RunData, pixel_size: tuple[float, float] | None = None) -> list[DeferredFigure]:
    """Figures of a fit to views: planes of the result, measured and modelled images, and the course of the fit.

    Args:
        run: Data of the run.
        pixel_size: [m] Pixel (y, x) of the images, for their scale bar.
    """
    result, views = run.result, run.views
    figures = []
    if result is not None:
        caption = "Planes through the feature that stands out most from the background."
        figures.append(
            DeferredFigure(
                "Orthogonal slices", caption, lambda: orthogonal_slices(result, point_of_highest_contrast(result))
            )
        )
        figures.append(
            DeferredFigure("Depths", "Planes at eight depths, one colour scale.", lambda: depth_montage(result))
        )
        uncertainty = f"{UNCERTAINTY}{result.quantity().name}"
        if any(quantity.name == uncertainty for quantity in result.quantities):
            caption = "Spread of the draws, or of the members of the ensemble, in the same planes."
            figures.append(
                DeferredFigure(
                    "Uncertainty",
                    caption,
                    lambda: orthogonal_slices(result, point_of_highest_contrast(result), quantity=uncertainty),
                )
            )
    if views is not None:
        figures.append(
            DeferredFigure(
                "Measured and modelled images", _views_caption(run, views), lambda: _views_figure(views, pixel_size)
            )
        )
    if run.records:
        caption = "Training loss of the mini-batches (thin) and its running median; residual of the withheld views."
        if any("fit" in record for record in run.records):
            caption += " A line for each tile, and for each member of an ensemble, fitted one after the other."
        figures.append(DeferredFigure(COURSE_TITLE, caption, lambda: loss_curves(run.records)))
    return figures


def _views_caption(run: RunData, views: PredictedViews) -> str:
    """Tell how many views are shown, were stored and measured, and how many of them the fit did not see."""
    measured = int(run.metrics.get("views") or 0)
    number = f"{len(views.numbers)} of {max(measured, views.count)} views"
    if measured > views.count > len(views.numbers):
        number += f" (predictions.h5 holds {views.count} of them: the withheld ones and a few that were fitted)"
    withheld = views.count_withheld
    hidden = f"{withheld} {'was' if withheld == 1 else 'were'} withheld from the fit (titles in colour)"
    return f"{number}; {hidden if withheld else 'none was withheld'}."


def _views_figure(views: PredictedViews, pixel_size: tuple[float, float] | None) -> "matplotlib.figure.Figure":
    titles = [
        f"view {n}, withheld" if hidden else f"view {n}"
        for n, hidden in zip(views.numbers, views.withheld, strict=True)
    ]
    return compare_views(views.measured, views.modelled, titles, marked=views.withheld, pixel_size=pixel_size)
