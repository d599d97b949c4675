"""Surface that the reader of a report turns: triangles inside the page, and a picture where they cannot be drawn.

Coordinates of the triangles are ``x y z``, whole numbers of a 65535th of the longest edge of their box.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Num, UInt8

from ..errors import DataError
from ..metrics.morphology.surface import Surface, extract_surface
from ..sampled import Point3, Quantity, Sampled
from ..volume import SIGNED_DISTANCE, Volume
from .labels import quantity_label
from .mesh_picture import draw_mesh
from .projection import view_rotation
from .style import INK, add_scale_bar, house_style, new_figure, render_png

LONGEST = 72
"""Number of samples along the longest edge of the box of a continuous model."""
_MOST_TRIANGLES = 60_000
"""Largest number of triangles of a scene: 0.8 MB of the page."""
_LEAST_SAMPLES = 4
"""Number of samples along each axis below which a result has no surface to turn."""
_STEPS = 65_535
_VIEW = (0.0, np.radians(55.0))
"""[rad] Azimuth and elevation of the first view."""
_EDGE = 3.6
"""[inch] Edge of the picture."""
_COARSE = 48
"""Number of samples along the longest edge below which a volume is interpolated before its surface is extracted."""
_STOPS = 9
"""Number of colours by which the page draws a colour bar."""


@dataclass(frozen=True)
class SurfaceBody:
    """One surface of a scene.

    Args:
        name: Name in the list of the scene's bodies.
        surface: The surface, in metres or voxels.
        values: Number that colours each vertex; None for a plain surface.
    """

    name: str
    surface: Surface
    values: Float[np.ndarray, " v"] | None = None


@dataclass(frozen=True)
class SurfaceScene:
    """Surfaces of which the page shows one at a time.

    Args:
        caption: Text below the picture.
        bodies: The surfaces; at least one.
        unit: Unit of their lengths: ``m`` or ``voxel``.
        quantity: Quantity that colours them; None for plain ones.
        colours: Name of its colour map.
        limits: Values of the first and the last colour.
    """

    caption: str
    bodies: Sequence[SurfaceBody]
    unit: str
    quantity: Quantity | None = None
    colours: str = ""
    limits: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class EmbeddedScene:
    """A scene in the page.

    Args:
        scene: The scene.
        data: JSON for the page's script.
        png: Picture of the first body, for paper and for browsers without WebGL.
    """

    scene: SurfaceScene
    data: str
    png: bytes

    @property
    def source(self) -> str:
        """``data:`` address of the picture."""
        return "data:image/png;base64," + b64encode(self.png).decode("ascii")

    @property
    def colour_bar(self) -> dict[str, str] | None:
        """Gradient, ends and label of the colour bar; None for plain surfaces."""
        scene = self.scene
        if scene.quantity is None:
            return None
        stops = (f"rgb({r},{g},{b})" for r, g, b in _colour_table(scene.colours)[:: 255 // (_STOPS - 1)])
        low, high = (f"{value:.3g}".replace("-", "−") for value in scene.limits)
        return {"gradient": ",".join(stops), "low": low, "high": high, "label": quantity_label(scene.quantity)}


def surface_volume(result: Sampled, names: Sequence[str] = (), longest: int = LONGEST) -> Volume:
    """Sample a result for its surface; a volume that is not much finer stays as it is.

    Args:
        result: A model or a volume.
        names: Names of the quantities; the main one by default.
        longest: Number of samples along the longest edge of the box.
    """
    chosen = [result.real_quantity(name) for name in names or (None,)]
    if isinstance(result, Volume) and max(result.shape) <= 1.5 * longest:
        return result
    axes = result.isotropic_axes(longest)
    values = {q.name: np.asarray(result.sample(*axes, q.name), np.float32) for q in chosen}
    return Volume(result.kind, *axes, values, tuple(chosen), dict(result.attributes), result.length_unit)


def extract_body(volume: Volume, quantity: str, level: float | None, name: str = "", share: float = 1.0) -> SurfaceBody:
    """Extract the surface of a quantity, coarser where it has too many triangles.

    Args:
        volume: The volume.
        quantity: Name of the quantity.
        level: Value on the surface; by default 0 of a signed distance, else half-way of its range.
        name: Name in the list of the scene's bodies.
        share: Share of the scene's triangles that the body may have.

    Raises:
        DataError: If there is no surface.
    """
    values, spacing = _refine(np.asarray(volume.values[quantity]), volume.spacing)
    origin, background = [float(axis[0]) for axis in volume.grid.axes], volume.background(quantity)
    for step in (1, 2, 3, 4, 6, 8):
        surface = extract_surface(
            values[::step, ::step, ::step],
            [step * (d or min(e for e in spacing if e > 0)) for d in spacing],
            level=level,
            signed=quantity == SIGNED_DISTANCE,
            origin=origin,
            sharp=False,
            background=background,
        )
        if len(surface.faces) <= share * _MOST_TRIANGLES and len(surface.vertices) <= _STEPS:
            return SurfaceBody(name, surface)
    raise DataError(f"the surface has {len(surface.faces)} triangles, too many for a page")


def _refine(values: Num[np.ndarray, "z y x"], spacing: Point3) -> tuple[Num[np.ndarray, "k j i"], Point3]:
    """Interpolate a coarse volume by cubic splines, so that its surface does not show the voxels."""
    from scipy.ndimage import zoom

    factor = -(-_COARSE // max(values.shape))
    if factor == 1 or values.dtype.kind != "f" or min(values.shape) < _LEAST_SAMPLES:
        return values, spacing
    sizes = [(n - 1) * factor + 1 for n in values.shape]
    finer = zoom(values, [new / old for new, old in zip(sizes, values.shape, strict=True)], order=3)
    z, y, x = (step / factor for step in spacing)
    return finer, (z, y, x)


def result_scene(result: Sampled, level_of: Callable[[Volume], tuple[str, float | None]]) -> SurfaceScene | None:
    """Make the scene of a result's own surface; None for a result that is flat.

    Args:
        result: A model or a volume of one specimen.
        level_of: Function that chooses quantity and level of the surface of a volume.

    Raises:
        DataError: If there is no surface.
    """
    volume = surface_volume(result)
    if min(volume.shape) < _LEAST_SAMPLES:
        return None
    name, level = level_of(volume)
    caption = f"Surface of the {name.replace('_', ' ')}" + ("" if level is None else f" at {level:.4g}") + "."
    return SurfaceScene(caption, [extract_body(volume, name, level)], volume.length_unit)


def embed_scene(scene: SurfaceScene) -> EmbeddedScene:
    """Encode a scene for the page, and draw its picture."""
    content: dict[str, Any] = {
        "unit": scene.unit,
        "turn": _start().T.ravel().tolist(),
        "bodies": [_encode_body(body, scene.limits) for body in scene.bodies],
    }
    if scene.quantity is not None:
        content["colours"] = _encode(_colour_table(scene.colours))
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return EmbeddedScene(scene, data, _draw_body(scene.bodies[0], scene))


def _start() -> Float[np.ndarray, "3 3"]:
    """Rotation from (x, y, z) of the specimen to (right, down, away) of the first view."""
    return view_rotation(*_VIEW)[::-1, ::-1]


def _encode_body(body: SurfaceBody, limits: tuple[float, float]) -> dict[str, Any]:
    vertices = body.surface.vertices[:, ::-1]
    low = vertices.min(axis=0)
    extent = float((vertices - low).max())
    places = np.rint((vertices - low) / extent * _STEPS).astype("<u2")
    encoded = {"extent": extent, "places": _encode(places), "faces": _encode(body.surface.faces.astype("<u2"))}
    if body.values is not None:
        encoded["values"] = _encode(_shade_numbers(body.values, limits))
    return encoded


def _encode(array: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _colour_table(name: str) -> np.ndarray:
    """Colours of a colour map, shape (256, 3), from 0 to 255."""
    from matplotlib import colormaps

    return np.asarray(np.rint(255 * colormaps[name](np.arange(256))[:, :3]), np.uint8)


def _draw_body(body: SurfaceBody, scene: SurfaceScene) -> bytes:
    """Draw a body as the page first shows it, with a scale bar."""
    colours = None
    if body.values is not None:
        colours = _colour_table(scene.colours)[_shade_numbers(body.values, scene.limits)] / 255
    picture = draw_mesh(body.surface, view_rotation(*_VIEW), colours)
    size = len(picture.pixels)
    with house_style():
        figure = new_figure(_EDGE, _EDGE)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(picture.pixels, interpolation="bilinear")
        axes.set_axis_off()
        add_scale_bar(axes, size * picture.pitch, colour=INK, unit=scene.unit)
        return render_png(figure)


def _shade_numbers(values: Float[np.ndarray, " v"], limits: tuple[float, float]) -> UInt8[np.ndarray, " v"]:
    """Numbers of the colours of values in a table of 256."""
    shares = (np.nan_to_num(values) - limits[0]) / (limits[1] - limits[0])
    return np.asarray(np.rint(255 * np.clip(shares, 0, 1)), np.uint8)
