"""Volumes of other programs as crystals: a complex density, or its amplitude."""

import logging
from dataclasses import replace

import numpy as np

from ...errors import DataError, Diagnostic
from ...sampled import Quantity
from ...volume import Volume

_log = logging.getLogger(__name__)
_NAMES = ("density", "amplitude")


def recognizes(volume: Volume) -> bool:
    """Whether a volume holds a density or an amplitude, by its name or as its only, complex quantity."""
    is_complex = len(volume.values) == 1 and volume.main.dtype.kind == "c"
    return is_complex or any(name in volume.values for name in _NAMES)


def identify(volume: Volume) -> Volume:
    """Name the density or the amplitude of a volume.

    Raises:
        DataError: If real numbers are negative, and thus no amplitude.
    """
    if any(name in volume.values for name in _NAMES):
        return volume
    values = volume.main
    if values.dtype.kind == "c":
        quantity = Quantity("density", "1", "complex density")
    else:
        low = float(np.min(values))
        if low < 0:
            message = f"holds numbers from {low:.4g}, and the amplitude of a crystal is never negative"
            raise DataError(Diagnostic("", message, "save the amplitude, or the complex density"))
        _log.warning("real numbers are taken as the amplitude of the crystal")
        quantity = Quantity("amplitude", "1", "amplitude of the density")
    return replace(volume, values={quantity.name: values}, quantities=(quantity,))
