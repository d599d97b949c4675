"""Faults of cells and of acquisitions of their sections, and warnings."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...acquisition import Acquisition
from ...config.advice import quantity
from ...errors import Diagnostic
from ...volume import Volume
from .cell_crops import SMALLEST, CellCrop
from .cells import voxel_of
from .config import ShapeAcquisition
from .labels import label_pieces
from .schema import PATHS
from .section_faults import section_faults, section_warnings, threshold_faults

_LARGEST_VOXEL, _SMALLEST_VOXEL = 1e-4, 1e-9
_VOXEL_TOLERANCE = 0.01
"""Relative difference of voxel sizes that other programs' rounding explains."""
_SAME_SECTION = 0.9
"""Overlap from which the middle slice of a truth counts as its mask."""


def crop_faults(crop: CellCrop, several: str) -> list[Diagnostic]:
    """Find faults that make a cell useless.

    Args:
        crop: Cell at its original size.
        several: Treatment of a mask of two cells: ``refuse`` makes it a fault.
    """
    inside = crop.mask > 0.5
    if not inside.any():
        return [
            Diagnostic(crop.where, "the mask is empty: no pixel is above half", "draw it anew, or take the cell away")
        ]
    if inside.sum() < SMALLEST and not crop.is_labelled:
        return [Diagnostic(crop.where, f"the mask has {int(inside.sum())} pixels, which is no cell", "draw it anew")]
    if inside.all():
        return [Diagnostic(crop.where, "the mask is full: nothing lies outside the cell", "0 must mean outside")]
    count = int(label_pieces(inside).max())
    if count > 1 and several == "refuse" and not crop.is_cluster and not crop.is_labelled:
        remedy = "number the cells in the mask (1, 2, …), or set acquisition.several to cut or keep"
        return [Diagnostic(crop.where, f"the mask holds {count} cells that do not touch", remedy)]
    return []


def validate(acquisition: Acquisition) -> list[Diagnostic]:
    """Find faults of an acquisition.

    Args:
        acquisition: Arrays in SI units. Absent ones are not checked.
    """
    faults: list[Diagnostic] = []
    if "mask" in acquisition:
        where = acquisition.place("mask", PATHS)
        names = _names(acquisition)
        for index in np.flatnonzero(~(acquisition["mask"] > 0.5).any(axis=(1, 2))):
            message = f"the mask of {names[index]} is empty"
            faults.append(Diagnostic(where, message, "leave it out with acquisition.cells"))
    if "voxel_size" in acquisition:
        voxel = acquisition["voxel_size"]
        if not ((voxel > _SMALLEST_VOXEL) & (voxel < _LARGEST_VOXEL)).all():
            shown = ", ".join(f"{v:g}" for v in voxel)
            message = f"a voxel of {shown} m is none of a cell"
            remedy = "give it a unit, as acquisition.voxel_size: ['0.2 um', '0.1 um', '0.1 um'] (z, y, x)"
            faults.append(Diagnostic(acquisition.place("voxel_size", PATHS), message, remedy))
    if "images" in acquisition:
        faults += section_faults(acquisition, _names(acquisition))
        faults = faults or threshold_faults(acquisition, _names(acquisition))
    if acquisition.truth is not None and "images" in acquisition:
        faults += truth_faults(
            acquisition.truth, acquisition["images"].shape, voxel_of(acquisition), acquisition.source
        )
    return faults


def truth_faults(truth: Volume, images: Sequence[int], voxel: Sequence[float] | None, source: str) -> list[Diagnostic]:
    """Find a truth that does not fit the images: another number of cells, or samples that are not their pixels.

    Args:
        truth: The shapes.
        images: Shape of the images (cell, y, x).
        voxel: [m] Voxel size (z, y, x) of the images; None if unknown.
        source: The file, for messages.
    """
    where, shape = f"{source}:/truth", truth.main.shape
    if len(shape) != 5 or shape[0] != images[0] or shape[1] != 1 or tuple(shape[3:]) != tuple(images[1:]):
        message = f"the truth has the shape {shape}, and the images are {tuple(images)} (cell, y, x)"
        remedy = "its axes are (cell, 1, z, y, x), with a column of samples for each pixel"
        return [Diagnostic(where, message, remedy)]
    if voxel is None or truth.length_unit != "m" or np.allclose(truth.spacing, voxel, rtol=_VOXEL_TOLERANCE, atol=0):
        return []
    spacing, own = (", ".join(f"{step:.4g}" for step in each) for each in (truth.spacing, voxel))
    message = f"the truth's samples are {spacing} m apart (z, y, x), and a voxel of the images is {own} m"
    return [Diagnostic(where, message, "sample it on the images' voxels, or correct the voxel's size")]


def warnings_for(acquisition: Acquisition, settings: ShapeAcquisition) -> list[str]:
    """Find unusual properties that may yet be right.

    Args:
        acquisition: Acquisition without faults.
        settings: Section of the config.

    Returns:
        Sentences for the log.
    """
    warnings = []
    if "voxel_size" not in acquisition:
        warnings.append(f"{acquisition.source}: the voxel's size is unknown: results are in voxels")
    else:
        warnings += _stretched_voxel(acquisition, settings)
    names = [str(name) for name in acquisition["name"]] if "name" in acquisition else []
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        shown = ", ".join(doubled[:5]) + (", …" if len(doubled) > 5 else "")
        warnings.append(f"{acquisition.source}: several cells are called {shown}: tables tell them apart by number")
    warnings += section_warnings(acquisition, _names(acquisition))
    truth = acquisition.truth
    if truth is not None and truth.main.shape[-2:] == acquisition["mask"].shape[-2:]:
        sections = truth.main[:, 0, truth.main.shape[2] // 2] > 0.5
        inside = acquisition["mask"] > 0.5
        overlap = (sections & inside).sum(axis=(1, 2)) / np.maximum((sections | inside).sum(axis=(1, 2)), 1)
        odd = np.flatnonzero(overlap < _SAME_SECTION)
        if odd.size:
            shown = ", ".join(_names(acquisition)[i] for i in odd[:5])
            warnings.append(
                f"{acquisition.source}: the middle slice of {odd.size} volumes is not their mask "
                f"(overlap below {_SAME_SECTION:g}): {shown}{', …' if odd.size > 5 else ''}"
            )
    return warnings


def _stretched_voxel(acquisition: Acquisition, settings: ShapeAcquisition) -> list[str]:
    """Warn of a voxel that is no cube: networks draw cubes, which are stretched to it."""
    z, _, x = (float(size) for size in acquisition["voxel_size"])
    if abs(z / x - 1) <= _VOXEL_TOLERANCE:
        return []
    source = settings.voxel_size
    remedy = f"write {quantity(x)} three times into {acquisition.place('voxel_size', PATHS)}"
    if source is not None and source.is_literal:
        remedy = f"set acquisition.voxel_size: '{quantity(x)}'"
    return [
        f"{acquisition.source}: a voxel is {z * 1e6:.4g} um high and {x * 1e6:.4g} um wide: shapes, which networks "
        f"draw on cubes, are stretched by {z / x:.3g} along z; if that is the step of a stack, which says nothing of "
        f"one section, {remedy}"
    ]


def _names(acquisition: Acquisition) -> list[str]:
    if "name" in acquisition:
        return [str(name) for name in acquisition["name"]]
    return [f"cell {i}" for i in range(len(acquisition["images"]))]
