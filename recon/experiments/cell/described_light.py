"""Description of light and rotation by a laboratory, resolved to apertures and matrices.

LEDs of a flat array, a ring of directions, a condenser, light along the axis; angles of a turning specimen.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from ...acquisition import Acquisition
from ...config.advice import quoted
from ...config.source import Source
from ...errors import Diagnostic
from ...io.axis_faults import order_hint
from ...io.image_folder import pattern_of_folder
from .condenser_light import condenser_light
from .config_acquisition import CellAcquisition
from .config_illumination import LedGrid, LightCorrection, Turn
from .illumination import correct_directions, led_grid_na, led_positions_na, ring_na, rotation_matrices
from .led_faults import led_faults, led_table_hint
from .schema import (
    ANGLES,
    HALVES,
    LED_HEIGHT,
    LED_PITCH,
    LED_POSITIONS,
    LED_ROW_COL,
    LIGHT,
    has_custom_source,
    illumination_mode,
)

logger = logging.getLogger(__name__)

CORRECTION = "light_correction"
"""Attribute of an acquisition whose light is corrected: the correction."""
_MOST_TURNS = 2
"""Number of turns above which angles are taken for degrees."""
_DESCRIBED = (LED_ROW_COL, LED_POSITIONS, LED_PITCH, LED_HEIGHT, HALVES, ANGLES)
"""Arrays that describe light and turns in the words of a laboratory."""
Described: TypeAlias = Mapping[str, np.ndarray | None]
"""Arrays of `_DESCRIBED` by name; None for those that the file lacks."""


def resolve_illumination(
    acquisition: Acquisition, config: CellAcquisition, views: list[int], count: int
) -> tuple[Acquisition, list[Diagnostic]]:
    """Convert the description of light to apertures, and angles of a turning specimen to matrices.

    Args:
        acquisition: Arrays of the file.
        config: The config's section.
        views: Indices of the selected views in the file.
        count: Number of views in the file.

    Returns:
        The acquisition with ``illumination_na``, or ``source_na`` and ``pattern``; and the faults of the description.
    """
    arrays, places = dict(acquisition.arrays), dict(acquisition.places)
    described = {entry.name: arrays.pop(entry.name, None) for entry in _DESCRIBED}
    faults = _measurement_faults(acquisition)
    if "pattern" in arrays and arrays["pattern"].ndim == 1:
        arrays["pattern"] = np.tile(arrays["pattern"], (len(views), 1))
    light = _described_light(acquisition, config, described, views, count)
    if light is not None:
        own, place, light_faults = light
        arrays |= own
        places |= dict.fromkeys(own, place)
        faults += light_faults
    elif "pattern" in arrays and "source_na" in arrays:
        arrays.pop("illumination_na", None)  # Sources with their pattern are the more complete description.
    else:
        faults += _missing_light_faults(acquisition, config)
    attributes = dict(acquisition.attributes)
    if light is not None:
        attributes.pop(CORRECTION, None)
    faults += _correct_light(arrays, attributes, config.light_correction, acquisition.source)
    angles = described[ANGLES.name]
    if config.turn and angles is not None:
        arrays["rotation"] = rotation_matrices(angles, config.turn.axis, reverse=config.turn.reverse)
        places["rotation"] = places[ANGLES.name]
        faults += _angle_faults(angles, config.turn, places["rotation"])
    return replace(acquisition, arrays=arrays, places=places, attributes=attributes), faults


def _correct_light(
    arrays: dict[str, np.ndarray], attributes: dict[str, float | str], correction: LightCorrection, source: str
) -> list[Diagnostic]:
    """Correct directions in place, once: a file that was converted with the same correction holds corrected ones."""
    text, earlier = correction.model_dump_json(), attributes.get(CORRECTION)
    if correction == LightCorrection():
        return []
    if earlier == text:
        logger.warning("%s: its light was corrected when it was converted, and is not corrected again", source)
        return []
    if earlier is not None:
        message = f"its light was corrected when it was converted, but not by acquisition.light_correction: {earlier}"
        remedy = "name the file that it was converted from, or leave out acquisition.light_correction"
        return [Diagnostic(source, message, remedy)]
    for name in {"illumination_na", "source_na"} & arrays.keys():
        arrays[name] = correct_directions(arrays[name], correction)
    attributes[CORRECTION] = text
    return []


def _described_light(
    acquisition: Acquisition, config: CellAcquisition, described: Described, views: list[int], count: int
) -> tuple[dict[str, np.ndarray], str, list[Diagnostic]] | None:
    """Convert the light that the config describes to arrays, with their place and the faults; None without any."""
    light = illumination_mode(config)
    if light == "led_grid" and config.led_grid:
        return _led_light(acquisition, config.led_grid, described)
    if light == "ring" and config.ring:
        ring = config.ring
        faults = [_ring_fault(acquisition, ring.count, count)] if count > ring.count else []
        whole = ring_na(count, na=ring.na, count=ring.count, start=ring.start, clockwise=ring.clockwise)
        return {"illumination_na": whole[views]}, "acquisition.ring", faults
    if light == "condenser" and config.condenser:
        sources, faults = condenser_light(config.condenser, acquisition.arrays, described[HALVES.name], views, count)
        return sources, "acquisition.condenser", faults
    if light == "normal":
        return {"illumination_na": np.zeros((len(views), 2))}, "acquisition.illumination", []
    return None


def _led_light(
    acquisition: Acquisition, grid: LedGrid, described: Described
) -> tuple[dict[str, np.ndarray], str, list[Diagnostic]] | None:
    """Compute the light of a flat array of LEDs; None if the file lacks their numbers, which is reported already."""
    row_col, positions = described[LED_ROW_COL.name], described[LED_POSITIONS.name]
    if row_col is None and positions is None:
        return None
    place = acquisition.places[(LED_ROW_COL if positions is None else LED_POSITIONS).name]
    distances = {entry.name: described[entry.name] for entry in (LED_PITCH, LED_HEIGHT)}
    if any(distance is None for distance in distances.values()):
        return {}, place, []
    grid = _with_distances(grid, distances)
    return {"illumination_na": _leds_na(grid, row_col, positions)}, place, led_faults(row_col, positions, grid, place)


def _with_distances(grid: LedGrid, distances: Mapping[str, np.ndarray | None]) -> LedGrid:
    """Replace the sources of pitch and height by their values."""
    values = {
        name.rpartition(".")[2]: Source(literal=float(np.ravel(d)[0])) for name, d in distances.items() if d is not None
    }
    return grid.model_copy(update=values)


def _leds_na(grid: LedGrid, row_col: np.ndarray | None, positions: np.ndarray | None) -> Float[np.ndarray, "view 2"]:
    """Compute the apertures of each view's LED, from its position or else its row and column."""
    rows, columns = grid.row_axis, grid.column_axis
    if positions is not None:
        return led_positions_na(positions, height=float(grid.height.value), row_axis=rows, column_axis=columns)
    return led_grid_na(
        np.asarray(row_col),
        pitch=float(grid.pitch.value),
        height=float(grid.height.value),
        centre=grid.centre,
        row_axis=rows,
        column_axis=columns,
    )


