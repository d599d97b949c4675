"""Cells cut out of images that are larger than the grid, or that show several."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int

from ...errors import DataError, Diagnostic
from ...grid import take_window
from .cell_crops import BoundingBox, CellCrop, CellPlace, is_cluster
from .config import ShapeAcquisition
from .labels import CellNotes, LabelledCell, find_labelled, find_pieces, find_single
from .masks import Mask, interpret_mask, outline_at_border

_RIM = 1
"""[pixel] Least distance between a cell and the edge of its grid."""


def count_cells(
    values: np.ndarray, settings: ShapeAcquisition, label: str, where: str, *, has_labels: bool = False
) -> int:
    """Count the cells of a mask; 1 if it makes no sense, so that a selection can leave it out.

    Args:
        values: Mask as stored in its file.
        settings: Section of the config.
        label: Class of its cells; empty if unknown.
        where: File of the mask, for messages.
        has_labels: Whether the name of the file is that of a label image, which may hold no cell.
    """
    try:
        mask = interpret_mask(values, None, settings, where, has_labels=has_labels)
        if has_labels and not mask.share.any():
            return 0
        cells, _ = _list_cells(mask, settings, is_cluster(label), where)
    except DataError:
        return 1
    return 1 if cells is None else len(cells)


def _list_cells(
    mask: Mask, settings: ShapeAcquisition, is_one_cell: bool, where: str
) -> tuple[list[LabelledCell] | None, CellNotes]:
    """List the cells of a mask; none for a mask of one cell without a number.

    Raises:
        DataError: If no label is large enough.
    """
    if mask.labels is not None:
        return find_labelled(mask.labels, settings.smallest, settings.several == "cut", where)
    if settings.several == "cut" and not is_one_cell:
        pieces = find_pieces(mask.share > 0.5)
        return (pieces if len(pieces) > 1 else None), CellNotes()
    return None, CellNotes()


def cut_out(
    crop: CellCrop, mask: Mask, settings: ShapeAcquisition, *, numbered: bool = True
) -> tuple[list[CellCrop], CellNotes]:
    """Cut the cells out of an image: those of one with several, and a single one of an image larger than the grid.

    Around a cell the grid shows the picture, in which pixels nearer to another cell have the brightness of the
    background.

    Args:
        crop: The whole image, with its mask.
        mask: Mask of the image, with its labels.
        settings: Section of the config.
        numbered: Whether the only number of a mask becomes part of the cell's name.

    Raises:
        DataError: If no label is large enough, or the parts of one lie too far apart.
    """
    cells, notes = _list_cells(mask, settings, crop.is_cluster, crop.where)
    inside = crop.mask > 0.5
    outside = crop.image[~inside] if mask.labels is None else crop.image[mask.labels == 0]
    crop = replace(crop, background=float(np.median(outside)) if outside.size else 0.0)
    if cells is not None:
        _require_near_parts(cells, settings, crop)
        pieces = mask.labels if mask.labels is not None else _numbered(cells, inside.shape)
        numbers = [cell.number for cell in cells] if mask.labels is not None else range(1, len(cells) + 1)
        cut = [_cut_labelled(crop, pieces, number, cell, settings) for number, cell in zip(numbers, cells, strict=True)]
        return cut, notes
    if not inside.any():
        return [crop], notes
    if numbered and mask.number:
        crop = replace(crop, name=f"{crop.name}-{mask.number}")
    height, width = crop.mask.shape
    if max(height * crop.pixel_aspect, width) <= settings.size:
        return [_keep_whole(crop, inside, mask.number)], notes
    cell, notes = find_single(inside, settings.smallest, crop.where)
    own = np.zeros_like(inside)
    own[cell.box] = cell.own
    # Grey edges lie beside the pixels that are more than half inside.
    stray = inside & ~own
    crop = replace(crop, mask=np.where(stray, 0, crop.mask).astype(np.float32))
    window = _window(cell.box, crop, settings)
    return [_take_window(crop, cell, window, settings, crop.name, mask.number)], notes


def _require_near_parts(cells: Sequence[LabelledCell], settings: ShapeAcquisition, crop: CellCrop) -> None:
    """Refuse labels whose parts do not fit on one grid.

    Raises:
        DataError: With each of them.
    """
    if crop.is_cluster or settings.several == "keep":
        return
    faults = []
    for cell in cells:
        reach = max(side.stop - side.start for side in cell.box)
        if cell.parts > 1 and reach > settings.size:
            message = f"label {cell.number} has {cell.parts} parts, {reach} pixels from end to end"
            remedy = "number them apart, or set acquisition.several to cut, or to keep them together as one cell"
            faults.append(Diagnostic(crop.where, message, remedy))
    if faults:
        raise DataError(*faults)


def _numbered(cells: Sequence[LabelledCell], shape: tuple[int, ...]) -> Int[np.ndarray, "y x"]:
    """Number the pieces of a mask without labels."""
    numbers = np.zeros(shape, np.int64)
    for i, cell in enumerate(cells, 1):
        numbers[cell.box][cell.own] = i
    return numbers


def _keep_whole(crop: CellCrop, inside: Bool[np.ndarray, "y x"], number: int) -> CellCrop:
    """Keep an image that fits the grid, with its centre."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return replace(
        crop,
        outline_at_border=outline_at_border(inside),
        place=_place(crop, number, box, (0, 0), inside.shape),
    )


