"""Cells in a mask: connected pieces, and labels with their parts and stray pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int

from ...errors import DataError, Diagnostic
from .cell_crops import SMALLEST, find_dark_level

_SECOND_CELL_FRACTION = 0.2
"""Fraction of the largest piece's area from which another piece of a mask counts as a second cell."""
_NEIGHBOURS = np.ones((3, 3), int)
Box = tuple[slice, slice]


@dataclass(frozen=True)
class LabelledCell:
    """One cell of an image with many.

    Args:
        number: Number in the mask; 0 for a piece of a mask without labels.
        suffix: End of the cell's name.
        box: Rows and columns that it spans.
        own: Pixels of the cell within the box.
        parts: Number of its parts that do not touch.
    """

    number: int
    suffix: str
    box: Box
    own: Bool[np.ndarray, "y x"]
    parts: int = 1


@dataclass
class CellNotes:
    """Places in masks that were left out, or that are unusual, for one warning of each kind.

    Args:
        specks: Labels that are too small.
        strays: Small parts of cells.
        parts: Labels of several parts.
        dark: Pictures whose darkest pixels are bright.
    """

    specks: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    dark: list[str] = field(default_factory=list)

    def add(self, other: "CellNotes") -> None:
        """Append the places of another mask."""
        self.specks += other.specks
        self.strays += other.strays
        self.parts += other.parts
        self.dark += other.dark

    def add_dark_level(self, image: np.ndarray, mask: np.ndarray, name: str) -> None:
        """Note a picture whose darkest pixels are bright; arguments of `find_dark_level`, and the picture's name."""
        dark = find_dark_level(image, mask)
        if dark is not None:
            self.dark.append(f"{name} ({dark[0]:.4g}, {100 * dark[1]:.0f} % of the brightness of its cells)")


def note_sentences(notes: CellNotes, smallest: int) -> list[str]:
    """Warnings for the log: one for each kind of place."""
    sentences = []
    if notes.specks:
        many = "1 label" if len(notes.specks) == 1 else f"{len(notes.specks)} labels"
        below = f"of fewer than {smallest} pixels (acquisition.smallest)"
        sentences.append(f"{many} {below} left out: {list_some(notes.specks)}")
    if notes.strays:
        sentences.append(f"stray pixels of cells left out (acquisition.smallest): {list_some(notes.strays)}")
    if notes.parts:
        many = "1 label has" if len(notes.parts) == 1 else f"{len(notes.parts)} labels have"
        remedy = "if they are several cells, number them apart, or set acquisition.several: cut"
        sentences.append(f"{many} parts that do not touch: {list_some(notes.parts)}; {remedy}")
    if notes.dark:
        many = "1 picture is" if len(notes.dark) == 1 else f"{len(notes.dark)} pictures are"
        remedy = "if that is the level of the camera without light, set acquisition.dark to it"
        sentences.append(f"{many} nowhere dark: {list_some(notes.dark)}; {remedy}")
    return sentences


def list_some(texts: Sequence[str], most: int = 5) -> str:
    """Join the first of many texts, and count the others."""
    more = len(texts) - most
    return "; ".join(texts[:most]) + (f"; and {more} more" if more > 0 else "")


def find_labelled(
    labels: Int[np.ndarray, "y x"], smallest: int, cut: bool, where: str
) -> tuple[list[LabelledCell], CellNotes]:
    """List the cells of a label image, in the order of their numbers.

    Args:
        labels: Number of the cell at each pixel, 0 outside.
        smallest: [pixel] Area below which labels, and parts of labels, are left out.
        cut: Whether each part of a label is a cell.
        where: File of the mask, for messages.

    Raises:
        DataError: If no label is large enough.
    """
    from scipy import ndimage

    numbers = np.unique(labels[labels > 0])
    compact = np.searchsorted(np.concatenate([[0], numbers]), labels)
    cells: list[LabelledCell] = []
    notes = CellNotes()
    for index, box in enumerate(ndimage.find_objects(compact)):
        number, own = int(numbers[index]), compact[box] == index + 1
        if (area := int(own.sum())) < smallest:
            notes.specks.append(f"label {number}, {_pixels(area)}, at {_first_pixel(own, box)}, of {where}")
            continue
        cells += _parts_of(number, own, box, smallest, cut, where, notes)
    if not cells:
        message = f"all {len(numbers)} labels are smaller than {smallest} pixels: {'; '.join(notes.specks[:3])}"
        raise DataError(Diagnostic(where, message, "set a lower acquisition.smallest, or take the file away"))
    return cells, notes


