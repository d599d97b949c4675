"""Planes through a result: sampling, and drawing with axes in µm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ..errors import ConfigError, Diagnostic
from ..frame import FACE_TOLERANCE
from ..metrics import index_of_highest_contrast
from ..sampled import Point3, Sampled
from .colour_scale import ColourScale
from .grids import sample_grid
from .labels import display_unit

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.image


@dataclass(frozen=True)
class Plane:
    """Values on a plane, or of a projection onto it.

    Args:
        values: Values, shape (down, right).
        down: [m] Coordinates of the rows.
        right: [m] Coordinates of the columns.
        names: Names of the axes (down, right), and of the axis normal to the plane.
        position: [m] Coordinate of the plane on that axis.
        unit: Unit of the coordinates: ``m`` or ``voxel``.
    """

    values: Float[np.ndarray, "down right"]
    down: Float[np.ndarray, " down"]
    right: Float[np.ndarray, " right"]
    names: tuple[str, str, str]
    position: float
    unit: str = "m"

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """[µm] Left, right, bottom and top edge, half a sample beyond the outermost samples; [voxel] for that unit."""
        factor, _ = display_unit(self.unit)
        left, right = _edges(self.right)
        top, bottom = _edges(self.down)
        return left * factor, right * factor, bottom * factor, top * factor

    @property
    def width(self) -> float:
        """[m] Distance of the left and right edges."""
        left, right = _edges(self.right)
        return right - left

    @property
    def height(self) -> float:
        """[m] Distance of the top and bottom edges."""
        top, bottom = _edges(self.down)
        return bottom - top


def box_centre(result: Sampled) -> Point3:
    """Return the centre (z, y, x) of the box of a result [m]."""
    low, high = result.bounds
    z, y, x = ((a + b) / 2 for a, b in zip(low, high, strict=True))
    return z, y, x


def point_of_highest_contrast(result: Sampled, quantity: str | None = None, longest: int = 96) -> Point3:
    """Find the point (z, y, x) whose surroundings differ most from the background, in the result's length unit.

    Args:
        result: A model or a volume.
        quantity: Name of the quantity; the main one by default.
        longest: Number of samples along the longest edge of the box.
    """
    axes = result.isotropic_axes(longest)
    index = index_of_highest_contrast(
        sample_grid(result, result.quantity(quantity).name, axes), background=result.background(quantity)
    )
    z, y, x = (float(axis[i]) for axis, i in zip(axes, index, strict=True))
    return z, y, x


def require_inside(result: Sampled, where: str, **coordinates: float) -> None:
    """Refuse coordinates outside the box of a result, where there is only background.

    Args:
        result: A model or a volume.
        where: Source of the coordinates, for the message.
        coordinates: [m] Coordinates by axis.

    Raises:
        ConfigError: With a fault for each coordinate outside.
    """
    faults = []
    for name, low, high in zip("zyx", *result.bounds, strict=True):
        value, tolerance = coordinates.get(name, low), FACE_TOLERANCE * (high - low) / 2
        if not low - tolerance <= value <= high + tolerance:
            factor, unit = display_unit(result.length_unit)
            box = f"{low * factor:.4g} … {high * factor:.4g} {unit}"
            message = f"{name} = {value * factor:.4g} {unit}, outside the box {box}"
            faults.append(Diagnostic(where, message, "choose a value within it"))
    if faults:
        raise ConfigError(*faults)


class PlaneSampler:
    """Sampler of planes ``z``, ``y`` or ``x`` of one result, with square samples.

    Args:
        result: A model or a volume.
        quantity: Name of the quantity; the main one by default.
        size: Number of samples along the longest edge of the box.
    """

    def __init__(self, result: Sampled, *, quantity: str | None = None, size: int = 400):
        self._result, self._quantity = result, quantity
        self._unit = result.length_unit
        low, high = result.bounds
        pitch = max(b - a for a, b in zip(low, high, strict=True)) / size
        self._axes = {name: _cell_centres(a, b, pitch) for name, a, b in zip("zyx", low, high, strict=True)}

    def __call__(self, axis: str, position: float) -> Plane:
        """Sample the plane ``axis = position`` [m]: (y, x) for z, (z, x) for y, and (y, z) for x."""
        down, right = {"z": ("y", "x"), "y": ("z", "x"), "x": ("y", "z")}[axis]
        axes = {**self._axes, axis: np.array([position])}
        values = self._result.sample(axes["z"], axes["y"], axes["x"], self._quantity)
        flat = np.squeeze(values, axis="zyx".index(axis))
        return Plane(
            flat.T if axis == "x" else flat, axes[down], axes[right], (down, right, axis), position, self._unit
        )


def draw_plane(
    axes: "matplotlib.axes.Axes", plane: Plane, scale: ColourScale, *, labels: bool = True
) -> "matplotlib.image.AxesImage":
    """Draw a plane.

    Args:
        axes: Axes to draw in.
        plane: Values and coordinates.
        scale: Colours of the values.
        labels: Whether to draw ticks and labels, in µm or voxels.
    """
    from matplotlib.ticker import MaxNLocator

    image = axes.imshow(
        plane.values,
        extent=plane.extent,
        origin="upper",
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        interpolation=scale.interpolation,
    )
    if labels:
        for side in (axes.xaxis, axes.yaxis):
            side.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        _, unit = display_unit(plane.unit)
        axes.set_xlabel(f"${plane.names[1]}$ ({unit})")
        axes.set_ylabel(f"${plane.names[0]}$ ({unit})")
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    return image


def _cell_centres(low: float, high: float, pitch: float) -> Float[np.ndarray, " n"]:
    """Return the centres of cells that fill an interval exactly, of a size close to ``pitch`` [m]."""
    count = max(round((high - low) / pitch), 1)
    return low + (np.arange(count) + 0.5) * ((high - low) / count)


def _edges(axis: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the outer edges of the first and the last sample of an axis [m]."""
    half = float(axis[-1] - axis[0]) / max(len(axis) - 1, 1) / 2 or 0.5e-9
    return float(axis[0]) - half, float(axis[-1]) + half
