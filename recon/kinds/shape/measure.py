"""Numbers of a shape that need no truth: the features of `measures`, or SHAPR's."""

from ...measures.features import columns, features_of
from ...measures.sampled import Scale, chosen, surface_of_volume
from ...measures.shapr import COLUMNS, shapr_features
from ...tables import Table
from ...volumes.volume import Volume


def measure(volume: Volume, *, level: float | None = None, features: str = "standard") -> Table:
    """Measure one shape.

    Args:
        volume: With a signed distance or an occupancy.
        level: Value on the surface; 0 of a signed distance, else half-way of the range.
        features: ``standard``, in um; or ``shapr``: SHAPR's 126, in voxels of a 64³ occupancy cut by Otsu's threshold.

    Returns:
        One row.

    Raises:
        DataError: If a value is not finite, there is no surface, or SHAPR's volume is not 64³.
    """
    if features == "shapr":
        values = volume.values.get("occupancy", volume.values[chosen(volume)])
        return Table(COLUMNS, (shapr_features(values),))
    scale = Scale.of(volume)
    return Table(columns(scale.unit), (features_of(surface_of_volume(volume, scale, level=level)),))
