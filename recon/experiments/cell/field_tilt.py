"""Tilt of complex fields: the phase exp(2πi na·r/λ) of their light, which the border of an image shows.

A hologram that was divided by that of an empty field has lost it. Unlike intensities, fields tell the direction of
their light by themselves: a description that contradicts it is a fault.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Complex, Float, Int

from ...acquisition import Acquisition
from ...errors import Diagnostic
from .camera import border_pixels, good_pixels
from .config_acquisition import CellAcquisition
from .illumination import incident_wave
from .light_description import AXES, Description, settings_of
from .light_names import ORIENTATIONS
from .schema import PATHS
from .view_selection import list_numbers

_LEAST_CYCLES = 1.5
"""Cycles of the tilt across an image from which a border shows it."""
_FEWEST_VIEWS, _MOST_VIEWS = 3, 16
"""Tilted views that are compared."""
_LEAST_AMPLITUDE = 1e-3
"""Amplitude of a field without the specimen, over its median, below which a pixel of it is dead."""
_CLEAR = 0.5
"""Share of the border's amplitude in one plane wave from which that wave is the light."""


def restore_tilt(acquisition: Acquisition, config: CellAcquisition) -> Acquisition:
    """Divide fields by those without the specimen, if there are any, and multiply bare ones by their plane waves.

    Returns:
        Fields with the tilt of their light; without ``empty_field``.
    """
    arrays = dict(acquisition.arrays)
    empty = arrays.pop("empty_field", None)
    if "field" not in arrays or (empty is None and config.field_tilt == "included"):
        return replace(acquisition, arrays=arrays)
    field = arrays["field"]
    relative = field if empty is None else _divide(field, empty)
    wave = incident_wave(acquisition) if "illumination_na" in acquisition else np.complex64(1)
    arrays["field"] = (relative * wave).astype(field.dtype)
    return replace(acquisition, arrays=arrays)


def _divide(
    field: Complex[np.ndarray, "view y x"], empty: Complex[np.ndarray, "*some y x"]
) -> Complex[np.ndarray, "view y x"]:
    """Divide by fields without the specimen, whose dead pixels would make infinite ones."""
    amplitude = np.abs(empty)
    is_lit = amplitude > _LEAST_AMPLITUDE * np.median(amplitude)
    return np.asarray(np.where(is_lit, field / np.where(is_lit, empty, 1), 1))


def empty_field_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """Find a field without the specimen by which no field can be divided.

    It belongs to intensities, is dark, or has a tilt that the fields have not, or lacks theirs: the quotient of both
    then has a tilt, which shows at its border also where the phase of the optics hides it in the fields.
    """
    if "empty_field" not in acquisition:
        return []
    where, empty = acquisition.place("empty_field", PATHS), acquisition["empty_field"]
    if "field" not in acquisition:
        message = "complex fields are divided by an empty field, and the measurement is of intensities"
        return [Diagnostic(where, message, "name images of the empty field as acquisition.background")]
    levels = np.atleast_1d(np.median(np.abs(empty), axis=(-2, -1)))
    dark = np.flatnonzero(levels <= _LEAST_AMPLITUDE * levels.max())
    if dark.size:
        views = f" in views {list_numbers(dark)}" if len(levels) > 1 else ""
        message = f"the field without the specimen is dark in half of its pixels or more{views}"
        return [Diagnostic(where, message, "name the field of the light alone, or leave out acquisition.empty_field")]
    arrays = {**acquisition.arrays, "field": _divide(acquisition["field"], empty)}
    shares = _shares_of_tilts(replace(acquisition, arrays=arrays))
    if not shares or max(shares[:-1]) < max(_CLEAR, 2 * shares[-1]):
        return []
    message = "divided by the field without the specimen, the fields still have a tilt: one of both includes that of "
    message += f"the light, and the other does not (a tilt explains {max(shares[:-1]):.0%} of the border)"
    remedy = "name an empty field for each view, under the same light; or fields and an empty field that are both "
    return [Diagnostic(where, message, f"{remedy}without the tilt, with acquisition.field_tilt: removed")]


