"""Gaps of a detector that no mask marks: rows, columns or blocks without a count between others that have many.

A detector writes zeros where it has no pixels, and where a beam stop shades it. Taken for measurements they would say
that no light falls there; a whole row without a count, between rows with dozens, is no measurement, nor is a block.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, UInt8

from ...acquisition import Acquisition
from .window import pixel_ranges

LEAST_COUNTS = 30
"""Counts of the neighbouring rows from which a row of zeros is no chance: e⁻³⁰."""


NARROWEST = 2
"""Lines of the narrowest gap: a single row of zeros may be a node of the diffraction of straight faces."""


@dataclass(frozen=True)
class Gaps:
    """Lines and blocks of a detector without a count, between others that have some.

    Args:
        rows: Whether each row is in a gap.
        columns: Whether each column is in a gap.
        blocks: Whether each pixel is in a block without a count, as behind a beam stop.
        corner: Pixel (y, x) of the whole frame at which the arrays begin, for messages.
    """

    rows: Bool[np.ndarray, " y"]
    columns: Bool[np.ndarray, " x"]
    blocks: Bool[np.ndarray, "y x"]
    corner: tuple[int, int] = (0, 0)

    @property
    def mask(self) -> Bool[np.ndarray, "y x"]:
        """Pixels in a gap."""
        return np.asarray(self.rows[:, None] | self.columns | self.blocks)

    def __str__(self) -> str:
        y, x = self.corner
        parts = (
            _describe("rows", self.rows, y),
            _describe("columns", self.columns, x),
            _describe_blocks(self.blocks & ~(self.rows[:, None] | self.columns), self.corner),
        )
        return " and ".join(text for text in parts if text)


def find_gaps(totals: Float[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> Gaps:
    """Find rows, columns and blocks without a count, between others that have some.

    Args:
        totals: Counts of each pixel, summed over the frames.
        good: Pixels that are good in some frame.
    """
    counts = np.where(good, totals, 0)
    rows, columns = (_empty_between(counts.sum(axis=axis)) & good.any(axis=axis) for axis in (1, 0))
    return Gaps(rows, columns, _empty_blocks(counts, good))


def mask_gaps(acquisition: Acquisition) -> tuple[Acquisition, str]:
    """Mask gaps of the detector.

    Args:
        acquisition: Counts (frame, y, x), with or without a mask.

    Returns:
        The acquisition, and a sentence about the gaps; empty if there is none.
    """
    images, mask = acquisition["images"], acquisition.arrays.get("mask")
    bad = np.zeros(images.shape[1:], bool) if mask is None else mask != 0
    good = np.asarray(~(bad.all(axis=0) if bad.ndim == 3 else bad))
    gaps = find_gaps(np.where(bad, 0, images).sum(axis=0, dtype=np.float64), good)
    y, x = pixel_ranges(acquisition)
    gaps = replace(gaps, corner=(y.first, x.first))
    if not str(gaps):
        return acquisition, ""
    sentence = (
        f"{gaps} hold no count in any frame, between others that do: a gap of the detector or a beam stop, and masked "
        "(acquisition.mask names such pixels)"
    )
    masked: UInt8[np.ndarray, "*frame y x"] = (bad | gaps.mask).astype(np.uint8)
    return replace(acquisition, arrays={**acquisition.arrays, "mask": masked}), sentence


def _empty_between(sums: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Find runs of zeros whose nearest lines with counts, on both sides, have many."""
    empty = np.zeros(len(sums), bool)
    for before, after in pairwise(np.flatnonzero(sums > 0)):
        if after - before > NARROWEST and min(sums[before], sums[after]) >= LEAST_COUNTS:
            empty[before + 1 : after] = True
    return empty


def _empty_blocks(counts: Float[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Find connected pixels without a count within the frame, of which every neighbour is good and has many."""
    from scipy.ndimage import label, minimum, minimum_filter

    is_empty = good & (counts == 0)
    labels, number = label(is_empty, structure=np.ones((3, 3)))
    neighbours = minimum_filter(np.where(is_empty, np.inf, np.where(good, counts, 0)), 3, mode="constant", cval=0.0)
    least = np.atleast_1d(minimum(neighbours, labels, np.arange(1, number + 1)))
    return np.asarray(np.isin(labels, 1 + np.flatnonzero(least >= LEAST_COUNTS)))


def _describe_blocks(blocks: Bool[np.ndarray, "y x"], corner: tuple[int, int]) -> str:
    """Describe pixels: ``36 pixels from [15, 17] to [20, 22]``; empty if there is none."""
    rows, columns = np.nonzero(blocks)
    if not rows.size:
        return ""
    first, last = (
        [int(edge(i)) + c for i, c in zip((rows, columns), corner, strict=True)] for edge in (np.min, np.max)
    )
    return f"{rows.size} pixel{'s' * (rows.size > 1)} from {first} to {last}"


def _describe(name: str, lines: Bool[np.ndarray, " n"], first: int) -> str:
    """Describe runs of lines: ``rows 40-45, 90-91``; empty if there is none."""
    numbers = np.flatnonzero(lines) + first
    if not numbers.size:
        return ""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return f"{name} " + ", ".join(f"{run[0]}-{run[-1]}" for run in runs)
