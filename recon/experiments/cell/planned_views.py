"""Acquisition of a cell as a config plans it: instrument, light, focus and turns, with images that hold nothing.

Numbers that stand in the ``acquisition:`` section go before those of ``simulate:``; a description of light there
(``ring``, ``condenser``, ``led_grid``, ``turn``, ``illumination: normal``) replaces that of ``simulate:``. Without jax.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from ....physics.optics.microscope import Microscope
from ...acquisition import Acquisition
from ...config.source import Source
from ...config.value_types import view_indices
from ...errors import ConfigError, Diagnostic
from ..plan import describe_origin, literal_of
from .config import CellSettings
from .config_acquisition import CellAcquisition
from .described_light import resolve_illumination
from .illumination import rotation_matrices
from .schema import ANGLES, HALVES, LED_HEIGHT, LED_PITCH, LED_POSITIONS, LED_ROW_COL, LIGHT, illumination_mode
from .simulated_views import instrument_arrays, simulated_views
from .validate import validate

_NUMBERS = ("wavelength", "numerical_aperture", "medium_index", "pixel_size")
_DESCRIPTIONS = ("ring", "condenser", "led_grid", "normal")
_HALVES = 4
"""Number of views of a condenser's halves without angles."""


def planned_acquisition(settings: CellSettings) -> Acquisition:
    """Build the acquisition that a config describes, without a file.

    Raises:
        ConfigError: If a part of it is to be read from a file, or no microscope is like it.
    """
    section, planned = settings.acquisition, settings.simulate
    microscope = Microscope(planned.wavelength, planned.numerical_aperture, planned.medium_index, planned.pixel_size)
    views = simulated_views(planned, np.random.default_rng([settings.seed, 1]))
    turn = planned.turn
    rotations = None if views.angles is None or turn is None else rotation_matrices(views.angles, turn.axis)
    arrays = instrument_arrays(microscope, views, rotations)
    own = {name: value for name in _NUMBERS if (value := literal_of(getattr(section, name))) is not None}
    arrays |= own
    places = {name: f"{'acquisition' if name in own else 'simulate'}.{name}" for name in _NUMBERS}
    places |= dict.fromkeys((*LIGHT, "rotation"), "simulate.illumination")
    arrays["pixel_size"] = np.broadcast_to(arrays["pixel_size"], 2)
    count, described = _described(section)
    if count:
        arrays = {name: array for name, array in arrays.items() if name not in (*LIGHT, "rotation")} | described
        arrays["defocus"] = np.zeros(count)
        places |= {name: f"acquisition.{name}" for name in described}
    count = count or len(views.defocus)
    arrays |= _literal_views(section, count)
    arrays["images"] = np.broadcast_to(np.float32(1), (count, *_pixels(settings)))
    places = {name: place for name, place in places.items() if name in arrays}
    acquisition = Acquisition("cell", arrays, "the config", places=places)
    acquisition, faults = resolve_illumination(acquisition, section, list(range(count)), count)
    faults += validate(acquisition)
    if faults:
        raise ConfigError(*faults)
    return _selected(acquisition, section, count)


def origin(settings: CellSettings) -> str:
    """Describe in a phrase the sections of a config that a planned acquisition comes from."""
    section = settings.acquisition
    own = [name for name in _NUMBERS if literal_of(getattr(section, name)) is not None]
    mode = illumination_mode(section)
    own += [mode if mode != "normal" else "illumination"] if mode in _DESCRIPTIONS else []
    own += ["turn"] if section.turn else []
    return describe_origin(own)


def _described(section: CellAcquisition) -> tuple[int, dict[str, np.ndarray]]:
    """Count the views of light or turns that the ``acquisition:`` section describes, and collect their arrays.

    Returns:
        The number of views, 0 if it describes none; and the arrays.
    """
    mode, arrays = illumination_mode(section), {}
    for name in LIGHT:
        if (value := literal_of(getattr(section, name))) is not None:
            arrays[name] = value
    counts = [len(arrays[name]) for name in ("illumination_na", "pattern") if name in arrays]
    focus = literal_of(section.defocus)
    stack = 1 if focus is None or focus.ndim == 0 else len(focus)
    if mode == "ring" and section.ring:
        counts.append(section.ring.count)
    elif mode == "condenser" and section.condenser:
        if section.condenser.angles is not None:
            arrays[HALVES.name] = _required(section.condenser.angles, "acquisition.condenser.angles")
        halves = len(arrays[HALVES.name]) if HALVES.name in arrays else _HALVES
        counts.append(halves if section.condenser.shape == "half" else stack)
    elif mode == "led_grid" and section.led_grid:
        grid = section.led_grid
        entry = LED_POSITIONS if grid.positions else LED_ROW_COL
        arrays[entry.name] = _required(grid.positions or grid.row_col, f"acquisition.{entry.name}")
        for entry_of_distance, source in ((LED_PITCH, grid.pitch), (LED_HEIGHT, grid.height)):
            arrays[entry_of_distance.name] = _required(source, f"acquisition.{entry_of_distance.name}")
        counts.append(len(arrays[entry.name]))
    elif mode == "normal":
        counts.append(stack)
    if section.turn:
        arrays[ANGLES.name] = _required(section.turn.angles, "acquisition.turn.angles")
        counts = [len(arrays[ANGLES.name])]
        if not counts or (mode == "auto" and not set(arrays) & set(LIGHT)):
            arrays["illumination_na"] = np.zeros((counts[0], 2))
    return (counts[0] if counts else 0), arrays


def _literal_views(section: CellAcquisition, count: int) -> dict[str, np.ndarray]:
    """Collect the focus of each view that stands in the ``acquisition:`` section."""
    if section.focus_step:
        return {"defocus": (np.arange(count) - count // 2) * float(section.focus_step)}
    focus = literal_of(section.defocus)
    if focus is None:
        return {}
    if focus.ndim and len(focus) != count:
        remedy = "give one position of the focal plane for each view"
        message = f"{len(focus)} positions of the focal plane, and {count} views"
        raise ConfigError(Diagnostic("acquisition.defocus", message, remedy))
    return {"defocus": np.broadcast_to(focus, count)}


def _required(source: Source, key: str) -> np.ndarray:
    """Return the value of a source in the config.

    Raises:
        ConfigError: If it is a place in a file.
    """
    value = literal_of(source)
    if value is None:
        remedy = "name the ACQUISITION too, or give the numbers themselves"
        raise ConfigError(Diagnostic(key, f"{source} is read from a file, and none is given", remedy))
    return value


def _pixels(settings: CellSettings) -> tuple[int, int]:
    """Size (y, x) of the images in pixels of the camera, after the config's crop."""
    height, width = settings.acquisition.crop or settings.simulate.shape
    return height, width


def _selected(acquisition: Acquisition, section: CellAcquisition, count: int) -> Acquisition:
    """Select views and bin pixels as the config says.

    Raises:
        ConfigError: If there are no such views.
    """
    arrays: dict[str, Any] = dict(acquisition.arrays)
    try:
        chosen = view_indices(section.views, count)
    except ValueError as error:
        raise ConfigError(Diagnostic("acquisition.views", str(error), f"{count} views are planned")) from error
    for name in ("images", "illumination_na", "pattern", "rotation", "defocus"):
        if name in arrays and len(chosen) < count:
            arrays[name] = arrays[name][chosen]
    height, width = (n // section.bin for n in arrays["images"].shape[1:])
    arrays["images"] = np.broadcast_to(np.float32(1), (len(chosen), height, width))
    arrays["pixel_size"] = arrays["pixel_size"] * section.bin
    return replace(acquisition, arrays=arrays)