def _place(
    crop: CellCrop, number: int, box: BoundingBox, start: tuple[int, int], shape: tuple[int, ...]
) -> CellPlace | None:
    """Place of a crop whose first pixel is ``start`` of the image, before it is resampled."""
    if crop.place is None:
        return None
    centre = (float(start[0] + shape[0] // 2), float(start[1] + shape[1] // 2))
    return CellPlace(crop.place.file, number, box, centre)


def _cut_labelled(
    crop: CellCrop, labels: Int[np.ndarray, "y x"], number: int, cell: LabelledCell, settings: ShapeAcquisition
) -> CellCrop:
    """Cut a labelled cell out of an image, and darken what is nearer to its neighbours."""
    window = _window(cell.box, crop, settings)
    part = _cut(labels, window, 0)
    own = np.zeros(part.shape, bool)
    inner = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(cell.box, window, strict=True))
    own[inner] = cell.own
    cut = _take_window(crop, cell, window, settings, f"{crop.name}-{cell.suffix}", cell.number)
    theirs = _nearer_to_others(own, (part > 0) & ~own)
    truth = None if cut.truth is None else np.where(theirs, np.float32(0), cut.truth).astype(np.float32)
    image = np.where(theirs, np.float32(crop.background), cut.image).astype(np.float32)
    return replace(cut, image=image, mask=own.astype(np.float32), truth=truth, is_labelled=cell.number > 0)


def _nearer_to_others(own: Bool[np.ndarray, "y x"], others: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Pixels that are nearer to another cell than to a cell itself."""
    from scipy import ndimage

    if not others.any():
        return np.zeros(own.shape, bool)
    distance = ndimage.distance_transform_edt
    return np.asarray((distance(~own) > distance(~others)) & ~own)


def _window(box: tuple[slice, slice], crop: CellCrop, settings: ShapeAcquisition) -> tuple[slice, slice]:
    """Rows and columns, perhaps beyond the image, that fill the grid around a cell at the original pixel size."""
    sides = []
    for side, aspect in zip(box, (crop.pixel_aspect, 1.0), strict=True):
        centre, reach = (side.start + side.stop) // 2, math.ceil((side.stop - side.start) / 2)
        half = max(math.ceil(settings.size / aspect / 2), reach + settings.margin)
        sides.append(slice(centre - half, centre + half))
    return sides[0], sides[1]


def _take_window(
    crop: CellCrop,
    cell: LabelledCell,
    window: tuple[slice, slice],
    settings: ShapeAcquisition,
    name: str,
    number: int,
) -> CellCrop:
    """Take a part of an image, filled up with background beyond its edges."""
    rows, columns = cell.box
    box = (rows.start, columns.start, rows.stop, columns.stop)
    edge = max((rows.stop - rows.start) * crop.pixel_aspect, columns.stop - columns.start)
    edge += 2 * _RIM if edge + 2 * _RIM <= settings.size else 2 * max(settings.margin, _RIM)
    shape = tuple(side.stop - side.start for side in window)
    truth = None
    if crop.truth is not None:
        truth = np.stack([_cut(plane, window, 0) for plane in crop.truth])
        edge = max(edge, _height(truth, crop))
    return replace(
        crop,
        name=name,
        image=_cut(crop.image, window, crop.background),
        mask=_cut(crop.mask, window, 0),
        truth=truth,
        edge=float(edge),
        outline_at_border=outline_at_border(cell.own, cell.box, crop.mask.shape),
        place=_place(crop, number, box, (window[0].start, window[1].start), shape),
    )


def _height(truth: np.ndarray, crop: CellCrop) -> float:
    """[pixel along x] Height of the cube about the section that holds a truth."""
    filled = np.flatnonzero((truth > 0.5).any(axis=(1, 2)))
    if not filled.size:
        return 0.0
    middle = len(truth) // 2
    slices = 2 * max(middle - int(filled[0]), int(filled[-1]) - middle + 1)
    stretch = 1.0 if crop.step is None else (crop.truth_step or crop.step[0]) / crop.step[2]
    return slices * stretch


def _cut(values: np.ndarray, window: tuple[slice, slice], fill: float) -> np.ndarray:
    """Copy rows and columns of an array that may lie beyond it."""
    return take_window(values, [side.start for side in window], [side.stop - side.start for side in window], fill)
