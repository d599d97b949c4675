"""A sampled volume that answers as a continuous model does: values at any points, by splines between its samples."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..errors import ConfigError
from ..metrics.edge_profile import interpolate, real_quantities
from ..volume import Quantity, Volume

Points = Float[np.ndarray, "n 3"]
_BLOCK = 200_000


@dataclass(frozen=True)
class Box:
    """Where a volume knows its values.

    Args:
        low: [m] Corner (z, y, x), half a sample beyond the first ones.
        high: [m] The opposite corner.
        length_unit: In which points are given.
    """

    low: Float[np.ndarray, " 3"]
    high: Float[np.ndarray, " 3"]
    length_unit: str = "m"

    def contains(self, points: Points) -> Bool[np.ndarray, " n"]:
        """Tell which points [m] lie in the box."""
        return np.asarray(np.all((points >= self.low) & (points <= self.high), axis=1))


class VolumeAnswers:
    """What ``unflat query`` asks of a model, of a volume.

    Args:
        volume: The volume; its complex quantities are left out.

    Raises:
        ConfigError: If the volume counts voxels, where points are in metres.
    """

    def __init__(self, volume: Volume) -> None:
        if volume.length_unit != "m":
            raise ConfigError("the volume is in voxels of unknown size; points in metres cannot be found in it")
        self._volume = volume
        self.given: tuple[Quantity, ...] = real_quantities(volume)
        self.kind = volume.kind
        axes, half = (volume.z, volume.y, volume.x), np.array(volume.spacing) / 2
        self.frame = Box(np.array([a[0] for a in axes]) - half, np.array([a[-1] for a in axes]) + half)

    def column(self, quantity: str) -> int:
        """Find where a quantity stands in ``given``.

        Raises:
            ConfigError: If it is not given.
        """
        names = [q.name for q in self.given]
        if quantity not in names:
            raise ConfigError(f"the volume gives no {quantity!r}; it gives {', '.join(names)}")
        return names.index(quantity)

    def at(self, points: Points, progress: Callable[[int, int], object] | None = None) -> Float[np.ndarray, "n q"]:
        """Give all real quantities at points [m]."""
        found = []
        for first in range(0, len(points), _BLOCK):
            found.append(interpolate(self._volume, points[first : first + _BLOCK]))
            if progress is not None:
                progress(min(first + _BLOCK, len(points)), len(points))
        return np.concatenate(found)
