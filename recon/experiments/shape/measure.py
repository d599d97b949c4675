"""Morphology of shapes: the features of `metrics.morphology`, or SHAPR's."""

from ...grid import Grid
from ...io.table import Table
from ...metrics.morphology.features import feature_columns, surface_features
from ...metrics.morphology.shapr import COLUMNS, EDGE, shapr_features
from ...metrics.morphology.volume_surface import Scale, extract_volume_surface
from ...model import Model
from ...volume import Volume
from .binarize import binarize
from .grids import cube_grid
from .places import COLUMNS as PLACE
from .places import place_in


def measure(volume: Volume, *, level: float | None = None, features: str = "standard") -> Table:
    """Measure one shape.

    Args:
        volume: Volume with a signed distance or an occupancy.
        level: Value on the surface; 0 of a signed distance, else half-way of the range.
        features: ``standard``, in um; or ``shapr``: SHAPR's 126, in voxels of 64³ samples; an occupancy is cut by
            Otsu's threshold.

    Returns:
        Table of one row.

    Raises:
        DataError: If a value is not finite, there is no surface, SHAPR's volume is not 64³, or no quantity is a shape.
    """
    place = place_in(volume.attributes)
    known = tuple(column for column in PLACE if column.name in place)
    if features == "shapr":
        return Table((*known, *COLUMNS), ({**place, **shapr_features(binarize(volume))},))
    scale = Scale.of(volume)
    row = surface_features(extract_volume_surface(volume, scale, level=level))
    return Table((*known, *feature_columns(scale.unit)), ({**place, **row},))


def feature_grid(model: Model, features: str) -> Grid | None:
    """Build the grid that a set of features requires; None if it works on any."""
    return cube_grid(model, EDGE) if features == "shapr" else None
