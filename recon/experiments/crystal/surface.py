"""Surface of a crystal with the colours of its strain, or of its phase, for the report."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from ...metrics.morphology.surface import Surface
from ...visualization.colour_scale import ColourScale
from ...visualization.surface_scene import SurfaceBody, SurfaceScene, extract_body
from ...volume import Volume

_COLOURED_BY = ("strain", "phase")
"""Quantities that may colour the surface, the first preferred."""


def crystal_scene(
    volume: Volume,
    level_of: Callable[[Volume], tuple[str, float | None]],
    scale_of: Callable[[str], ColourScale],
) -> SurfaceScene:
    """Make the scene of a crystal.

    Args:
        volume: Sampled crystal with its support.
        level_of: Function that chooses quantity and level of the surface of a volume.
        scale_of: Function that chooses the colours of a quantity by its name.

    Raises:
        DataError: If there is no surface.
    """
    name, level = level_of(volume)
    surface = extract_body(volume, name, level).surface
    caption = f"Surface at half of the {name} inside"
    colour = next((each for each in _COLOURED_BY if each in volume.values), None)
    if colour is None or "support" not in volume.values or not np.any(volume.values["support"]):
        return SurfaceScene(f"{caption}.", [SurfaceBody("", surface)], volume.length_unit)
    values = _values_inside(volume, colour, surface)
    body = SurfaceBody("", surface, values)
    caption = f"{caption}; the colours are the {colour} of the nearest sample inside."
    scale = scale_of(colour)
    return SurfaceScene(caption, [body], volume.length_unit, volume.quantity(colour), scale.colours, scale.limits)


def _values_inside(volume: Volume, name: str, surface: Surface) -> Float[np.ndarray, " v"]:
    """Return the value of a quantity at each vertex; outside the support it has none, and that beside it is taken."""
    from scipy.ndimage import distance_transform_edt, map_coordinates

    values = np.asarray(volume.values[name], np.float64)
    # A quantity is 0 where it is not defined, as a derivative at the border is.
    defined = (volume.values["support"] > 0) & np.isfinite(values) & (values != 0)
    if not defined.any():
        return np.zeros(len(surface.vertices))
    nearest = distance_transform_edt(~defined, return_distances=False, return_indices=True)
    extended = values[tuple(nearest)]
    first = np.array([axis[0] for axis in volume.grid.axes])
    places = (surface.vertices - first) / np.asarray(volume.spacing)
    return np.asarray(map_coordinates(extended, places.T, order=1, mode="nearest"))
