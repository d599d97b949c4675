"""Checks of a series of acquisitions of one cell, before anything is computed: one instrument, settings that hold."""

from collections.abc import Sequence

import numpy as np

from ...acquisition import Acquisition
from ...errors import ConfigError, DataError, Diagnostic
from .config import CellSettings
from .schema import measured_views

TOLERANCE = 1e-6
"""Relative difference of two numbers of one instrument."""
_SAME = ("pixel_size", "wavelength", "numerical_aperture", "medium_index")


def require_series(settings: CellSettings, acquisitions: Sequence[Acquisition]) -> None:
    """Refuse acquisitions that cannot be one series.

    Raises:
        ConfigError: If a setting holds for no series.
        DataError: If the acquisitions differ in size, instrument or sort.
    """
    faults = []
    if settings.fit.prior != "none":
        faults.append(Diagnostic("fit.prior", "a series takes no network's prior", "set fit.prior to none"))
    if settings.fit.tiles not in ("auto", "none"):
        faults.append(Diagnostic("fit.tiles", "a series is not fitted in tiles", "crop or bin the images"))
    if faults:
        raise ConfigError(*faults)
    if faults := [fault for own in acquisitions[1:] for fault in _differences(own, acquisitions[0])]:
        raise DataError(*faults)


def _differences(own: Acquisition, first: Acquisition) -> list[Diagnostic]:
    """List in what an acquisition differs from the first one."""
    faults, remedy = [], f"all acquisitions of a series have the same as {first.source}"
    for name, what in (("field", "complex fields"), ("rotation", "a turning specimen")):
        if (name in own) != (name in first):
            faults.append(Diagnostic(own.source, f"{'has' if name in own else 'lacks'} {what}", remedy))
    sizes = [" x ".join(map(str, measured_views(each).shape[1:])) for each in (own, first)]
    if sizes[0] != sizes[1]:
        faults.append(Diagnostic(own.source, f"has images of {sizes[0]} pixels, not {sizes[1]}", remedy))
    for name in _SAME:
        value, expected = np.asarray(own[name], float), np.asarray(first[name], float)
        if not np.allclose(value, expected, rtol=TOLERANCE, atol=0):
            faults.append(Diagnostic(own.place(name), f"{name} is {_text(value)}, not {_text(expected)}", remedy))
    return faults


def _text(value: np.ndarray) -> str:
    return ", ".join(f"{number:.6g}" for number in np.ravel(value))
