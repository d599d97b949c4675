"""Measurements of a crystal: its size, its strain, the sharpness of its faces."""

import numpy as np

from ...errors import DataError
from ...io.table import Column, Table
from ...metrics.edge_profile import median_edge_width
from ...metrics.morphology.features import feature_columns
from ...metrics.morphology.solid import solid_features
from ...metrics.morphology.surface import extract_surface
from ...metrics.morphology.volume_surface import Scale, sample_spacing, volume_origin
from ...sampled import Quantity
from ...volume import Volume

_GEOMETRY = (
    *("volume", "surface_area", "equivalent_diameter", "sphericity", "solidity", "box_faces"),
    *("extent_z", "extent_y", "extent_x", "extent_major", "extent_middle", "extent_minor", "feret_diameter"),
)
_SHARE = 0.5
"""Amplitude on the surface, relative to the median inside."""
_LATTICE = (
    Column("level", "", "amplitude on the surface"),
    Column("amplitude_mean", "", "within the surface"),
    Column("amplitude_std", "", "within the surface"),
    Column("strain_mean", "", "within the surface"),
    Column("strain_rms", "", "root mean square about the mean, within the surface"),
    Column("strain_p5", "", "5 % of the crystal have less"),
    Column("strain_p95", "", "5 % of the crystal have more"),
)
_LENGTHS = (
    Column("displacement_rms", "{0}", "about the mean, along G, within the surface"),
    Column("displacement_range", "{0}", "from 5 to 95 % of the crystal, along G"),
    Column("edge_width", "{0}", "from 10 to 90 % of the amplitude, median of six edges"),
)


def measure(volume: Volume, *, level: float | None = None, features: str = "standard") -> Table:
    """Measure one crystal.

    Args:
        volume: Volume with an amplitude or a complex density; strain and displacement are optional.
        level: Amplitude on the surface; by default half of the inside's median.
        features: Name of the set of features: ``standard``.

    Returns:
        Table of one row.

    Raises:
        ConfigError: If there is no such set of features.
        DataError: If there is no amplitude, a value is not finite, or there is no surface.
    """
    from ...metrics.morphology.features import require_standard

    require_standard(features, volume.kind)
    amplitude = _amplitude(volume)
    if level is None:
        level = surface_level(volume)
    scale = Scale.of(volume, "nm")
    surface = extract_surface(
        amplitude, sample_spacing(volume, scale), level=level, origin=volume_origin(volume, scale)
    )
    geometry, inside = solid_features(surface), amplitude > level
    numbers = {
        **{name: float(geometry[name]) for name in _GEOMETRY},
        "level": level,
        "amplitude_mean": float(amplitude[inside].mean()),
        "amplitude_std": float(amplitude[inside].std()),
        **_strain(volume, inside),
        **_displacement(volume, inside, scale),
        "edge_width": median_edge_width(_amplitude_volume(volume, amplitude), "amplitude") * scale.factor,
    }
    own = tuple(Column(c.name, c.unit.format(scale.unit), c.meaning) for c in (*_LATTICE, *_LENGTHS))
    shown = {column.name: column for column in feature_columns(scale.unit)}
    return Table((*(shown[name] for name in _GEOMETRY), *own), (numbers,))


def surface_level(volume: Volume) -> float:
    """Choose the amplitude on the surface of a crystal: half of the inside's median."""
    return _level(volume, _amplitude(volume))


def _amplitude(volume: Volume) -> np.ndarray:
    for name in ("amplitude", "density"):
        if name in volume.values:
            return np.asarray(np.abs(volume.values[name]), np.float64)
    raise DataError(f"a crystal is measured by its amplitude or its density; there is {', '.join(volume.values)}")


def _level(volume: Volume, amplitude: np.ndarray) -> float:
    """Compute half of the median amplitude inside the support, or of samples above half of the largest amplitude."""
    for name in ("support", "occupancy"):
        if name in volume.values and (part := amplitude[volume.values[name] > 0.5]).size:
            return _SHARE * float(np.median(part))
    bright = amplitude[amplitude > amplitude.max() / 2]
    return _SHARE * float(np.median(bright)) if bright.size else 0.0


def _amplitude_volume(volume: Volume, amplitude: np.ndarray) -> Volume:
    """Make a volume of the amplitude, and of the support, in whose middle a run measures its edges too."""
    support = {name: volume.values[name] for name in ("support",) if name in volume.values}
    return Volume(
        volume.kind,
        volume.z,
        volume.y,
        volume.x,
        {"amplitude": amplitude, **support},
        tuple(Quantity(name, "1", "") for name in ("amplitude", *support)),
        {},
        volume.length_unit,
    )


def _within(volume: Volume, name: str, inside: np.ndarray) -> np.ndarray:
    """Select the finite values of a quantity inside the crystal."""
    values = np.asarray(volume.values.get(name, np.full(inside.shape, np.nan)), np.float64)[inside]
    return np.asarray(values[np.isfinite(values)])


def _strain(volume: Volume, inside: np.ndarray) -> dict[str, float]:
    strain = _within(volume, "strain", inside)
    if not strain.size:
        return {}
    p5, p95 = (float(p) for p in np.percentile(strain, (5, 95)))
    return {"strain_mean": float(strain.mean()), "strain_rms": float(strain.std()), "strain_p5": p5, "strain_p95": p95}


def _displacement(volume: Volume, inside: np.ndarray, scale: Scale) -> dict[str, float]:
    displacement = _within(volume, "displacement", inside) * scale.factor
    if not displacement.size:
        return {}
    p5, p95 = (float(p) for p in np.percentile(displacement, (5, 95)))
    return {"displacement_rms": float(displacement.std()), "displacement_range": p95 - p5}
