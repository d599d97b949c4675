"""A sampled volume: named quantities on a rectangular lattice, in metres, axes ``z y x``."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Num

from .errors import DataError


@dataclass(frozen=True)
class Quantity:
    """Name, unit and meaning of a number that a model or volume gives at each point."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Volume:
    """Quantities sampled on the product of three axes.

    Args:
        kind: Kind of experiment: ``cell``, ``crystal`` or ``shape``.
        z: [m] Coordinates of the samples along z, evenly spaced, rising.
        y: [m] Along y.
        x: [m] Along x.
        values: Arrays (z, y, x) by the quantity's name; before these axes there may be others, of cells and draws.
        quantities: Unit and meaning of each name in ``values``.
        attributes: Further plain facts (``medium_index``), stored beside the values.
        length_unit: ``m``; ``voxel`` where nobody knows how large a sample is, and then coordinates count samples.
        names: Of the cells, where there are several and their names are known.
        labels: Their classes, likewise.

    Raises:
        DataError: If an array's shape is not that of the axes.
    """

    kind: str
    z: Float[np.ndarray, " z"]
    y: Float[np.ndarray, " y"]
    x: Float[np.ndarray, " x"]
    values: dict[str, Num[np.ndarray, "*lead z y x"]]
    quantities: tuple[Quantity, ...]
    attributes: dict[str, float | str] = field(default_factory=dict)
    length_unit: Literal["m", "voxel"] = "m"
    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, array in self.values.items():
            if array.shape[-3:] != self.shape:
                raise DataError(f"{name} has the shape {array.shape} on axes of {self.shape} samples")
        missing = {*self.values} - {q.name for q in self.quantities}
        if missing:
            raise DataError(f"no unit is known for {', '.join(sorted(missing))}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of samples (z, y, x)."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """[m] Distance between samples (z, y, x); 0 along an axis of one sample."""
        z, y, x = (float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in (self.z, self.y, self.x))
        return z, y, x

    @property
    def main(self) -> Num[np.ndarray, "*lead z y x"]:
        """The first quantity."""
        return self.values[self.quantities[0].name]

    def only(self, name: str) -> "Volume":
        """The same volume with one quantity."""
        kept = tuple(q for q in self.quantities if q.name == name)
        if not kept:
            raise DataError(f"no quantity {name!r}; there are {', '.join(self.values)}")
        return replace(self, values={name: self.values[name]}, quantities=kept)


def centred_axis(count: int, spacing: float, centre: float = 0.0) -> Float[np.ndarray, " n"]:
    """[m] ``count`` samples ``spacing`` apart, sample ``count // 2`` at ``centre``."""
    return centre + (np.arange(count) - count // 2) * float(spacing)
