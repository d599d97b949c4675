"""Physical faults of a cell's acquisition, and warnings."""

import logging
from dataclasses import replace

import numpy as np

from ...acquisition import Acquisition
from ...config.photon_energy import PLANCK_TIMES_LIGHT
from ...config.units import si_factor
from ...errors import Diagnostic
from .repeated_views import repetition_faults, repetition_warnings
from .schema import PATHS
from .view_selection import Levels, dark_field_warnings, list_numbers

logger = logging.getLogger(__name__)

_LONGEST_WAVE = 100e-6
_SHORTEST_WAVE = 1e-12
_SMALLEST_ENERGY = 0.01
"""[eV] Smallest number that may be meant as an energy."""
_LARGEST_PIXEL = 1e-3
_PLAUSIBLE_RATIO = 100
"""Largest ratio of pixel to wavelength; the smallest is a tenth of its inverse."""
_LEAST_BARE = 0.02
"""Smallest length that may be a bare number in micrometres; a smaller one has a wrong unit."""
_VIGNETTED = 0.98


def validate(acquisition: Acquisition) -> list[Diagnostic]:
    """Find values that no microscope can have.

    Args:
        acquisition: Arrays in SI; absent ones are not checked.

    Returns:
        Faults with their places and remedies.
    """
    lengths = _length_faults(acquisition)
    return [
        *lengths,
        *_aperture_faults(acquisition),
        *_light_faults(acquisition),
        *_rotation_faults(acquisition),
        *repetition_faults(acquisition),
    ]


def warnings_for(acquisition: Acquisition, levels: Levels | None) -> list[str]:
    """Describe values that are unusual, though perhaps right, in sentences for the log.

    Args:
        acquisition: Acquisition without faults.
        levels: Background of each view by `background_levels`.
    """
    warnings = repetition_warnings(acquisition)
    aperture = float(acquisition["numerical_aperture"])
    limit, pixel = float(acquisition["wavelength"]) / (2 * aperture), float(acquisition["pixel_size"].max())
    if pixel > limit:
        where = acquisition.place("pixel_size", PATHS)
        warnings.append(
            f"{where}: a pixel of {pixel * 1e9:.0f} nm samples the aperture {aperture:g} "
            f"too coarsely: at most {limit * 1e9:.0f} nm holds all that the objective passes"
        )
    return [*warnings, *_light_warnings(acquisition, aperture), *dark_field_warnings(acquisition, levels)]


def _light_warnings(acquisition: Acquisition, aperture: float) -> list[str]:
    """Describe directions of light at the edge of the aperture, and outside it."""
    name = "source_na" if "pattern" in acquisition else "illumination_na"
    where, relative = acquisition.place(name, PATHS), np.hypot(*acquisition[name].T) / aperture
    outer, dark = np.flatnonzero(np.abs(relative - 1) < 1 - _VIGNETTED), np.flatnonzero(relative > 1)
    warnings = []
    if outer.size:
        warnings.append(
            f"{where}: {outer.size} of {len(relative)} directions of light lie at the edge of the aperture "
            f"{aperture:g}, and may be vignetted: {list_numbers(outer)}; those that look it are left out unless "
            "acquisition.vignetted is keep"
        )
    if dark.size == len(relative):
        warnings.append(
            f"{where}: all directions of light lie outside the aperture {aperture:g}, the least at "
            f"{float(relative.min()) * aperture:.4g}: dark fields alone show no scale; check the units of the light"
        )
    elif dark.size and "images" in acquisition:
        warnings.append(
            f"{where}: {dark.size} of {len(relative)} directions of light lie outside the aperture {aperture:g}: dark "
            f"fields, on one scale with the bright fields: {list_numbers(dark)}"
        )
    return warnings


def _number(acquisition: Acquisition, name: str) -> float | None:
    """Get a scalar, or None if it is absent or has a fault of its own."""
    if name not in acquisition or not acquisition[name].size:
        return None
    value = float(acquisition[name].max())
    return value if np.isfinite(value) and value > 0 else None


def _length_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """Find lengths in micrometres or nanometres instead of metres, the most frequent error of the field."""
    wavelength, pixel = _number(acquisition, "wavelength"), _number(acquisition, "pixel_size")
    faults = []
    wave_fault = wavelength is not None and not _SHORTEST_WAVE < wavelength < _LONGEST_WAVE
    if wavelength is not None and wave_fault:
        fault = _unit_fault(acquisition, "wavelength", wavelength, "no wavelength of light", 50)
        faults.append(_or_energy(acquisition, fault, wavelength))
    if pixel is None:
        return faults
    if pixel > _LARGEST_PIXEL:
        faults.append(_unit_fault(acquisition, "pixel_size", pixel, "too large for a pixel in the specimen", 20))
    elif wavelength is not None and not wave_fault:
        ratio = pixel / wavelength
        if not 0.1 / _PLAUSIBLE_RATIO < ratio < _PLAUSIBLE_RATIO:
            message = f"{pixel:g} m is {ratio:.3g} wavelengths of {wavelength:g} m, which is no pixel in the specimen"
            remedy = "divide the camera's pixel by the magnification, and check the units of both"
            faults.append(Diagnostic(acquisition.place("pixel_size", PATHS), message, remedy))
    return faults


