"""Surface of a volume, chosen by quantity, level and unit of length."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from ...errors import ConfigError
from ...volume import SIGNED_DISTANCE, Volume
from .surface import Corner, Surface, extract_surface


@dataclass(frozen=True)
class Scale:
    """Unit of the lengths of a table or a mesh.

    Args:
        unit: ``um``, ``nm``, or ``voxel`` where the size of a sample is not known.
        factor: Number of units in one of the volume's own unit of length.
    """

    unit: str
    factor: float

    @classmethod
    def of(cls, volume: Volume, unit: str = "um") -> "Scale":
        """Select a unit for a volume: ``voxel`` if it has no other."""
        return cls("voxel", 1.0) if volume.length_unit == "voxel" else cls(unit, {"um": 1e6, "nm": 1e9}[unit])


def extract_volume_surface(
    volume: Volume, scale: Scale, quantity: str | None = None, level: float | None = None
) -> Surface:
    """Extract the surface of a quantity of a volume.

    Args:
        volume: The volume.
        scale: Unit of the surface's lengths.
        quantity: Name of the quantity; the signed distance by default, or the main one if there is none.
        level: Value on the surface; by default 0 of a signed distance, else half-way of its range.

    Raises:
        ConfigError: If there is no such quantity, or it is complex.
        DataError: If a value is not finite, or there is no surface.
    """
    name = surface_quantity(volume, quantity)
    values: Num[np.ndarray, "z y x"] = volume.values[name]
    if np.iscomplexobj(values):
        real = [other for other, array in volume.values.items() if not np.iscomplexobj(array)]
        raise ConfigError(f"{name} is complex and has no surface: choose a real quantity ({', '.join(real) or 'none'})")
    return extract_surface(
        values,
        sample_spacing(volume, scale),
        level=level,
        signed=name == SIGNED_DISTANCE,
        origin=volume_origin(volume, scale),
        background=volume.background(name),
    )


def surface_quantity(volume: Volume, quantity: str | None = None) -> str:
    """Return the name of a quantity of a volume: by default the signed distance, or the main one.

    Raises:
        ConfigError: If there is no such quantity.
    """
    return volume.quantity(quantity or (SIGNED_DISTANCE if SIGNED_DISTANCE in volume.values else None)).name


def sample_spacing(volume: Volume, scale: Scale) -> Corner:
    """Return the distance between samples (z, y, x); as wide as the finest along an axis of one sample."""
    finest = min((d for d in volume.spacing if d > 0), default=1.0)
    z, y, x = ((d if d > 0 else finest) * scale.factor for d in volume.spacing)
    return z, y, x


def volume_origin(volume: Volume, scale: Scale) -> Corner:
    """Return the coordinates of the first sample."""
    return tuple(float(axis[0]) * scale.factor for axis in (volume.z, volume.y, volume.x))  # type: ignore[return-value]
