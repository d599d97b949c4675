"""Measurements of a cell that need no truth: size, index, dry mass.

Dry mass is the integral of n − n_m over α, the specific refractive increment: 0.18 to 0.19 mL/g for the
contents of cells (Barer 1952, Nature 169, 366). It is relative to the medium, as if that were water, and negative in a
specimen less dense than its medium, whose inside lies below the level.
"""

import numpy as np

from ...io.table import Column, Table
from ...metrics.morphology.features import feature_columns
from ...metrics.morphology.solid import solid_features
from ...metrics.morphology.volume_surface import Scale, extract_volume_surface
from ...volume import Volume

INCREMENT = 0.185
"""[mL/g] α."""
RANGE = (0.18, 0.19)
_FEW_SAMPLES = 2**20
"""Number of samples up to which the threshold is that of the specimen interpolated between them."""
_QUANTITY = "refractive_index"
_GEOMETRY = (
    *("volume", "surface_area", "equivalent_diameter", "sphericity", "solidity", "box_faces"),
    *("extent_z", "extent_y", "extent_x", "extent_major", "extent_middle", "extent_minor"),
)
_INDEX = (
    Column("level", "", "refractive index on the surface within which the cell lies"),
    Column("medium_index", "", "of the medium"),
    Column("mean_index", "", "within the surface"),
    Column("std_index", "", "within the surface"),
    Column("max_index", "", "within the surface"),
    Column("dry_mass", "pg", "within the surface, for 0.185 mL/g"),
    Column("dry_mass_low", "pg", "for 0.19 mL/g"),
    Column("dry_mass_high", "pg", "for 0.18 mL/g"),
    Column("dry_mass_density", "g/L", "dry mass over volume"),
    Column("dry_mass_box", "pg", "of the whole box"),
)


def measure(volume: Volume, *, level: float | None = None, features: str = "standard") -> Table:
    """Measure one cell.

    Args:
        volume: Volume with a refractive index.
        level: Index on the cell's surface; by default Otsu's threshold.
        features: Name of the set of features; only ``standard``.

    Returns:
        One row; without the medium's index, or the size of a sample, there is no dry mass.

    Raises:
        ConfigError: If there is no refractive index, or no such set of features.
        DataError: If a value is not finite, or there is no surface.
    """
    from ...metrics.morphology.features import require_standard

    require_standard(features, volume.kind)
    index = np.asarray(volume.values[volume.quantity(_QUANTITY).name], np.float64)
    if level is None:
        level = surface_level(volume)[1]
    scale = Scale.of(volume)
    surface = extract_volume_surface(volume, scale, _QUANTITY, level)
    geometry = solid_features(surface)
    inside = index < level if volume.background(_QUANTITY) > level else index > level
    numbers = {
        **{name: float(geometry[name]) for name in _GEOMETRY},
        "level": level,
        "mean_index": float(index[inside].mean()),
        "std_index": float(index[inside].std()),
        "max_index": float(index[inside].max()),
        **_dry_mass(index, inside, volume),
    }
    known = {column.name: column for column in (*feature_columns(scale.unit), *_INDEX)}
    return Table(tuple(known[name] for name in (*_GEOMETRY, *(c.name for c in _INDEX))), (numbers,))


def surface_level(volume: Volume) -> tuple[str, float]:
    """Choose the refractive index on the surface of a cell: Otsu's threshold."""
    return _QUANTITY, _otsu(np.asarray(volume.values[volume.quantity(_QUANTITY).name], np.float64))


def _dry_mass(index: np.ndarray, inside: np.ndarray, volume: Volume) -> dict[str, float]:
    """Compute dry masses [pg], where the medium's index and the samples' size are known."""
    if "medium_index" not in volume.attributes:
        return {}
    medium = float(volume.attributes["medium_index"])
    if volume.length_unit == "voxel":
        return {"medium_index": medium}
    litres = float(np.prod(volume.spacing)) * 1e3
    grams_a_litre = (index - medium) / INCREMENT * 1e3
    mass, box = (float(part.sum()) * litres * 1e12 for part in (grams_a_litre[inside], grams_a_litre))
    return {
        "medium_index": medium,
        "dry_mass": mass,
        "dry_mass_low": mass * INCREMENT / RANGE[1],
        "dry_mass_high": mass * INCREMENT / RANGE[0],
        "dry_mass_density": float(grams_a_litre[inside].mean()),
        "dry_mass_box": box,
    }


def _otsu(index: np.ndarray) -> float:
    """Compute Otsu's threshold; NaN and a constant are left for the surface to refuse.

    Few samples leave the threshold open by some per cent of the contrast, and the volume by a per cent: the specimen is
    linear between them.
    """
    from scipy.ndimage import zoom
    from skimage.filters import threshold_otsu

    if not np.all(np.isfinite(index)) or not np.ptp(index) > 0:
        return float(index.flat[0])
    if index.size <= _FEW_SAMPLES:
        index = zoom(index, 2, order=1, grid_mode=True, mode="nearest")
    return float(threshold_otsu(index))
