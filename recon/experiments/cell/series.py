"""Likelihoods of a series of acquisitions of one cell: one instrument, one box, and light that may differ."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import ConfigError, DataError, Diagnostic
from ...runs.context import RunContext
from .choices import Choices
from .geometry import Geometry
from .likelihood import CellLikelihood, likelihood

TOLERANCE = 1e-6
"""Relative difference of two numbers of one instrument."""
_SAME = ("pixel_size", "wavelength", "numerical_aperture", "medium_index")


def series_likelihoods(contexts: Sequence[RunContext]) -> list[CellLikelihood]:
    """Build the likelihoods, in the box that suits the light of all acquisitions.

    The choices that the config leaves open are made for the acquisition in the middle.

    Raises:
        ConfigError: If the physics that the config names does not hold for a measurement, or a setting for no series.
        DataError: If the acquisitions differ in size, instrument or sort.
        Stopped: If the run was asked to end early.
    """
    fit = contexts[0].config.fit
    if fit.prior != "none":
        raise ConfigError(Diagnostic("fit.prior", "a series takes no network's prior", "set fit.prior to none"))
    if fit.tiles not in ("auto", "none"):
        raise ConfigError(Diagnostic("fit.tiles", "a series is not fitted in tiles", "crop or bin the images"))
    parts = [likelihood(context.config, context.measurement) for context in contexts]
    if faults := _differences(parts):
        raise DataError(*faults)
    geometry = max((part.geometry for part in parts), key=_fineness)
    parts = [replace(part, geometry=geometry) for part in parts]
    middle = len(parts) // 2
    choices = Choices(parts[middle], contexts[middle])
    choices.make()
    chosen = choices.likelihood
    first = chosen.first_corrections
    return [
        replace(part.with_choices(absorbs=chosen.absorbs, sign=chosen.sign), first_corrections=first) for part in parts
    ]


def _fineness(geometry: Geometry) -> tuple[int, int]:
    """Order geometries by the number of samples of their boxes and of the waves around them."""
    return int(np.prod(geometry.lattice.shape)), int(np.prod(geometry.padded.shape))


def _differences(parts: Sequence[CellLikelihood]) -> list[Diagnostic]:
    """List in what the acquisitions differ from the first one."""
    first, faults = parts[0].acquisition, []
    for part in parts[1:]:
        own = part.acquisition
        remedy = f"all acquisitions of a series have the same as {first.source}"
        if part.measured.shape[1:] != parts[0].measured.shape[1:]:
            sizes = [" x ".join(map(str, each.measured.shape[1:])) for each in (part, parts[0])]
            faults.append(Diagnostic(own.source, f"has images of {sizes[0]} pixels, not {sizes[1]}", remedy))
        for name in _SAME:
            value, expected = np.asarray(own[name], float), np.asarray(first[name], float)
            if not np.allclose(value, expected, rtol=TOLERANCE, atol=0):
                message = f"{name} is {_text(value)}, not {_text(expected)}"
                faults.append(Diagnostic(own.place(name), message, remedy))
        for name, what in (("field", "complex fields"), ("rotation", "a turning specimen")):
            if (name in own) != (name in first):
                faults.append(Diagnostic(own.source, f"{'has' if name in own else 'lacks'} {what}", remedy))
    return faults


def _text(value: np.ndarray) -> str:
    return ", ".join(f"{number:.6g}" for number in np.ravel(value))
