"""Illumination: a laboratory's description of light and rotation turned into apertures and matrices.

Apertures are n·sin θ along the image's (y, x), y down and x right; light of aperture na has the field
exp(2πi na·r/λ). They are the same in air and in the medium, because flat interfaces keep transverse frequencies. Angles
in the plane of the image go from +x towards +y.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Complex, Float, Num

from ....physics.optics.microscope import Illumination, Microscope
from ...acquisition import Acquisition
from ...config.advice import quoted
from ...config.source import Source
from ...errors import Diagnostic
from ...io.axis_faults import order_hint
from ...io.image_folder import pattern_of_folder
from ...volume import centred_axis
from .condenser_light import condenser_light
from .config_acquisition import CellAcquisition
from .config_illumination import LedGrid, Turn
from .led_faults import led_faults
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

_DIRECTIONS = {"y": (1.0, 0.0), "-y": (-1.0, 0.0), "x": (0.0, 1.0), "-x": (0.0, -1.0)}


def led_grid_na(
    row_col: Num[np.ndarray, "view 2"],
    *,
    pitch: float,
    height: float,
    centre: tuple[float, float],
    row_axis: str = "y",
    column_axis: str = "x",
) -> Float[np.ndarray, "view 2"]:
    """Compute the apertures of the LEDs of a flat array.

    Args:
        row_col: Row and column of each view's LED.
        pitch: [m] Distance between neighbours.
        height: [m] Distance of the array from the specimen.
        centre: Row and column on the optical axis.
        row_axis: Direction (``y``, ``-y``, ``x``, ``-x``) in which the aperture grows with the row.
        column_axis: Direction in which the aperture grows with the column.

    Returns:
        sin θ in air along (y, x): position over distance.
    """
    offsets = (np.asarray(row_col, float) - np.asarray(centre, float)) * pitch
    return led_positions_na(offsets, height=height, row_axis=row_axis, column_axis=column_axis)


def led_positions_na(
    positions: Num[np.ndarray, "view 2"], *, height: float, row_axis: str = "y", column_axis: str = "x"
) -> Float[np.ndarray, "view 2"]:
    """Compute the apertures of LEDs in a plane.

    Args:
        positions: [m] Position of each view's LED along rows and columns, from the optical axis.
        height: [m] Distance of the plane from the specimen.
        row_axis: Direction (``y``, ``-y``, ``x``, ``-x``) in which the aperture grows with the row.
        column_axis: Direction in which the aperture grows with the column.

    Returns:
        sin θ in air along (y, x): position over distance.
    """
    distance = np.sqrt((positions**2).sum(axis=1, keepdims=True) + height**2)
    return np.asarray(positions / distance @ np.array([_DIRECTIONS[row_axis], _DIRECTIONS[column_axis]]))


def ring_na(
    views: int, *, na: float, count: int, start: float = 0.0, clockwise: bool = False
) -> Float[np.ndarray, "view 2"]:
    """Compute the apertures of evenly spaced directions on a cone.

    Args:
        views: Number of views, which take the first directions of the ring.
        na: Aperture of the ring.
        count: Directions on the whole ring.
        start: [rad] Angle of the first view, from +x towards +y.
        clockwise: Whether the views go from +x towards -y instead.

    Returns:
        Aperture (y, x) of each view.
    """
    turned = 2 * np.pi * np.arange(views) / count
    angle = start + (-turned if clockwise else turned)
    return na * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def rotation_matrices(
    angles: Float[np.ndarray, " view"], axis: str, *, reverse: bool = False
) -> Float[np.ndarray, "view 3 3"]:
    """Compute the matrices that rotate the specimen's (z, y, x) into the laboratory's.

    A growing angle turns right-handed about the axis, where x is right, y down and z along the light: +z goes to +x
    about y, +y to +z about x, +x to +y about z.

    Args:
        angles: [rad] Angle of each view.
        axis: ``z``, ``y`` or ``x``.
        reverse: Whether to negate the angles.
    """
    place = {"z": 0, "y": 1, "x": 2}
    # A quarter turn carries the axis start into the axis end.
    start, end = {"y": ("z", "x"), "x": ("y", "z"), "z": ("x", "y")}[axis]
    first, second = place[start], place[end]
    cosine, sine = np.cos(angles), np.sin(-angles if reverse else angles)
    turned = np.zeros((len(angles), 3, 3))
    turned[:, place[axis], place[axis]] = 1
    turned[:, first, first] = turned[:, second, second] = cosine
    turned[:, second, first] = sine
    turned[:, first, second] = -sine
    return turned


def microscope_of(acquisition: Acquisition) -> Microscope:
    """Build the microscope of an acquisition.

    Raises:
        InstrumentError: If its numbers are impossible.
    """
    y, x = (float(size) for size in acquisition["pixel_size"])
    return Microscope(
        wavelength=float(acquisition["wavelength"]),
        numerical_aperture=float(acquisition["numerical_aperture"]),
        medium_index=float(acquisition["medium_index"]),
        pixel_size=(y, x),
    )


def illumination_of(acquisition: Acquisition) -> Illumination:
    """Build the illumination of each view: one plane wave, or several sources with their brightness.

    Raises:
        InstrumentError: If a view is dark.
    """
    views = len(acquisition["images"] if "images" in acquisition else acquisition["field"])
    defocus = acquisition["defocus"] if "defocus" in acquisition else np.zeros(views)
    if "pattern" not in acquisition:
        return Illumination.from_directions(acquisition["illumination_na"], defocus)
    # A view needs only the sources that shine in it: half of a condenser, a few of many LEDs.
    pattern = acquisition["pattern"]
    most = max(1, int((pattern > 0).sum(axis=1).max(initial=0)))
    lit = np.sort(np.argsort(-pattern, axis=1, kind="stable")[:, :most], axis=1)
    return Illumination(acquisition["source_na"][lit], np.take_along_axis(pattern, lit, axis=1), defocus)


def incident_wave(acquisition: Acquisition) -> Complex[np.ndarray, "view y x"]:
    """Compute the plane wave exp(2πi na·r/λ) of each view at the pixels of its complex field."""
    shape = acquisition["field"].shape[1:]
    y, x = (centred_axis(n, float(d)) for n, d in zip(shape, acquisition["pixel_size"], strict=True))
    cycles = acquisition["illumination_na"] / float(acquisition["wavelength"])
    along_y, along_x = np.exp(2j * np.pi * cycles[:, :1] * y), np.exp(2j * np.pi * cycles[:, 1:] * x)
    return np.asarray(along_y[:, :, None] * along_x[:, None, :], np.complex64)


_MOST_TURNS = 2
"""Number of turns above which angles are taken for degrees."""


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
    row_col, positions, halves, angles = (
        arrays.pop(entry.name, None) for entry in (LED_ROW_COL, LED_POSITIONS, HALVES, ANGLES)
    )
    distances = {entry.name: arrays.pop(entry.name, None) for entry in (LED_PITCH, LED_HEIGHT)}
    light, faults = illumination_mode(config), _measurement_faults(acquisition)
    if "pattern" in arrays and arrays["pattern"].ndim == 1:
        arrays["pattern"] = np.tile(arrays["pattern"], (len(views), 1))
    if light == "led_grid" and config.led_grid and (row_col is not None or positions is not None):
        place = places[(LED_ROW_COL if positions is None else LED_POSITIONS).name]
        if all(distance is not None for distance in distances.values()):
            grid = _with_distances(config.led_grid, distances)
            arrays["illumination_na"], places["illumination_na"] = _leds_na(grid, row_col, positions), place
            faults += led_faults(row_col, positions, grid, place)
    elif light == "ring" and config.ring:
        ring = config.ring
        if count > ring.count:
            faults.append(_ring_fault(acquisition, ring.count, count))
        whole = ring_na(count, na=ring.na, count=ring.count, start=ring.start, clockwise=ring.clockwise)
        arrays["illumination_na"], places["illumination_na"] = whole[views], "acquisition.ring"
    elif light == "condenser" and config.condenser:
        described, light_faults = condenser_light(config.condenser, arrays, halves, views, count)
        arrays |= described
        places |= dict.fromkeys(described, "acquisition.condenser")
        faults += light_faults
    elif light == "normal":
        arrays["illumination_na"] = np.zeros((len(views), 2))
        places["illumination_na"] = "acquisition.illumination"
    elif "pattern" in arrays and "source_na" in arrays:
        arrays.pop("illumination_na", None)  # Sources with their pattern are the more complete description.
    else:
        faults += _missing_light_faults(acquisition, config)
    if config.turn and angles is not None:
        arrays["rotation"] = rotation_matrices(angles, config.turn.axis, reverse=config.turn.reverse)
        places["rotation"] = places[ANGLES.name]
        faults += _angle_faults(angles, config.turn, places["rotation"])
    return replace(acquisition, arrays=arrays, places=places), faults


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
    remedy = (
        "name it (acquisition.illumination_na: /path, n·sin θ along (y, x) of each view), or describe it by "
        "acquisition.led_grid, acquisition.ring, acquisition.condenser, or acquisition.illumination: normal"
    )
    if pattern := pattern_of_folder(Path(acquisition.source), ("row", "column")):
        remedy += f"; if the names of the files tell the LED, acquisition.images: '{pattern}' and acquisition.led_grid "
        remedy += "with its centre, pitch and height"
    return [Diagnostic(acquisition.source, "the direction of the light of each view is not described", remedy)]


def _angle_faults(angles: np.ndarray, turn: Turn, place: str) -> list[Diagnostic]:
    """Report angles so large that they look like degrees without a unit."""
    largest = float(np.abs(angles).max(initial=0))
    if turn.angles.unit or not largest > _MOST_TURNS * 2 * np.pi:
        return []
    written = quoted(str(turn.angles.in_unit("deg")))
    message = f"angles up to {largest:g} rad are more than {_MOST_TURNS} turns; they look like degrees"
    return [Diagnostic(place, message, f"write acquisition.turn.angles: {written} (or in rad, if they are right)")]
