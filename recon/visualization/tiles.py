"""Place of one of many pictures in a figure; all share one pair of axes, as axes for each would take most of the time.

Coordinates are inches from the lower left corner of the figure.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Num

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.image
    import matplotlib.transforms

_POINT = 1 / 72
"""[inch] A point of typography."""


@dataclass(frozen=True)
class ImageTile:
    """Place of a picture within axes that cover a figure.

    Args:
        axes: The axes.
        left: [inch] Left edge.
        bottom: [inch] Lower edge.
        width: [inch] Width.
        height: [inch] Height.
    """

    axes: "matplotlib.axes.Axes"
    left: float
    bottom: float
    width: float
    height: float

    @property
    def transform(self) -> "matplotlib.transforms.Transform":
        """Transform from fractions of the tile to pixels."""
        from matplotlib.transforms import Bbox, BboxTransformTo, TransformedBbox

        box = Bbox.from_bounds(self.left, self.bottom, self.width, self.height)
        return BboxTransformTo(TransformedBbox(box, self.axes.transData))

    def show(
        self,
        picture: Num[np.ndarray, "h w"] | Bool[np.ndarray, "h w"],
        colours: str,
        limits: tuple[float, float] | None = None,
        *,
        interpolation: str | None = None,
    ) -> "matplotlib.image.AxesImage":
        """Draw a picture that fills the tile, its first row at the top, and a frame around it.

        Args:
            picture: Values.
            colours: Name of the colour map.
            limits: Values of the first and the last colour; the least and the largest by default.
            interpolation: Interpolation of matplotlib; that of the style by default.
        """
        from matplotlib import rcParams
        from matplotlib.image import AxesImage
        from matplotlib.patches import Rectangle

        extent = (self.left, self.left + self.width, self.bottom, self.bottom + self.height)
        image = AxesImage(self.axes, cmap=colours, origin="upper", extent=extent, interpolation=interpolation)
        image.set_data(picture)
        image.set_clim(*(limits or (float(np.nanmin(picture)), float(np.nanmax(picture)))))
        self.axes.add_image(image)
        line = {"lw": rcParams["axes.linewidth"], "ec": rcParams["axes.edgecolor"], "zorder": 2.5}
        self.axes.add_patch(Rectangle((self.left, self.bottom), self.width, self.height, fill=False, **line))
        return image

    def outline(
        self,
        values: Float[np.ndarray, "h w"] | Bool[np.ndarray, "h w"],
        level: float,
        colour: str,
        width: float,
        alpha: float = 1.0,
    ) -> None:
        """Draw the lines of one value of a picture.

        Args:
            values: Picture.
            level: Value on the lines.
            colour: Colour of the lines.
            width: [point] Width of the lines.
            alpha: Opacity of the lines.
        """
        from contourpy import contour_generator
        from matplotlib.collections import LineCollection

        height, wide = values.shape
        scale = np.array([self.width / wide, -self.height / height])
        corner = np.array([self.left, self.bottom + self.height]) + scale / 2
        contours: Any = contour_generator(z=np.asarray(values, np.float64), name="serial").lines(level)
        lines = [corner + scale * line for line in contours]
        self.axes.add_collection(LineCollection(lines, colors=colour, linewidths=width, alpha=alpha), autolim=False)

    def title(self, text: str, *, size: float, colour: str = "black", lift: float = 0.0) -> None:
        """Write a title above the tile.

        Args:
            text: The title.
            size: [point] Font size.
            colour: Colour of the text.
            lift: [inch] Room for a heading between tile and title.
        """
        place = self.left + self.width / 2, self.bottom + self.height + lift + 3 * _POINT
        self.axes.text(*place, text, ha="center", va="bottom", fontsize=size, color=colour)

    def heading(self, text: str, *, size: float) -> None:
        """Write the heading of a row of tiles above this one, the first, from its left edge.

        Args:
            text: The heading.
            size: [point] Font size.
        """
        place = self.left, self.bottom + self.height + 3 * _POINT
        self.axes.text(*place, text, ha="left", va="bottom", fontsize=size, parse_math=False)

    def label(self, text: str, *, size: float) -> None:
        """Write a label beside the tile, upwards.

        Args:
            text: The label.
            size: [point] Font size.
        """
        place = self.left - 3 * _POINT, self.bottom + self.height / 2
        self.axes.text(*place, text, ha="right", va="center", rotation=90, fontsize=size)
