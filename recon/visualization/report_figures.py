"""The report's pictures, as text that stands inside the page."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UnflatError
from ..experiments.cell.new_light import pixel_size_of
from ..model import Model
from ..sampled import Sampled
from . import compare_views, depth_montage, loss_curves, orthogonal_slices
from .animation import most_striking_point
from .run_data import PredictedViews, RunData
from .style import as_png

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True)
class EmbeddedFigure:
    """A picture in the page.

    Args:
        title: Heading.
        caption: What it shows.
        png: The picture itself.
        drawn: Whether the report drew it, and did not find it in the run's folder.
    """

    title: str
    caption: str
    png: bytes
    drawn: bool = True

    @property
    def source(self) -> str:
        """``data:`` address that holds the picture whole."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    @property
    def file_name(self) -> str:
        """Its name in the run's ``figures/``."""
        return self.title.lower().replace(" ", "_") + ".png"


@dataclass(frozen=True)
class DeferredFigure:
    """A picture that is still to be drawn.

    Args:
        title: Heading.
        caption: What it shows.
        draw: Draws it; an error of ours that it raises becomes a gap in the report.
    """

    title: str
    caption: str
    draw: "Callable[[], matplotlib.figure.Figure]"


def pictures(facts: RunData, gaps: list[str]) -> list[EmbeddedFigure]:
    """Draw what the run's parts allow; what cannot be drawn is added to ``gaps``."""
    drawn: list[EmbeddedFigure] = []
    kind = facts.kind
    for drawing in kind.pictures(facts) if kind is not None and kind.pictures is not None else _of_fit(facts):
        try:
            drawn.append(EmbeddedFigure(drawing.title, drawing.caption, as_png(drawing.draw())))
        except UnflatError as error:
            gaps.append(f"{drawing.title}: {error}")
    own = {picture.file_name for picture in drawn}
    for file in facts.pictures:
        if file.name not in own:
            drawn.append(EmbeddedFigure(file.stem.replace("_", " ").capitalize(), "", file.read_bytes(), drawn=False))
    return drawn


def _of_fit(facts: RunData) -> list[DeferredFigure]:
    """What there is to show of a fit to views."""
    result, views = facts.result, facts.views
    found = []
    if result is not None:
        caption = "Planes through the feature that stands out most from the medium."
        found.append(
            DeferredFigure("Orthogonal slices", caption, lambda: orthogonal_slices(result, most_striking_point(result)))
        )
        found.append(
            DeferredFigure("Depths", "Planes at eight depths, one colour scale.", lambda: depth_montage(result))
        )
    if views is not None:
        found.append(
            DeferredFigure("Measured and modelled images", _views_caption(views), lambda: _views_figure(views, result))
        )
    if facts.records:
        caption = "Training loss of the mini-batches (thin) and its running median; residual of the withheld views."
        found.append(DeferredFigure("Course of the fit", caption, lambda: loss_curves(facts.records)))
    return found


def _views_caption(views: PredictedViews) -> str:
    hidden = (
        f"{views.count_withheld} withheld from the fit (titles in colour)" if views.count_withheld else "none withheld"
    )
    return f"{len(views.numbers)} of {views.count} views; {hidden}."


def _views_figure(views: PredictedViews, result: Sampled | None) -> "matplotlib.figure.Figure":
    titles = [
        f"view {n}, withheld" if hidden else f"view {n}"
        for n, hidden in zip(views.numbers, views.withheld, strict=True)
    ]
    return compare_views(views.measured, views.modelled, titles, marked=views.withheld, pixel_size=_pixel_size(result))


def _pixel_size(result: Sampled | None) -> tuple[float, float] | None:
    """[m] Of the images that a model was fitted to, if it tells."""
    try:
        return pixel_size_of(result) if isinstance(result, Model) else None
    except UnflatError:
        return None
