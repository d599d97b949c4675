"""Shaded surface of a result, seen from any side."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from ..errors import DataError
from ..sampled import Sampled
from ..volume import SIGNED_DISTANCE
from .colour_scale import ColourScale
from .planes import Plane, draw_plane
from .projection import view_rotation
from .style import INK, add_scale_bar, house_style, new_image_figure

if TYPE_CHECKING:
    import matplotlib.figure

_LIGHT = np.array([0.75, 0.45, 0.48])
"""Direction (towards the eye, down, right) of the light."""
_DARK = 0.15
"""Brightness of faces that point away from the light; the background is 1."""
_TOLERANCE, _RIM = 1e-6, 1
"""[cell] Rounding errors, and the width of the background around a shape."""


def surface_figure(
    result: Sampled,
    azimuth: float = 0.0,
    elevation: float = 0.0,
    *,
    quantity: str | None = None,
    limits: tuple[float, float] | None = None,
    size: int = 200,
    level: float | None = None,
) -> "matplotlib.figure.Figure":
    """Draw the surface with a scale bar.

    Args:
        result: A model or a volume.
        azimuth: [rad] Rotation about the vertical.
        elevation: [rad] Rotation about the horizontal of the image.
        quantity: Name of the quantity; the main one by default.
        limits: Ignored; all figures share these options.
        size: Number of samples along the longest edge of the box.
        level: Value on the surface; by default 0 of a signed distance, else half-way of its range.

    Raises:
        DataError: If there is no surface.
    """
    name = result.quantity(quantity).name
    axes = result.isotropic_axes(size)
    values = np.asarray(result.sample(*axes, quantity=quantity), np.float32)
    if level is None:
        level = 0.0 if name == SIGNED_DISTANCE else float(values.min() + values.max()) / 2
    if not values.min() < level < values.max():
        message = f"{name} has no surface at {level:.4g}: it goes from {values.min():.4g} to {values.max():.4g}"
        raise DataError(message)
    values, cut = (-values, -level) if result.background(name) > level else (values, level)
    shade = shade_surface(values, cut, view_rotation(azimuth, elevation))
    pitch, middle = float(axes[1][1] - axes[1][0]), [float(a[0] + a[-1]) / 2 for a in axes]
    down, right = (c + (np.arange(n) - (n - 1) / 2) * pitch for c, n in zip(middle[1:], shade.shape, strict=True))
    plane = Plane(shade.astype(np.float64), down, right, ("y", "x", "z"), middle[0], result.length_unit)
    with house_style():
        figure, frame, bar = new_image_figure(shade.shape)
        draw_plane(frame, plane, ColourScale(0.0, 1.0, "bone"), labels=False).set_interpolation("bicubic")
        bar.set_visible(False)
        title = "surface" if name == SIGNED_DISTANCE else f"surface of {name.replace('_', ' ')}"
        frame.set_title(title, loc="left", pad=4)
        add_scale_bar(frame, plane.width, colour=INK, unit=plane.unit)
    return figure


def shade_surface(
    values: Float[np.ndarray, "z y x"], level: float, turn: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "h w"]:
    """Compute the brightness of a surface seen along z.

    Args:
        values: Values on cubic cells, above the level inside.
        level: Value on the surface.
        turn: Rotation from (z, y, x) of the specimen to those of the laboratory.

    Returns:
        Brightness, 1 for the background, on as many cells as the values have, or more if the rotated shape needs them,
        about the same centre.
    """
    from scipy.ndimage import affine_transform

    middle, shape = (np.array(values.shape) - 1) / 2, _output_shape(values > level, turn)
    outside, own = float(min(values.min(), level)), (np.array(shape) - 1) / 2
    moved = middle - turn.T @ own
    rotated = affine_transform(values.astype(np.float32), turn.T, moved, output_shape=shape, order=1, cval=outside)
    inside = rotated > level
    first = inside.argmax(axis=0)
    rows, columns = np.indices(first.shape)
    before, here = rotated[np.maximum(first - 1, 0), rows, columns], rotated[first, rows, columns]
    fraction = np.where(first > 0, (here - level) / np.maximum(here - before, 1e-9), 0)
    depth = np.where(inside.any(axis=0), first - np.clip(fraction, 0, 1), np.nan)
    down, right = np.gradient(depth)
    normal = np.stack([np.ones_like(depth), down, right]) / np.sqrt(1 + down**2 + right**2)
    # Half of the light is ambient, so that relief shows in the shade.
    light = 0.5 + 0.5 * np.tensordot(_LIGHT / np.linalg.norm(_LIGHT), normal, axes=1)
    return np.asarray(np.where(np.isfinite(depth), _DARK + (0.9 - _DARK) * np.nan_to_num(light), 1.0))


def _output_shape(inside: Bool[np.ndarray, "z y x"], turn: Float[np.ndarray, "3 3"]) -> tuple[int, int, int]:
    """Return a shape (z, y, x), at least that of the array, that holds the rotated shape about the same centre."""
    middle = (np.array(inside.shape) - 1) / 2
    ends = []
    for axis, centre in enumerate(middle):
        filled = np.flatnonzero(inside.any(axis=tuple(i for i in range(3) if i != axis)))
        ends.append([filled[0] - centre, filled[-1] - centre] if filled.size else [0.0, 0.0])
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3) @ turn.T
    reach = np.ceil(np.abs(corners).max(axis=0) - middle - _TOLERANCE).astype(int) + _RIM
    z, y, x = (n + 2 * max(int(more), 0) for n, more in zip(inside.shape, reach, strict=True))
    return z, y, x
