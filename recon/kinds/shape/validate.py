"""What no acquisition of cells' sections can be, and what is worth a warning."""

import numpy as np

from ...acquisition.acquisition import Acquisition
from ...errors import Fault
from .schema import PATHS

_LARGEST_VOXEL, _SMALLEST_VOXEL = 1e-4, 1e-9
_AGREES = 0.9
"""Overlap from which a truth's middle section is its mask."""


def place(acquisition: Acquisition, name: str) -> str:
    """Say where an array stands, for messages."""
    return acquisition.places.get(name) or f"{acquisition.source}:{PATHS.get(name, name)}"


def validate(acquisition: Acquisition) -> list[Fault]:
    """Find what cannot be.

    Args:
        acquisition: Arrays in SI. What is absent is not checked.
    """
    faults: list[Fault] = []
    if "mask" in acquisition:
        names = _names(acquisition)
        for index in np.flatnonzero(~(acquisition["mask"] > 0.5).any(axis=(1, 2))):
            message = f"the mask of {names[index]} is empty"
            faults.append(Fault(place(acquisition, "mask"), message, "leave it out with acquisition.cells"))
    if "voxel_size" in acquisition:
        voxel = acquisition["voxel_size"]
        if not ((voxel > _SMALLEST_VOXEL) & (voxel < _LARGEST_VOXEL)).all():
            shown = ", ".join(f"{v:g}" for v in voxel)
            message = f"a voxel of {shown} m is none of a cell"
            remedy = "give it a unit, as acquisition.voxel_size: ['0.2 um', '0.1 um', '0.1 um'] (z, y, x)"
            faults.append(Fault(place(acquisition, "voxel_size"), message, remedy))
    if acquisition.truth is not None and "images" in acquisition:
        held, cells = acquisition.truth.main.shape, acquisition["images"].shape
        if len(held) != 5 or held[0] != cells[0]:
            message = f"the truth has the shape {held}, and there are {cells[0]} cells"
            faults.append(Fault(f"{acquisition.source}:/truth", message, "its axes are (cell, draw, z, y, x)"))
    return faults


def doubts(acquisition: Acquisition) -> list[str]:
    """What is unusual and may yet be right: sentences for the log.

    Args:
        acquisition: Sound as far as `validate` tells.
    """
    found = []
    if "voxel_size" not in acquisition:
        found.append(f"{acquisition.source}: the voxel's size is unknown: results are in voxels")
    truth = acquisition.truth
    if truth is not None and truth.main.shape[-2:] == acquisition["mask"].shape[-2:]:
        sections = truth.main[:, 0, truth.main.shape[2] // 2] > 0.5
        inside = acquisition["mask"] > 0.5
        both = (sections & inside).sum(axis=(1, 2)) / np.maximum((sections | inside).sum(axis=(1, 2)), 1)
        odd = np.flatnonzero(both < _AGREES)
        if odd.size:
            names = ", ".join(_names(acquisition)[i] for i in odd[:5])
            found.append(
                f"{acquisition.source}: the middle slice of {odd.size} volumes is not their mask "
                f"(overlap below {_AGREES:g}): {names}{', …' if odd.size > 5 else ''}"
            )
    return found


def _names(acquisition: Acquisition) -> list[str]:
    if "name" in acquisition:
        return [str(name) for name in acquisition["name"]]
    return [f"cell {i}" for i in range(len(acquisition["images"]))]
