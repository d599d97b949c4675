"""What no acquisition of cells' sections can be, and what is worth a warning."""

from collections.abc import Sequence

import numpy as np

from ...acquisition import Acquisition
from ...errors import Diagnostic
from ...volume import Volume
from .schema import PATHS

_LARGEST_VOXEL, _SMALLEST_VOXEL = 1e-4, 1e-9
_ONE_NUMBER = 0.01
"""Share by which a voxel's size may differ from another program's word for it."""
_AGREES = 0.9
"""Overlap from which a truth's middle section is its mask."""


def array_location(acquisition: Acquisition, name: str) -> str:
    """Say where an array stands, for messages."""
    return acquisition.places.get(name) or f"{acquisition.source}:{PATHS.get(name, name)}"


def validate(acquisition: Acquisition) -> list[Diagnostic]:
    """Find what cannot be.

    Args:
        acquisition: Arrays in SI. What is absent is not checked.
    """
    faults: list[Diagnostic] = []
    if "mask" in acquisition:
        names = _names(acquisition)
        for index in np.flatnonzero(~(acquisition["mask"] > 0.5).any(axis=(1, 2))):
            message = f"the mask of {names[index]} is empty"
            faults.append(
                Diagnostic(array_location(acquisition, "mask"), message, "leave it out with acquisition.cells")
            )
    if "voxel_size" in acquisition:
        voxel = acquisition["voxel_size"]
        if not ((voxel > _SMALLEST_VOXEL) & (voxel < _LARGEST_VOXEL)).all():
            shown = ", ".join(f"{v:g}" for v in voxel)
            message = f"a voxel of {shown} m is none of a cell"
            remedy = "give it a unit, as acquisition.voxel_size: ['0.2 um', '0.1 um', '0.1 um'] (z, y, x)"
            faults.append(Diagnostic(array_location(acquisition, "voxel_size"), message, remedy))
    if acquisition.truth is not None and "images" in acquisition:
        size = acquisition["voxel_size"].tolist() if "voxel_size" in acquisition else None
        faults += truth_faults(acquisition.truth, acquisition["images"].shape, size, acquisition.source)
    return faults


def truth_faults(truth: Volume, images: Sequence[int], voxel: Sequence[float] | None, source: str) -> list[Diagnostic]:
    """Find where a truth is not that of the images: another number of cells, or samples that are not their pixels.

    Args:
        truth: The shapes.
        images: Numbers of cells and of pixels along y and x.
        voxel: [m] The images' voxel (z, y, x); None where it is not known.
        source: The file, for messages.
    """
    where, held = f"{source}:/truth", truth.main.shape
    if len(held) != 5 or held[0] != images[0] or held[1] != 1 or tuple(held[3:]) != tuple(images[1:]):
        message = f"the truth has the shape {held}, and the images are {tuple(images)} (cell, y, x)"
        remedy = "its axes are (cell, 1, z, y, x), with a column of samples for each pixel"
        return [Diagnostic(where, message, remedy)]
    if voxel is None or truth.length_unit != "m" or np.allclose(truth.spacing, voxel, rtol=_ONE_NUMBER, atol=0):
        return []
    apart, own = (", ".join(f"{step:.4g}" for step in each) for each in (truth.spacing, voxel))
    message = f"the truth's samples are {apart} m apart (z, y, x), and a voxel of the images is {own} m"
    return [Diagnostic(where, message, "sample it on the images' voxels, or correct the voxel's size")]


def warnings_for(acquisition: Acquisition) -> list[str]:
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
