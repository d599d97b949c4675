"""Projections of a result from any side: maximum, minimum or mean along the line of sight.

At azimuth and elevation 0 the view is along +z, with y down and x right. ``azimuth`` rotates the specimen about its y
axis (the vertical of the image), then ``elevation`` about the horizontal of the image, both right-handed in (x, y, z).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from ...physics.rotation import rotation_matrix
from ..grid import AXES
from ..sampled import Sampled
from .colour_scale import ColourScale, choose_scale
from .planes import Plane, draw_plane
from .specimen_scale import colour_scale
from .style import add_colour_bar, add_scale_bar, house_style, new_image_figure

if TYPE_CHECKING:
    import matplotlib.figure

Along = Literal["maximum", "minimum", "mean"]
_REDUCE: dict[str, Callable[..., Any]] = {"maximum": np.max, "minimum": np.min, "mean": np.mean}


class Projector:
    """Projector of one result, which is sampled once on cubic cells.

    Args:
        result: A model or a volume.
        quantity: Name of the quantity; the main one by default.
        along: Reduction of the values along the line of sight.
        size: Number of samples along the longest edge of the box.
    """

    def __init__(self, result: Sampled, *, quantity: str | None = None, along: Along = "maximum", size: int = 160):
        self.background = result.background(quantity)
        self._reduce, self._unit = _REDUCE[along], result.length_unit
        axes = result.isotropic_axes(size)
        self._values = np.asarray(result.sample(*axes, quantity=quantity) - self.background, np.float32)
        low, high = result.bounds
        self.pitch = max(b - a for a, b in zip(low, high, strict=True)) / size
        self._centre = [float(a[0] + a[-1]) / 2 for a in axes]

        self._outline = _outline(self._values)

    def half_extent(self, rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 3"]:
        """Return half the edges (z, y, x) of a centred box around what is visible of the rotated specimen [sample]."""
        box = np.abs(rotation) @ (np.array(self._values.shape) / 2)
        return np.asarray(np.minimum(box, 1.12 * np.abs(self._outline @ rotation.T).max(axis=0) + 2), np.float64)

    def __call__(self, rotation: Float[np.ndarray, "3 3"], half_extent: Float[np.ndarray, " 3"] | None = None) -> Plane:
        """Project the rotated specimen along z.

        Args:
            rotation: Matrix from (z, y, x) of the specimen to (z, y, x) of the laboratory.
            half_extent: [sample] Half the edges (z, y, x) of the field of view; ``half_extent(rotation)`` by default.
        """
        from scipy.ndimage import affine_transform

        half = self.half_extent(rotation) if half_extent is None else half_extent
        shape = np.maximum(np.rint(2 * half), 1).astype(int)
        middle = (np.array(self._values.shape) - 1) / 2
        # The inverse rotation gives the point of the specimen at each sample of the laboratory.
        offset = middle - rotation.T @ ((shape - 1) / 2)
        rotated = affine_transform(self._values, rotation.T, offset, output_shape=tuple(shape), order=1, cval=0.0)
        image = np.asarray(self._reduce(rotated, axis=0), np.float64) + self.background
        down, right = (
            c + (np.arange(n) - (n - 1) / 2) * self.pitch for c, n in zip(self._centre[1:], image.shape, strict=True)
        )
        return Plane(image, down, right, ("y", "x", "z"), self._centre[0], self._unit)


def _outline(contrast: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "n 3"]:
    """Return points, from the centre, whose contrast exceeds a twentieth of the maximum: the visible part [sample]."""
    size = np.abs(contrast)
    points = np.argwhere(size > size.max(initial=0.0) / 20)
    subset = points[:: max(len(points) // 20000, 1)]
    centred = subset - (np.array(contrast.shape) - 1) / 2
    return np.asarray(centred if len(centred) else np.array(contrast.shape)[None] / 2, np.float64)


def view_rotation(azimuth: float, elevation: float = 0.0) -> Float[np.ndarray, "3 3"]:
    """Return the rotation of a specimen to the view at an azimuth and an elevation [rad]."""
    return np.asarray(rotation_matrix(AXES["x"], elevation) @ rotation_matrix(AXES["y"], azimuth), np.float64)


def project(
    result: Sampled,
    azimuth: float = 0.0,
    elevation: float = 0.0,
    *,
    along: Along = "maximum",
    quantity: str | None = None,
    size: int = 240,
) -> Plane:
    """Project a result along the line of sight.

    Args:
        result: A model or a volume.
        azimuth: [rad] Rotation about the vertical.
        elevation: [rad] Rotation about the horizontal of the image.
        along: Reduction of the values along the line of sight.
        quantity: Name of the quantity; the main one by default.
        size: Number of samples along the longest edge of the box.
    """
    return Projector(result, quantity=quantity, along=along, size=size)(view_rotation(azimuth, elevation))


def projection_scale(
    result: Sampled, along: Along, planes: Sequence[Plane], quantity: str | None = None
) -> ColourScale:
    """Choose the colours of projections: those of the specimen, but for a mean, whose values are smaller.

    Args:
        result: A model or a volume.
        along: Reduction of the values along the line of sight.
        planes: Projections from some sides.
        quantity: Name of the quantity; the main one by default.
    """
    if along != "mean":
        return colour_scale(result, quantity)
    values = np.concatenate([plane.values.ravel() for plane in planes])
    return choose_scale(result.quantity(quantity), values, result.background(quantity))


def projection_figure(
    result: Sampled,
    azimuth: float = 0.0,
    elevation: float = 0.0,
    *,
    along: Along = "maximum",
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 240,
) -> "matplotlib.figure.Figure":
    """Draw a projection with scale bar and colour bar.

    Args:
        result: A model or a volume.
        azimuth: [rad] Rotation about the vertical.
        elevation: [rad] Rotation about the horizontal of the image.
        along: Reduction of the values along the line of sight.
        quantity: Name of the quantity; the main one by default.
        limits: Values of the first and the last colour; see :func:`projection_scale`.
        size: Number of samples along the longest edge of the box.
    """
    plane = project(result, azimuth, elevation, along=along, quantity=quantity, size=size)
    scale = projection_scale(result, along, [plane], quantity).within(limits)
    view = f"azimuth {np.degrees(azimuth):.0f}°, elevation {np.degrees(elevation):.0f}°".replace("-", "−")
    with house_style():
        figure, axes, bar = new_image_figure(plane.values.shape)
        image = draw_plane(axes, plane, scale, labels=False)
        image.set_interpolation(scale.interpolation or "bicubic")
        axes.set_title(f"{along} projection, {view}", loc="left", pad=4)
        add_scale_bar(axes, plane.width, colour=scale.mark, unit=plane.unit)
        add_colour_bar(figure, image, bar, result.quantity(quantity))
    return figure
