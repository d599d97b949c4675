"""What an acquisition of a cell holds. The order matters: the first arrays set the sizes of the axes."""

from dataclasses import replace

from ...acquisition import Entry
from ...config.source import Source
from ...io.resolve import ComplexSource, SourceMap
from .config_acquisition import CellAcquisition, ComplexParts

_IMAGE = (("view", "y", "x"),)
_IMAGE_OR_COMMON = (("y", "x"), ("view", "y", "x"))
_SCALAR: tuple[tuple[str, ...], ...] = ((),)

SCHEMA: tuple[Entry, ...] = (
    Entry(
        "images",
        "/measurement/images",
        _IMAGE,
        "counts",
        "intensity images",
        choice="measurement",
        at_least=0,
    ),
    Entry(
        "field",
        "/measurement/field",
        _IMAGE,
        "1",
        "complex field, instead of images",
        choice="measurement",
        dtype="complex",
    ),
    Entry(
        "background",
        "/measurement/background",
        _IMAGE_OR_COMMON,
        "counts",
        "the same without the specimen",
        at_least=0,
    ),
    Entry(
        "mask",
        "/measurement/mask",
        _IMAGE_OR_COMMON,
        "1",
        "bad pixels; 0 is good",
        dtype="integer",
        hides=True,
    ),
    Entry(
        "wavelength",
        "/instrument/wavelength",
        _SCALAR,
        "m",
        "vacuum wavelength",
        required=True,
        positive=True,
    ),
    Entry(
        "numerical_aperture",
        "/instrument/numerical_aperture",
        _SCALAR,
        "1",
        "numerical aperture of the objective",
        required=True,
        positive=True,
    ),
    Entry(
        "medium_index",
        "/instrument/medium_index",
        _SCALAR,
        "1",
        "refractive index around the specimen",
        required=True,
        at_least=1,
    ),
    Entry(
        "pixel_size",
        "/instrument/pixel_size",
        (("2",),),
        "m",
        "pixel (y, x) in the specimen",
        required=True,
        positive=True,
    ),
    Entry(
        "illumination_na",
        "/instrument/illumination_na",
        (("view", "2"),),
        "1",
        "n sin θ of the light along (y, x), one direction a view",
        choice="illumination",
    ),
    Entry(
        "source_na",
        "/instrument/source_na",
        (("source", "2"),),
        "1",
        "n sin θ along (y, x) of each of several sources",
        choice="illumination",
    ),
    Entry(
        "pattern",
        "/instrument/pattern",
        (("view", "source"),),
        "1",
        "brightness of each source in each view",
        at_least=0,
    ),
    Entry(
        "rotation",
        "/instrument/rotation",
        (("view", "3", "3"),),
        "1",
        "turns the specimen's (z, y, x) into the laboratory's",
    ),
    Entry(
        "defocus",
        "/instrument/defocus",
        (("view",),),
        "m",
        "plane of focus along +z",
    ),
)

LIGHT = ("illumination_na", "source_na", "pattern")
LED_ROW_COL = Entry("led_grid.row_col", "/led_row_col", (("view", "2"),), "1", "LED of each view", required=True)
ANGLES = Entry("turn.angles", "/angle", (("view",),), "rad", "angle of each view", required=True)


def light_of(wanted: CellAcquisition) -> str:
    """How the light is described; ``auto`` if only the file can tell."""
    if wanted.illumination != "auto":
        return wanted.illumination
    return "led_grid" if wanted.led_grid else "ring" if wanted.ring else "auto"


def schema_for(wanted: CellAcquisition) -> list[Entry]:
    """List what to look for: not the file's own light where the config describes another."""
    light = light_of(wanted)
    by_light = {"auto": set(), "na": {"source_na", "pattern"}, "pattern": {"illumination_na"}}
    left_out = by_light.get(light, set(LIGHT)) | ({"rotation"} if wanted.turn else set())
    # Light that is not described at all is told with the ways to describe it in the config, not as a missing array.
    schema = [replace(e, choice="") if e.name in LIGHT else e for e in SCHEMA if e.name not in left_out]
    return [*schema, *([LED_ROW_COL] if light == "led_grid" else []), *([ANGLES] if wanted.turn else [])]


def names_for(wanted: CellAcquisition) -> SourceMap:
    """Give the config's source of each array."""
    names: dict[str, Source | ComplexSource | None] = {}
    for entry in SCHEMA:
        source = getattr(wanted, entry.name)
        parts = isinstance(source, ComplexParts)
        names[entry.name] = ComplexSource(source.real, source.imag, source.scale) if parts else source
    # Whoever names the field wants the field, though the file may hold images too; and the other way round.
    if is_named(wanted, "field") and not is_named(wanted, "images"):
        names["images"] = None
    elif is_named(wanted, "images") and not is_named(wanted, "field"):
        names["field"] = None
    if wanted.led_grid:
        names[LED_ROW_COL.name] = wanted.led_grid.row_col
    if wanted.turn:
        names[ANGLES.name] = wanted.turn.angles
    return names


def is_named(wanted: CellAcquisition, name: str) -> bool:
    """Whether the config gives an array another name than our own."""
    own = next(entry.path for entry in SCHEMA if entry.name == name)
    source = getattr(wanted, name)
    return source is not None and not (isinstance(source, Source) and source.path == own and not source.attribute)
