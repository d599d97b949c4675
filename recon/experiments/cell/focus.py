"""Planes of focus that an image file itself gives, in the order of its views."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...acquisition import Acquisition
from .config_acquisition import CellAcquisition
from .repeated_views import settings_of_views
from .schema import PLANE_Z_ENTRY

logger = logging.getLogger(__name__)

REVERSED = "reversed_defocus"
"""Attribute of an acquisition whose positions of the focal plane are negated."""


def resolve_focus(
    acquisition: Acquisition, config: CellAcquisition, views: Sequence[int] = (), count: int = 0
) -> Acquisition:
    """Take the focus of each view from the positions of the planes in the file, where nothing else gives it.

    Views that differ in their light or turn are no stack of focus, whatever the file calls their axis: they stay in one
    focus, with a warning.

    Args:
        acquisition: Arrays of the file, with the light of each view.
        config: The config's section.
        views: Indices of the selected views in the file.
        count: Number of views in the file.
    """
    arrays, places = dict(acquisition.arrays), dict(acquisition.places)
    planes = arrays.pop(PLANE_Z_ENTRY.name, None)
    place = places.pop(PLANE_Z_ENTRY.name, "")
    if planes is not None and not config.focus_step and "defocus" not in arrays and np.ptp(planes) > 0:
        extent = f"{planes[0] * 1e6:.4g} … {planes[-1] * 1e6:.4g} um"
        others = settings_of_views(replace(acquisition, arrays=arrays))
        if len(np.unique(others, axis=0)) > 1:
            logger.warning(
                "%s: the file calls the views planes of focus at %s; as they differ in light or turn, all are taken to "
                "be in focus (acquisition.defocus: %s takes the planes)",
                acquisition.source,
                extent,
                PLANE_Z_ENTRY.path,
            )
        else:
            arrays["defocus"], places["defocus"] = planes, place
            logger.warning(
                "%s: the planes of focus are taken from the file, %s along the light in the order of its planes "
                "(acquisition.reverse_defocus: true for a stack that runs against the light)",
                acquisition.source,
                extent,
            )
    if config.focus_step:
        arrays["defocus"] = (np.array(views) - count // 2) * config.focus_step
        places["defocus"] = "acquisition.focus_step"
    attributes = dict(acquisition.attributes)
    if config.reverse_defocus and "defocus" in arrays:
        if REVERSED in attributes and not config.focus_step:
            name = acquisition.source
            logger.warning("%s: its planes of focus were negated when it was converted, and are not again", name)
        else:
            arrays["defocus"], attributes[REVERSED] = -arrays["defocus"], "true"
    return replace(acquisition, arrays=arrays, places=places, attributes=attributes)