def _parts_of(
    number: int, own: Bool[np.ndarray, "y x"], box: Box, smallest: int, cut: bool, where: str, notes: CellNotes
) -> list[LabelledCell]:
    """Take a label as one cell, or each of its parts; parts that are too small are left out."""
    from scipy import ndimage

    pieces, count = ndimage.label(own, _NEIGHBOURS)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(areas >= min(smallest, areas.max())) + 1
    if len(large) < count:
        stray = int(areas.sum() - areas[large - 1].sum())
        notes.strays.append(f"{_pixels(stray)} of label {number} of {where}")
    if cut and len(large) > 1:
        return [_shrunk(number, f"{number}-{i}", pieces == part, box) for i, part in enumerate(large, 1)]
    if len(large) > 1:
        places = " and ".join(str(_first_pixel(pieces == part, box)) for part in large[:3])
        notes.parts.append(f"label {number} at {places} of {where}")
    return [_shrunk(number, str(number), np.isin(pieces, large), box, len(large))]


def find_pieces(inside: Bool[np.ndarray, "y x"]) -> list[LabelledCell]:
    """List the pieces of a mask without labels as cells, numbered in their names; small ones join the nearest."""
    from scipy import ndimage

    pieces = label_pieces(inside)
    boxes = ndimage.find_objects(pieces)
    return [LabelledCell(0, str(i), box, pieces[box] == i) for i, box in enumerate(boxes, 1) if box is not None]


def find_single(inside: Bool[np.ndarray, "y x"], smallest: int, where: str) -> tuple[LabelledCell, CellNotes]:
    """Take a mask as one cell without its stray pixels.

    Args:
        inside: Mask that is not empty.
        smallest: [pixel] Area below which a separate piece is left out.
        where: File of the mask, for messages.
    """
    notes = CellNotes()
    whole = (slice(0, inside.shape[0]), slice(0, inside.shape[1]))
    cell = _parts_of(0, inside, whole, smallest, False, where, notes)[0]
    strays = [text.replace(" of label 0", "") for text in notes.strays]
    return LabelledCell(0, "", cell.box, cell.own), CellNotes(strays=strays)


def label_pieces(mask: Bool[np.ndarray, "y x"]) -> Int[np.ndarray, "y x"]:
    """Label the connected pieces that are each large enough to be a cell; smaller ones join the nearest."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask, _NEIGHBOURS)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(areas >= max(SMALLEST, _SECOND_CELL_FRACTION * areas.max(initial=0))) + 1
    if len(large) < 2:
        return mask.astype(np.int64)
    seeds = np.where(np.isin(pieces, large), pieces, 0)
    index = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    joined = np.where(mask, seeds[tuple(index)], 0)
    return np.asarray(np.searchsorted(large, joined) + (joined > 0), np.int64)


def _shrunk(number: int, suffix: str, own: Bool[np.ndarray, "y x"], box: Box, parts: int = 1) -> LabelledCell:
    """Shrink a box to the pixels of a cell."""
    rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
    inner = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    outer = tuple(slice(s.start + i.start, s.start + i.stop) for s, i in zip(box, inner, strict=True))
    return LabelledCell(number, suffix, (outer[0], outer[1]), own[inner], parts)


def _first_pixel(own: Bool[np.ndarray, "y x"], box: Box) -> list[int]:
    y, x = np.argwhere(own)[0]
    return [int(y) + box[0].start, int(x) + box[1].start]


def _pixels(count: int) -> str:
    return "1 pixel" if count == 1 else f"{count} pixels"
