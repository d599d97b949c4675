"""Frames of movies: a spin, which is one rotation about the vertical, and a zoom into a point.

Each frame of a zoom samples the result anew, one sample per pixel, so that a continuous model shows no voxels. The
field of view shrinks by the same factor from each frame to the next.
"""

from collections.abc import Iterator

import numpy as np

from ..errors import ConfigError
from ..sampled import Point3, Sampled
from .labels import quantity_label
from .movies import Frame, draw_frame, frame_size
from .planes import Plane, point_of_highest_contrast, require_inside
from .projection import Along, Projector, projection_scale, view_rotation
from .specimen_scale import colour_scale


def spin_frames(
    result: Sampled,
    count: int = 60,
    *,
    elevation: float = 0.0,
    along: Along = "maximum",
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 480,
    samples: int = 128,
) -> Iterator[Frame]:
    """Draw the frames of a spin: one full rotation about the vertical, which can be repeated without a jump.

    Args:
        result: A model or a volume.
        count: Number of frames.
        elevation: [rad] Elevation of the viewer.
        along: Reduction of the values along the line of sight.
        quantity: Name of the quantity; the main one by default.
        limits: Values of the first and the last colour; see :func:`projection_scale`.
        size: [pixel] Requested width and height of a frame; see :func:`frame_size`.
        samples: Number of samples along the longest edge of the box.
    """
    projector = Projector(result, quantity=quantity, along=along, size=samples)
    angles = np.arange(count) / count * 2 * np.pi
    half_extent = np.max(
        [projector.half_extent(view_rotation(angle, elevation)) for angle in np.linspace(0, 2 * np.pi, 73)], axis=0
    )
    views = [projector(view_rotation(angle, elevation)) for angle in (0.0, np.pi / 2)] if along == "mean" else []
    scale = projection_scale(result, along, views, quantity).within(limits)
    label = quantity_label(result.quantity(quantity))
    for angle in angles:
        plane = projector(view_rotation(float(angle), elevation), half_extent)
        yield draw_frame(plane, scale, label, text=f"{np.degrees(angle):.0f}°", size=size)


def zoom_views(
    result: Sampled,
    centre: Point3,
    count: int = 60,
    *,
    factor: float = 20.0,
    quantity: str | None = None,
    size: int = 480,
) -> Iterator[Plane]:
    """Sample the plane z through a point in a sequence of smaller fields of view.

    Sample ``size // 2`` of either axis is at the point.

    Args:
        result: A model or a volume.
        centre: The point (z, y, x), in the length unit of the result.
        count: Number of views.
        factor: Magnification of the last view over the first, which shows the longest lateral edge of the box.
        quantity: Name of the quantity; the main one by default.
        size: Number of samples along each axis of a view.

    Raises:
        ConfigError: If the point is outside the box, or the factor does not magnify.
    """
    if not factor > 1 or count < 2:
        raise ConfigError(
            f"a zoom by {factor:g} in {count} frames shows nothing: take a factor above 1 and at least 2 frames"
        )
    require_inside(result, "the zoom's centre", **dict(zip("zyx", centre, strict=True)))
    low, high = result.bounds
    unit = result.length_unit
    widest = max(high[1] - low[1], high[2] - low[2])
    steps = np.arange(size) - size // 2
    for i in range(count):
        pitch = widest * factor ** (-i / (count - 1)) / size
        down, right = centre[1] + steps * pitch, centre[2] + steps * pitch
        values = result.sample(np.array([centre[0]]), down, right, quantity)[0]
        yield Plane(values, down, right, ("y", "x", "z"), centre[0], unit)


def zoom_frames(
    result: Sampled,
    centre: Point3 | None = None,
    count: int = 60,
    *,
    factor: float = 20.0,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 480,
) -> Iterator[Frame]:
    """Draw the frames of a zoom.

    Args:
        result: A model or a volume.
        centre: The point (z, y, x), in the length unit of the result; the feature of highest contrast by default.
        count: Number of frames.
        factor: Magnification of the last frame over the first.
        quantity: Name of the quantity; the main one by default.
        limits: Values of the first and the last colour; those of the specimen by default.
        size: [pixel] Requested width and height of a frame; see :func:`frame_size`.

    Raises:
        ConfigError: If the point is outside the box, or the factor does not magnify.
    """
    point = centre or point_of_highest_contrast(result, quantity)
    label = quantity_label(result.quantity(quantity))
    size = frame_size(size)
    scale = colour_scale(result, quantity).within(limits)
    for i, plane in enumerate(zoom_views(result, point, count, factor=factor, quantity=quantity, size=size)):
        yield draw_frame(plane, scale, label, text=f"×{factor ** (i / (count - 1)):.1f}", size=size)
