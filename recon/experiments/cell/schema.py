"""Arrays and quantities of a cell, and the sources that a config gives for the arrays."""

from dataclasses import replace

from ...config.entries import Entry, entries_of
from ...config.source import Source
from ...io.resolve import ComplexSource, SourceMap
from ...sampled import Quantity
from .config_acquisition import CellAcquisition, ComplexParts, LedGrid, Turn

SCHEMA = entries_of(CellAcquisition)
LIGHT = ("illumination_na", "source_na", "pattern")
(LED_ROW_COL,) = entries_of(LedGrid, "led_grid.")
(ANGLES,) = entries_of(Turn, "turn.")
REFRACTIVE_INDEX = Quantity("refractive_index", "1", "real part of the refractive index")
ABSORPTION = Quantity("absorption", "1", "imaginary part of the refractive index")
QUANTITIES = (REFRACTIVE_INDEX, ABSORPTION)
"""Quantities of a result."""


def illumination_mode(wanted: CellAcquisition) -> str:
    """How the light is described; ``auto`` if only the file can tell."""
    if wanted.illumination != "auto":
        return wanted.illumination
    return "led_grid" if wanted.led_grid else "ring" if wanted.ring else "auto"


def select_entries(wanted: CellAcquisition) -> list[Entry]:
    """List what to look for: not the file's own light where the config describes another."""
    light = illumination_mode(wanted)
    by_light = {"auto": set(), "na": {"source_na", "pattern"}, "pattern": {"illumination_na"}}
    left_out = by_light.get(light, set(LIGHT)) | ({"rotation"} if wanted.turn else set())
    # Light that is not described at all is told with the ways to describe it in the config, not as a missing array.
    schema = [replace(e, choice="") if e.name in LIGHT else e for e in SCHEMA if e.name not in left_out]
    return [*schema, *([LED_ROW_COL] if light == "led_grid" else []), *([ANGLES] if wanted.turn else [])]


def select_sources(wanted: CellAcquisition) -> SourceMap:
    """Give the config's source of each array."""
    names: dict[str, Source | ComplexSource | None] = {}
    for entry in SCHEMA:
        source = getattr(wanted, entry.name)
        parts = isinstance(source, ComplexParts)
        names[entry.name] = ComplexSource(source.real, source.imag, source.scale) if parts else source
    # Whoever names the field wants the field, though the file may hold images too; and the other way round.
    if has_custom_source(wanted, "field") and not has_custom_source(wanted, "images"):
        names["images"] = None
    elif has_custom_source(wanted, "images") and not has_custom_source(wanted, "field"):
        names["field"] = None
    if wanted.led_grid:
        names[LED_ROW_COL.name] = wanted.led_grid.row_col
    if wanted.turn:
        names[ANGLES.name] = wanted.turn.angles
    return names


def has_custom_source(wanted: CellAcquisition, name: str) -> bool:
    """Whether the config gives an array another name than our own."""
    own = next(entry.path for entry in SCHEMA if entry.name == name)
    source = getattr(wanted, name)
    return source is not None and not (isinstance(source, Source) and source.path == own and not source.attribute)
