"""From the laboratory's description of light and rotation to apertures and matrices."""

from dataclasses import replace

import numpy as np

from ...acquisition.acquisition import Acquisition
from ...errors import Fault
from .acquisition_settings import CellAcquisition, Turn
from .illumination import led_grid_na, ring_na, turn_matrices
from .sources import ANGLES, LED_ROW_COL, LIGHT, is_named, light_of

_MOST_TURNS = 2


def resolved(
    acquisition: Acquisition, wanted: CellAcquisition, views: list[int], count: int
) -> tuple[Acquisition, list[Fault]]:
    """Describe the light by apertures and a turning specimen by matrices.

    Args:
        acquisition: As found in the file.
        wanted: The config's section.
        views: The views that were taken, by their number in the file.
        count: Views in the file.

    Returns:
        The acquisition with ``illumination_na``, or ``source_na`` and ``pattern``; and what is wrong.
    """
    arrays, places = dict(acquisition.arrays), dict(acquisition.places)
    row_col, angles = arrays.pop(LED_ROW_COL.name, None), arrays.pop(ANGLES.name, None)
    light, faults = light_of(wanted), _measurement_faults(acquisition)
    if light == "led_grid" and wanted.led_grid and row_col is not None:
        grid = wanted.led_grid
        arrays["illumination_na"] = led_grid_na(
            row_col,
            pitch=grid.pitch,
            height=grid.height,
            centre=grid.centre,
            row_axis=grid.row_axis,
            column_axis=grid.column_axis,
        )
        places["illumination_na"] = places[LED_ROW_COL.name]
    elif light == "ring" and wanted.ring:
        ring = wanted.ring
        if count > ring.count:
            message = f"the ring has {ring.count} directions, and the file {count} views"
            faults.append(Fault("acquisition.ring.count", message, "give the number of directions on the whole ring"))
        whole = ring_na(count, na=ring.na, count=ring.count, start=ring.start, clockwise=ring.clockwise)
        arrays["illumination_na"], places["illumination_na"] = whole[views], "acquisition.ring"
    elif light == "normal":
        arrays["illumination_na"] = np.zeros((len(views), 2))
        places["illumination_na"] = "acquisition.illumination"
    elif "pattern" in arrays and "source_na" in arrays:
        arrays.pop("illumination_na", None)  # The sources with their pattern are the fuller description.
    else:
        faults += _darkness(acquisition, wanted)
    if wanted.turn and angles is not None:
        arrays["rotation"] = turn_matrices(angles, wanted.turn.axis, reverse=wanted.turn.reverse)
        places["rotation"] = places[ANGLES.name]
        faults += _angle_faults(angles, wanted.turn, places["rotation"])
    return replace(acquisition, arrays=arrays, places=places), faults


def _measurement_faults(acquisition: Acquisition) -> list[Fault]:
    if "images" in acquisition and "field" in acquisition:
        remedy = "say acquisition.images: null to use the field, or acquisition.field: null to use the images"
        return [Fault(acquisition.source, "the file holds both images and a complex field", remedy)]
    return []


def _darkness(acquisition: Acquisition, wanted: CellAcquisition) -> list[Fault]:
    """Say that the light is not described, unless what was to describe it has a fault of its own."""
    if any(name in acquisition.places or is_named(wanted, name) for name in LIGHT):
        return []
    remedy = (
        "name it (acquisition.illumination_na: /path, n·sin θ along (y, x) of each view), or describe it by "
        "acquisition.led_grid, acquisition.ring, or acquisition.illumination: normal"
    )
    return [Fault(acquisition.source, "nothing says where the light of each view comes from", remedy)]


def _angle_faults(angles: np.ndarray, turn: Turn, place: str) -> list[Fault]:
    """Degrees without a unit are the rule in laboratories."""
    largest = float(np.abs(angles).max(initial=0))
    if turn.angles.unit or not largest > _MOST_TURNS * 2 * np.pi:
        return []
    path = turn.angles.path or "…"
    message = f"angles up to {largest:g} rad are more than {_MOST_TURNS} turns; they look like degrees"
    return [Fault(place, message, f"say acquisition.turn.angles: '{path} in deg' (or 'in rad', if they are right)")]
