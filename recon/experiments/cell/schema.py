"""Arrays and quantities of a cell, and the sources that a config gives for the arrays."""

from dataclasses import replace

import numpy as np

from ...acquisition import Acquisition
from ...config.entries import Entry, entries_of
from ...config.source import Source
from ...io.complex_source import ComplexSource
from ...io.lazy_arrays import PLANE_Z
from ...io.resolve import SourceMap
from ...sampled import Quantity
from .config_acquisition import CellAcquisition
from .config_field import ComplexParts
from .config_illumination import LedGrid, Turn

SCHEMA = entries_of(CellAcquisition)
PATHS = {entry.name: entry.path for entry in SCHEMA}
LIGHT = ("illumination_na", "source_na", "pattern")
_DIMENSIONS_BY_VIEW = {
    entry.name: {len(layout) for layout in entry.axes if layout[:1] == ("view",)} for entry in SCHEMA
}
"""Numbers of dimensions that each array has where its first axis is that of the views."""
(LED_ROW_COL,) = entries_of(LedGrid, "led_grid.")
LED_POSITIONS = Entry(
    "led_grid.positions", "/led_positions", (("view", "2"),), "m", "position of each view's LED", required=True
)
LED_PITCH, LED_HEIGHT = (
    Entry(f"led_grid.{name}", f"/led_{name}", ((),), "m", meaning, positive=True)
    for name, meaning in (("pitch", "distance between neighbouring LEDs"), ("height", "distance of the LEDs"))
)
HALVES = Entry("condenser.angles", "/condenser_angles", (("view",),), "rad", "direction of the half that shines")
(ANGLES,) = entries_of(Turn, "turn.")
PLANE_Z_ENTRY = Entry("plane_z", PLANE_Z, (("view",),), "m", "positions of the planes of focus in an image file")
REFRACTIVE_INDEX = Quantity("refractive_index", "1", "real part of the refractive index")
ABSORPTION = Quantity("absorption", "1", "imaginary part of the refractive index")
QUANTITIES = (REFRACTIVE_INDEX, ABSORPTION)
"""Quantities of a result."""


def measured_views(acquisition: Acquisition) -> np.ndarray:
    """Return the images (view, y, x), or else the complex fields."""
    return acquisition["images" if "images" in acquisition else "field"]


def arrays_by_view(acquisition: Acquisition) -> dict[str, np.ndarray]:
    """Collect the arrays that have one entry a view; a mask or a background of all views is none."""
    views = len(measured_views(acquisition))
    return {
        name: array
        for name, array in acquisition.arrays.items()
        if array.ndim in _DIMENSIONS_BY_VIEW.get(name, ()) and len(array) == views
    }


def illumination_mode(config: CellAcquisition) -> str:
    """Find the description of light that the config gives; ``auto`` if it leaves that to the file."""
    if config.illumination != "auto":
        return config.illumination
    return next((name for name in ("led_grid", "ring", "condenser") if getattr(config, name) is not None), "auto")


def select_entries(config: CellAcquisition) -> list[Entry]:
    """List the arrays to read: without the light of the file where the config describes another."""
    light = illumination_mode(config)
    by_light = {"auto": set(), "na": {"source_na", "pattern"}, "pattern": {"illumination_na"}}
    omitted = by_light.get(light, set(LIGHT)) | ({"rotation"} if config.turn else set())
    # Missing light is reported with the ways to describe it in the config, not as a missing array.
    schema = [replace(e, choice="") if e.name in LIGHT else e for e in SCHEMA if e.name not in omitted]
    planes = [] if config.defocus is None or has_custom_source(config, "defocus") else [PLANE_Z_ENTRY]
    described = [*planes]
    if light == "led_grid" and config.led_grid:
        described += [LED_POSITIONS if config.led_grid.positions else LED_ROW_COL, LED_PITCH, LED_HEIGHT]
    if light == "condenser" and config.condenser and config.condenser.angles:
        described.append(HALVES)
    return [*schema, *described, *([ANGLES] if config.turn else [])]


def select_sources(config: CellAcquisition) -> SourceMap:
    """Collect the config's source of each array."""
    names: dict[str, Source | ComplexSource | None] = {}
    for entry in SCHEMA:
        source = getattr(config, entry.name)
        names[entry.name] = _complex_source(source, config) if isinstance(source, ComplexParts) else source
    # A named field is read although the file may hold images too, and vice versa.
    if has_custom_source(config, "field") and not has_custom_source(config, "images"):
        names["images"] = None
    elif has_custom_source(config, "images") and not has_custom_source(config, "field"):
        names["field"] = None
    if config.led_grid:
        names[LED_ROW_COL.name] = config.led_grid.row_col
        names[LED_POSITIONS.name] = config.led_grid.positions
        names[LED_PITCH.name], names[LED_HEIGHT.name] = config.led_grid.pitch, config.led_grid.height
    if config.condenser:
        names[HALVES.name] = config.condenser.angles
    if config.turn:
        names[ANGLES.name] = config.turn.angles
    return names


def _complex_source(parts: ComplexParts, config: CellAcquisition) -> ComplexSource:
    wavelength = next(entry for entry in SCHEMA if entry.name == "wavelength")
    light = None if config.wavelength is None else (wavelength, config.wavelength)
    return ComplexSource(parts.sources, parts.scale, light)


def has_custom_source(config: CellAcquisition, name: str) -> bool:
    """Whether the config gives an array another source than its default path."""
    default = next(entry.path for entry in SCHEMA if entry.name == name)
    source = getattr(config, name)
    return source is not None and not (isinstance(source, Source) and source.is_default(default))
