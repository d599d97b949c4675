"""Checks of a series of rocking curves, before anything is computed: one size, one geometry."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...acquisition import Acquisition
from ...errors import DataError, Diagnostic
from .config import CrystalSettings
from .preprocess import binned_basis, crop_box_by_size

TOLERANCE = 1e-3
"""Relative difference of two reciprocal bases, and of two Bragg vectors, of one geometry."""


def require_series(settings: CrystalSettings, acquisitions: Sequence[Acquisition]) -> None:
    """Refuse rocking curves that cannot be one series.

    Raises:
        ConfigError: If the crop does not suit the data.
        DataError: If the sizes after the crop, or the geometries, differ.
    """
    first = acquisitions[0]
    if faults := [fault for own in acquisitions[1:] for fault in _differences(settings, own, first)]:
        raise DataError(*faults)


def _differences(settings: CrystalSettings, own: Acquisition, first: Acquisition) -> list[Diagnostic]:
    """List in what a curve differs from the first one."""
    faults = []
    shapes = [" x ".join(map(str, crop_box_by_size(settings, each).size)) for each in (own, first)]
    if shapes[0] != shapes[1]:
        message = f"has {shapes[0]} voxels (frame, y, x) after the crop, not {shapes[1]}"
        faults.append(Diagnostic(own.source, message, "set acquisition.crop to one size for all"))
    for name, value, expected in (
        ("reciprocal_basis", binned_basis(settings, own), binned_basis(settings, first)),
        ("bragg_vector", own.arrays.get("bragg_vector"), first.arrays.get("bragg_vector")),
    ):
        if value is None or expected is None:
            if value is not expected:
                message = f"{'lacks' if value is None else 'has'} {name}"
                faults.append(
                    Diagnostic(own.source, message, f"give it in all files, or in none; {first.source} is first")
                )
        elif np.linalg.norm(value - expected) > TOLERANCE * np.linalg.norm(expected):
            message = f"its {name} differs from that of {Path(first.source).name} by more than {TOLERANCE:g}"
            faults.append(Diagnostic(own.source, message, "a series has one geometry"))
    return faults