def _ring_fault(acquisition: Acquisition, directions: int, count: int) -> Diagnostic:
    """Report more views than directions on the ring."""
    name = "images" if "images" in acquisition else "field"
    path = acquisition.places.get(name, "").rpartition(":")[2]
    shape = acquisition[name].shape if name in acquisition else ()
    hint = order_hint(name, path, shape, directions)
    message = f"the ring has {directions} directions, and the file {count} views"
    return Diagnostic("acquisition.ring.count", message, f"give the number of directions on the whole ring{hint}")


def _measurement_faults(acquisition: Acquisition) -> list[Diagnostic]:
    if "images" in acquisition and "field" in acquisition:
        remedy = "set acquisition.images: null to use the field, or acquisition.field: null to use the images"
        return [Diagnostic(acquisition.source, "the file holds both images and a complex field", remedy)]
    return []


def _missing_light_faults(acquisition: Acquisition, config: CellAcquisition) -> list[Diagnostic]:
    """Report light that is not described, unless its description has a fault of its own."""
    if any(name in acquisition.places or has_custom_source(config, name) for name in LIGHT):
        return []
    if config.led_grid and illumination_mode(config) == "led_grid":
        return []
    remedy = (
        "name it (acquisition.illumination_na: /path, n·sin θ along (y, x) of each view), or describe it by "
        "acquisition.led_grid, acquisition.ring, acquisition.condenser, or acquisition.illumination: normal"
    )
    if pattern := pattern_of_folder(Path(acquisition.source), ("row", "column")):
        remedy += f"; if the names of the files tell the LED, acquisition.images: '{pattern}' and acquisition.led_grid "
        remedy += "with its centre, pitch and height"
    else:
        remedy += led_table_hint(Path(acquisition.source))
    return [Diagnostic(acquisition.source, "the direction of the light of each view is not described", remedy)]


def _angle_faults(angles: np.ndarray, turn: Turn, place: str) -> list[Diagnostic]:
    """Report angles so large that they look like degrees without a unit."""
    largest = float(np.abs(angles).max(initial=0))
    if turn.angles.unit or not largest > _MOST_TURNS * 2 * np.pi:
        return []
    written = quoted(str(turn.angles.in_unit("deg")))
    message = f"angles up to {largest:g} rad are more than {_MOST_TURNS} turns; they look like degrees"
    return [Diagnostic(place, message, f"write acquisition.turn.angles: {written} (or in rad, if they are right)")]
