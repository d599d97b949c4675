"""Pictures of a specimen from any side, for browsers that cannot draw volumes themselves."""

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..errors import ConfigError, DataError
from ..sampled import Sampled
from ..visualization.colour_scale import ColourScale
from ..visualization.grids import sample_grid
from ..visualization.projection import view_rotation
from ..visualization.surface import shade_surface
from .results import Sampler

STYLES = ("volume", "surface")
LARGEST = 1024
_LONGEST = 96
"""Number of samples along the longest edge: a picture from another side takes a tenth of a second."""
_SURFACE_COLOURS = "bone"


@dataclass(frozen=True)
class View:
    """View of a picture.

    Args:
        style: ``volume`` for the largest contrast along each line of sight, or ``surface``.
        azimuth: [rad] Rotation about the vertical.
        elevation: [rad] Rotation about the horizontal of the picture.
        size: [pixel] Width and height.

    Raises:
        ConfigError: If it is none.
    """

    style: str
    azimuth: float
    elevation: float
    size: int

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ConfigError(f"style={self.style[:80]!r} is neither {' nor '.join(STYLES)}")
        if not 16 <= self.size <= LARGEST:
            raise ConfigError(f"a picture of {self.size} pixels: 16 to {LARGEST}")


class _Grids:
    """Samples of the specimens that were drawn last."""

    def __init__(self, count: int = 4):
        self._grids: OrderedDict[tuple[int, str], tuple[Sampled, np.ndarray]] = OrderedDict()
        self._count, self._lock = count, threading.Lock()

    def get(self, sampler: Sampler) -> Float[np.ndarray, "z y x"]:
        """Sample a quantity on cubic cells, once."""
        key = (id(sampler.specimen), sampler.quantity.name)
        with self._lock:
            if key not in self._grids:  # The specimen is kept with its samples, so that its number stays its own.
                axes = sampler.specimen.isotropic_axes(_LONGEST)
                self._grids[key] = (sampler.specimen, sample_grid(sampler.specimen, sampler.quantity.name, axes))
                while len(self._grids) > self._count:
                    self._grids.popitem(last=False)
            self._grids.move_to_end(key)
            return self._grids[key][1]


_GRIDS = _Grids()


def draw_picture(sampler: Sampler, view: View, limits: ColourScale, level: float | None = None) -> bytes:
    """Draw a specimen from a side, as PNG.

    Args:
        sampler: Quantity of a specimen.
        view: Side, style and size.
        limits: Values of the first and the last colour.
        level: Value on the surface; by default 0 where zero is in the middle of the colours, else that middle.

    Raises:
        DataError: If there is no surface at the level.
    """
    import matplotlib
    from PIL import Image

    values, turn = _GRIDS.get(sampler), view_rotation(view.azimuth, view.elevation)
    background = sampler.specimen.background(sampler.quantity.name)
    if view.style == "surface":
        cut = (limits.low + limits.high) / 2 if level is None else level
        shade, name = _surface(values, cut, background, turn), _SURFACE_COLOURS
    else:
        projection = _project(values - np.float32(background), turn) + background
        shade, name = (projection - limits.low) / (limits.high - limits.low), limits.colours
    picture = matplotlib.colormaps[name](np.clip(_square(shade, _diagonal(values)), 0, 1), bytes=True)[..., :3]
    output = io.BytesIO()
    Image.fromarray(picture).resize((view.size, view.size), Image.Resampling.BICUBIC).save(output, "PNG")
    return output.getvalue()


def _surface(
    values: Float[np.ndarray, "z y x"], level: float, background: float, turn: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "h w"]:
    """Shade the surface at a level; the specimen is the side of it on which the background is not.

    Raises:
        DataError: If the values do not cross the level.
    """
    sign = -1 if background > level else 1
    if not values.min() < level < values.max():
        raise DataError(
            f"there is no surface at {level:.4g}: the values go from {values.min():.4g} to {values.max():.4g}"
        )
    return shade_surface(np.asarray(sign * values), sign * level, turn)


def _project(contrast: Float[np.ndarray, "z y x"], turn: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "h w"]:
    """Take the value that differs most from the background along each line of sight."""
    from scipy.ndimage import affine_transform

    edge = _diagonal(contrast)
    middle = (np.array(contrast.shape) - 1) / 2
    offset = middle - turn.T @ np.full(3, (edge - 1) / 2)
    turned = affine_transform(contrast, turn.T, offset, output_shape=(edge,) * 3, order=1, cval=0.0)
    high, low = turned.max(axis=0), turned.min(axis=0)
    return np.asarray(np.where(high >= -low, high, low))


def _diagonal(values: Float[np.ndarray, "z y x"]) -> int:
    return int(np.ceil(np.linalg.norm(values.shape)))


def _square(picture: Float[np.ndarray, "h w"], edge: int) -> Float[np.ndarray, "n n"]:
    """Pad a picture to a square of one size, seen from any side, by the values at its edge."""
    edge = max(edge, *picture.shape)
    pads = [((edge - n) // 2, edge - n - (edge - n) // 2) for n in picture.shape]
    return np.pad(picture, pads, mode="edge")
