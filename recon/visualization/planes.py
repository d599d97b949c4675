"""A flat cut through a result, and how to draw it with its axes in µm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ..errors import ConfigError, Diagnostic
from ..frame import EDGE
from ..sampled import Sampled
from .style import shown_unit

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.image

Point3 = tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """Values on a flat cut.

    Args:
        values: (down, right).
        down: [m] Coordinates of the rows.
        right: [m] Coordinates of the columns.
        names: Names of the axes (down, right), and of the axis that the plane cuts.
        height: [m] Where it cuts that axis.
        unit: Of all of these: ``m``, or ``voxel``.
    """

    values: Float[np.ndarray, "down right"]
    down: Float[np.ndarray, " down"]
    right: Float[np.ndarray, " right"]
    names: tuple[str, str, str]
    height: float
    unit: str = "m"

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """[µm] Left, right, bottom and top edge, half a sample beyond the outermost samples; [voxel] likewise."""
        factor, _ = shown_unit(self.unit)
        left, right = _edges(self.right)
        top, bottom = _edges(self.down)
        return left * factor, right * factor, bottom * factor, top * factor

    @property
    def width(self) -> float:
        """[m] From edge to edge, along the rows."""
        left, right = _edges(self.right)
        return right - left

    @property
    def height_shown(self) -> float:
        """[m] From edge to edge, along the columns."""
        top, bottom = _edges(self.down)
        return bottom - top


def centre_of(result: Sampled) -> Point3:
    """[m] The middle (z, y, x) of the box."""
    low, high = result.bounds
    z, y, x = ((a + b) / 2 for a, b in zip(low, high, strict=True))
    return z, y, x


def require_inside(result: Sampled, where: str, **coordinates: float) -> None:
    """Refuse coordinates outside the box: only the background is there, and a picture of it tells nobody why.

    Args:
        result: A model or a volume.
        where: What gave the coordinates, for the message.
        coordinates: [m] By axis.

    Raises:
        ConfigError: With a fault for each coordinate outside.
    """
    faults = []
    for name, low, high in zip("zyx", *result.bounds, strict=True):
        value, rounding = coordinates.get(name, low), EDGE * (high - low) / 2
        if not low - rounding <= value <= high + rounding:
            factor, unit = shown_unit(result.length_unit)
            box = f"{low * factor:.4g} … {high * factor:.4g} {unit}"
            message = f"{name} = {value * factor:.4g} {unit}, outside the box {box}"
            faults.append(Diagnostic(where, message, "choose a value within it"))
    if faults:
        raise ConfigError(*faults)


def slice_plane(result: Sampled, axis: str, height: float, *, size: int = 400, quantity: str | None = None) -> Plane:
    """Sample the plane ``axis = height``: (y, x) for z, (z, x) for y, and (y, z) for x.

    Args:
        result: A model or a volume.
        axis: ``z``, ``y`` or ``x``.
        height: [m] Where.
        size: Samples along the box's longest edge.
        quantity: Which; the first, if absent.
    """
    return PlaneSampler(result, quantity=quantity, size=size)(axis, height)


class PlaneSampler:
    """Cuts many planes of one result with square samples of one size.

    Args:
        result: A model or a volume.
        quantity: Which; the first, if absent.
        size: Samples along the box's longest edge.
    """

    def __init__(self, result: Sampled, *, quantity: str | None = None, size: int = 400):
        self._result, self._quantity = result, quantity
        self._unit = result.length_unit
        low, high = result.bounds
        pitch = max(b - a for a, b in zip(low, high, strict=True)) / size
        self._axes = {name: _filled(a, b, pitch) for name, a, b in zip("zyx", low, high, strict=True)}

    def __call__(self, axis: str, height: float) -> Plane:
        """Sample the plane ``axis = height`` [m]."""
        down, right = {"z": ("y", "x"), "y": ("z", "x"), "x": ("y", "z")}[axis]
        axes = {**self._axes, axis: np.array([height])}
        values = self._result.sample(axes["z"], axes["y"], axes["x"], self._quantity)
        flat = np.squeeze(values, axis="zyx".index(axis))
        return Plane(flat.T if axis == "x" else flat, axes[down], axes[right], (down, right, axis), height, self._unit)


def draw(
    axes: "matplotlib.axes.Axes", plane: Plane, colours: str, limits: tuple[float, float], *, labels: bool = True
) -> "matplotlib.image.AxesImage":
    """Draw a plane with its axes in µm (or voxels), or bare of ticks and labels."""
    from matplotlib.ticker import MaxNLocator

    image = axes.imshow(
        plane.values, extent=plane.extent, origin="upper", cmap=colours, vmin=limits[0], vmax=limits[1], aspect="equal"
    )
    if labels:
        for side in (axes.xaxis, axes.yaxis):
            side.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        _, unit = shown_unit(plane.unit)
        axes.set_xlabel(f"${plane.names[1]}$ ({unit})")
        axes.set_ylabel(f"${plane.names[0]}$ ({unit})")
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    return image


def _filled(low: float, high: float, pitch: float) -> Float[np.ndarray, " n"]:
    """[m] Middles of cells that fill an edge exactly, as near as possible to ``pitch`` long."""
    count = max(round((high - low) / pitch), 1)
    return low + (np.arange(count) + 0.5) * ((high - low) / count)


def _edges(axis: Float[np.ndarray, " n"]) -> tuple[float, float]:
    half = float(axis[-1] - axis[0]) / max(len(axis) - 1, 1) / 2 or 0.5e-9
    return float(axis[0]) - half, float(axis[-1]) + half