def _unit_fault(acquisition: Acquisition, name: str, value: float, what: str, nanometres_from: float) -> Diagnostic:
    """Name the unit that a length lacks, or that is a thousand times too large."""
    micrometres, nanometres = ("micrometres", "um", 1e6), ("nanometres", "nm", 1e9)
    if value < _LEAST_BARE:
        unit, short, number = nanometres if value < 1e-3 else micrometres
        guess, remedy = f"{unit} with a unit a thousand times too large", "write"
        value, given = value / 1000 * number, value
    else:
        unit, short, _ = micrometres if value < nanometres_from else nanometres
        guess, remedy, given = unit, "write its units attribute, or write", value
    remedy += f" acquisition.{name}: {acquisition.in_unit(name, value, short)}"
    if value != given:
        remedy += f"; if {given:g} itself stands there, without a unit, write mm for {short}"
    return Diagnostic(acquisition.place(name, PATHS), f"{given:g} m is {what}; it looks like {guess}", remedy)


def _or_energy(acquisition: Acquisition, fault: Diagnostic, value: float) -> Diagnostic:
    """Name the wavelength that a number would give as the energy of a photon, where that may be meant."""
    unit = "eV" if value > _SMALLEST_ENERGY else "J"
    metres = PLANCK_TIMES_LIGHT / (value * si_factor(unit))
    if not _SHORTEST_WAVE < metres < _LONGEST_WAVE:
        return fault
    message = f"{fault.message}, or an energy in {unit}, of {metres * 1e9:.5g} nm"
    remedy = f"{fault.remedy} or {acquisition.in_unit('wavelength', value, unit)}"
    return replace(fault, message=message, remedy=remedy)


def _aperture_faults(acquisition: Acquisition) -> list[Diagnostic]:
    aperture, medium = _number(acquisition, "numerical_aperture"), _number(acquisition, "medium_index")
    if medium is None:
        return []
    faults = []
    if aperture is not None and aperture > medium:
        message = f"the numerical aperture {aperture:g} exceeds the medium's index {medium:g}"
        remedy = "light of that angle does not travel in the medium: check both numbers; where the immersion is denser "
        remedy += f"than the medium, give what passes the medium: acquisition.numerical_aperture: {medium:g}"
        faults.append(Diagnostic(acquisition.place("numerical_aperture", PATHS), message, remedy))
    for name in ("illumination_na", "source_na"):
        if name not in acquisition:
            continue
        tilt = np.hypot(*acquisition[name].T)
        beyond = np.flatnonzero(tilt >= medium)
        if beyond.size:
            message = (
                f"{beyond.size} of {len(tilt)} directions of light exceed the medium's index {medium:g}: "
                f"the first is {name}[{beyond[0]}] with |na| = {tilt[beyond[0]]:g}"
            )
            remedy = "apertures are n·sin θ, not angles nor cycles per metre"
            faults.append(Diagnostic(acquisition.place(name, PATHS), message, remedy))
    return faults


def _light_faults(acquisition: Acquisition) -> list[Diagnostic]:
    faults = []
    for one, other in (("source_na", "pattern"), ("pattern", "source_na")):
        if one in acquisition and other not in acquisition:
            remedy = f"give acquisition.{other} as well, or neither"
            faults.append(Diagnostic(acquisition.place(one, PATHS), f"{one} needs {other} beside it", remedy))
    if "pattern" in acquisition:
        dark = np.flatnonzero(~(acquisition["pattern"].sum(axis=1) > 0))
        if dark.size:
            message = f"no source shines in view {dark[0]}: its row of the pattern sums to 0"
            faults.append(
                Diagnostic(acquisition.place("pattern", PATHS), message, "leave such views out with acquisition.views")
            )
    if "background" in acquisition and not (acquisition["background"] > 0).any():
        message = "the background is 0 everywhere: nothing can be divided by it"
        faults.append(Diagnostic(acquisition.place("background", PATHS), message, "set acquisition.background: null"))
    if "images" in acquisition:
        dark = np.flatnonzero(~(acquisition["images"].max(axis=(1, 2), initial=0) > 0) & _is_bright(acquisition))
        if dark.size:
            message = f"view {dark[0]} of those used is dark: no pixel is above 0 ({dark.size} such views)"
            faults.append(
                Diagnostic(acquisition.place("images", PATHS), message, "leave such views out with acquisition.views")
            )
    return faults


def _is_bright(acquisition: Acquisition) -> np.ndarray:
    """Whether light comes through the pupil, by view; an empty dark field is a measurement."""
    name = "illumination_na"
    if name not in acquisition or len(acquisition[name]) != len(acquisition["images"]):
        return np.ones(len(acquisition["images"]), bool)
    aperture = _number(acquisition, "numerical_aperture") or np.inf
    return np.asarray(np.hypot(*acquisition[name].T) <= aperture)


def _rotation_faults(acquisition: Acquisition) -> list[Diagnostic]:
    if "rotation" not in acquisition:
        return []
    matrices = acquisition["rotation"]
    error = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0)
    bad = np.flatnonzero(~(error < 1e-3) | ~(np.linalg.det(np.nan_to_num(matrices)) > 0))
    if not bad.size:
        return []
    message = (
        f"rotation[{bad[0]}] is no rotation: its rows are not orthonormal and right-handed ({bad.size} such views)"
    )
    return [Diagnostic(acquisition.place("rotation", PATHS), message, "rows and columns are in the order (z, y, x)")]