def tilt_faults(acquisition: Acquisition, config: CellAcquisition) -> list[Diagnostic]:
    """Find fields whose border shows another tilt than the described one.

    Args:
        acquisition: Fields as the file has them, and the described light. Fields without the specimen, one for each
            view, show the tilt best.
        config: The config's section.
    """
    if acquisition.arrays.get("empty_field", np.zeros(0)).ndim == 3:
        places = {**acquisition.places, "field": acquisition.place("empty_field", PATHS)}
        arrays = {**acquisition.arrays, "field": acquisition["empty_field"]}
        acquisition = replace(acquisition, arrays=arrays, places=places)
    shares = _shares_of_tilts(acquisition)
    if not shares:
        return []
    described, best = len(AXES) if config.field_tilt == "removed" else 0, int(np.argmax(shares))
    if shares[best] < _CLEAR or shares[described] > shares[best] / 2:
        return []
    return [
        _fault(
            acquisition,
            config,
            best,
            f"{shares[best]:.0%} of the border, and the described one {shares[described]:.0%}",
        )
    ]


def _fault(acquisition: Acquisition, config: CellAcquisition, best: int, shares: str) -> Diagnostic:
    """Name the light that the border shows, and the settings that describe it."""
    where = acquisition.place("field", PATHS)
    if best == len(AXES):
        message = f"the fields do not include the tilt of their light: a constant explains {shares}"
        return Diagnostic(where, message, "set acquisition.field_tilt: removed")
    if not best:
        message = f"the fields include the tilt of their light: it explains {shares.partition(',')[0]}"
        return Diagnostic(where, message, "set acquisition.field_tilt: included")
    settings = settings_of(Description(best), config)
    if config.field_tilt == "removed":
        settings.append("acquisition.field_tilt=included")
    message = f"the fields have the tilt of another light: that {ORIENTATIONS[best]} explains {shares}"
    remedy = "set " + " ".join(settings)
    if ORIENTATIONS[best] == "turned by 180°":
        remedy += "; or negate the phases of the fields, if they are of the opposite sign (light exp(-ikz))"
    return Diagnostic(where, message, remedy)


def _shares_of_tilts(acquisition: Acquisition) -> list[float]:
    """Compute the share of the border in the tilt of the light in each orientation, and last in none.

    Returns:
        None of fields whose light is not described, or is tilted too little for a border to show it.
    """
    if not {"field", "illumination_na", "pixel_size", "wavelength"} <= acquisition.arrays.keys():
        return []
    field, light = acquisition["field"], acquisition["illumination_na"]
    if light.shape != (len(field), 2):
        return []
    cycles = np.abs(light) * np.array(field.shape[1:]) * acquisition["pixel_size"] / float(acquisition["wavelength"])
    tilted = np.flatnonzero(cycles.max(axis=1) > _LEAST_CYCLES)
    if len(tilted) < _FEWEST_VIEWS:
        return []
    tilted = tilted[:: -(-len(tilted) // _MOST_VIEWS)]
    lights = [light @ Description(orientation).matrix for orientation in range(len(AXES))]
    return [_border_share(acquisition, each, tilted) for each in (*lights, 0 * light)]


def _border_share(
    acquisition: Acquisition, light: Float[np.ndarray, "view 2"], views: Int[np.ndarray, " some"]
) -> float:
    """Compute the share of the border's amplitude in the plane wave of the light, the median of the views."""
    field, good = acquisition["field"][views], good_pixels(acquisition, "field")[views]
    arrays = {**acquisition.arrays, "field": field, "illumination_na": light[views]}
    wave = incident_wave(replace(acquisition, arrays=arrays))
    valid = good & border_pixels(field.shape[1:])
    part = np.where(valid, field * wave.conj(), 0).sum(axis=(1, 2))
    return float(np.median(np.abs(part) / np.maximum(np.where(valid, np.abs(field), 0).sum(axis=(1, 2)), 1e-30)))
