"""Volumes of other programs as refractive indices: absolute, as the difference from the medium, or scaled."""

import logging
from dataclasses import replace

import numpy as np

from ...errors import ConfigError, DataError, Diagnostic
from ...volume import MEDIUM_INDEX, Volume
from .schema import REFRACTIVE_INDEX

_log = logging.getLogger(__name__)
RANGE = (1.0, 2.5)
"""Refractive indices of cells and their media, from air to glass."""
_RECOGNIZED = (1.25, 1.7)
"""Refractive indices by which a volume without a name is known as a cell in water or oil."""
_LARGEST_DIFFERENCE = 0.5
"""Largest difference from the medium."""
_SCALES = (1e4, 1e3)
"""Factors by which whole numbers stand for an index."""


def recognizes(volume: Volume) -> bool:
    """Whether a volume holds a refractive index, by its name or, if it is the only quantity, by its fractions."""
    if REFRACTIVE_INDEX.name in volume.values:
        return True
    if len(volume.values) > 1 or volume.main.dtype.kind != "f":
        return False
    low, high = float(volume.main.min()), float(volume.main.max())
    return _RECOGNIZED[0] <= low < high <= _RECOGNIZED[1]


def identify(volume: Volume) -> Volume:
    """Name the refractive index of a volume; a difference is added to the index of the medium, if that is known.

    Raises:
        ConfigError: If the numbers are a difference, and the medium is unknown.
        DataError: If the numbers are no refractive index.
    """
    if REFRACTIVE_INDEX.name in volume.values:
        return volume
    values = volume.main
    low, high = _ends(values)
    if low >= RANGE[0] and high <= RANGE[1] and low < high:
        lacks = "" if MEDIUM_INDEX in volume.attributes else "; --medium-index 1.337 gives that of the medium"
        _log.warning("numbers from %.4g to %.4g are taken as the refractive index itself%s", low, high, lacks)
        return _named(volume, values)
    if -_LARGEST_DIFFERENCE <= low < high <= _LARGEST_DIFFERENCE:
        if MEDIUM_INDEX not in volume.attributes:
            message = f"holds numbers from {low:.4g} to {high:.4g}: an index relative to the medium, which is unknown"
            raise ConfigError(Diagnostic("", message, "give the index of the medium, e.g. --medium-index 1.337"))
        medium = float(volume.attributes[MEDIUM_INDEX])
        _log.warning("numbers from %.4g to %.4g are taken as differences from the medium, %g", low, high, medium)
        return _named(volume, medium + np.asarray(values, np.float64))
    for scale in _SCALES:
        if values.dtype.kind in "iu" and RANGE[0] <= low / scale < high / scale <= RANGE[1]:
            _log.warning("whole numbers from %.0f to %.0f are taken as %g times the refractive index", low, high, scale)
            return _named(volume, np.asarray(values, np.float64) / scale)
    message = f"holds numbers from {low:.4g} to {high:.4g}, which are no refractive index"
    remedy = "save the index itself (about 1.33 to 1.6), or its difference from the medium"
    raise DataError(Diagnostic("", message, remedy))


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest of the finite numbers.

    Raises:
        DataError: If they are complex, or none is finite.
    """
    if values.dtype.kind not in "iuf":
        raise DataError(Diagnostic("", f"holds {values.dtype}, which is no refractive index", "save real numbers"))
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise DataError(Diagnostic("", "holds no finite number", "export it again"))
    return float(finite.min()), float(finite.max())


def _named(volume: Volume, values: np.ndarray) -> Volume:
    return replace(volume, values={REFRACTIVE_INDEX.name: values}, quantities=(REFRACTIVE_INDEX,))
