"""Stacks of labels: whole numbers of which each is one body, as programs of segmentation write them.

A grey volume of whole numbers differs from labels in its geometry. A label fills a region of equal samples; a grey
value is a shell, or noise, between others. Regions of equal samples of which one lies within the other may be either:
a nucleus with a number of its own within its cell, or a picture of few grey values.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Num

from ..sampled import Quantity
from ..volume import Volume
from .volume_stack import Member

Samples = Num[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"]

CUT_OUT = "label"
"""Attribute of a body that is cut out of a stack: its number."""
_LEAST_EQUAL = 0.2
"""Share of neighbouring samples inside that are equal, below which a volume is grey."""
_EQUAL = 0.5
"""Share of a value's neighbours inside that have it too, from which it fills a region."""
_REGIONS = 0.8
"""Share of the values that fill regions in a stack of labels."""
_LARGEST_TABLE = 1 << 26
"""Largest number for which a table of all numbers is made."""
_MARGIN = 1
"""[sample] Margin around a body that is cut out."""


class Content(Enum):
    """Meaning of the numbers of a volume."""

    BODY = "one body: a value inside, another outside"
    LABELS = "labels: each number is a body"
    GREY = "grey values, or numbers that are not whole"
    UNCLEAR = "whole numbers that are labels or grey values"


@dataclass(frozen=True)
class _Neighbours:
    """Counts of neighbouring samples, by the index of a number above 0.

    Args:
        same: Pairs of samples of this number.
        other: Pairs of this number and another one above 0.
        below: Pairs of this number and a lower one, 0 included.
        most: Pairs of this number and that lower one above 0 which it meets most.
    """

    same: Int[np.ndarray, " n"]
    other: Int[np.ndarray, " n"]
    below: Int[np.ndarray, " n"]
    most: Int[np.ndarray, " n"]


def find_content(values: Samples) -> Content:
    """Find out whether the numbers of a volume are labels, grey values, or those of a single body."""
    if values.dtype == bool:
        return Content.BODY
    if not _are_whole(values):
        return Content.GREY
    if _share_of_equal(values) < _LEAST_EQUAL:
        return Content.GREY
    numbers = label_numbers(values)
    if len(numbers) < 2 or (len(numbers) == 2 and not (values == 0).any()):
        return Content.BODY
    pairs = _count_neighbours(values, numbers)
    regions = float(np.mean(pairs.same >= _EQUAL * (pairs.same + pairs.other)))
    if regions < _EQUAL:
        return Content.GREY
    nested = float(np.mean((pairs.most >= _EQUAL * pairs.below)[1:]))
    return Content.LABELS if regions >= _REGIONS and nested < _EQUAL else Content.UNCLEAR


def label_numbers(values: Samples) -> Int[np.ndarray, " n"]:
    """Return the different numbers above 0, in rising order."""
    largest = int(values.max(initial=0))
    if largest >= _LARGEST_TABLE:
        planes = [np.unique(plane[plane > 0]) for plane in values]
        return np.unique(np.concatenate(planes)).astype(np.int64)
    present = np.zeros(largest + 1, bool)
    for plane in values:
        present[np.maximum(plane, 0).astype(np.int64)] = True
    return np.flatnonzero(present[1:]) + 1


def split_labels(volume: Volume, quantity: Quantity, number: int | None = None) -> Iterator[Member]:
    """Cut the bodies of a stack of labels out of it, in the order of their numbers.

    Args:
        volume: Volume of one quantity, the labels.
        quantity: Quantity of a body: 1 inside, 0 outside.
        number: Number of the only body to return.

    Yields:
        Bodies whose cell number and label are the number in the stack, in their bounding box.
    """
    from scipy.ndimage import find_objects

    values = volume.main
    numbers = label_numbers(values)
    index = np.searchsorted(np.concatenate([[0], numbers]), np.maximum(values, 0)).astype(np.int32)
    for i, (own, box) in enumerate(zip(numbers, find_objects(index), strict=True), 1):
        if number is None or number == own:
            part = tuple(slice(max(s.start - _MARGIN, 0), s.stop + _MARGIN) for s in box)
            z, y, x = (axis[s] for axis, s in zip((volume.z, volume.y, volume.x), part, strict=True))
            inside = {quantity.name: (index[part] == i).astype(np.uint8)}
            attributes = {**volume.attributes, CUT_OUT: float(own)}
            body = replace(volume, z=z, y=y, x=x, values=inside, quantities=(quantity,), attributes=attributes)
            yield Member(int(own), 0, "", str(own), body)


def _are_whole(values: Samples) -> bool:
    """Whether all numbers are whole and none is negative."""
    if values.dtype.kind == "u":
        return True
    if values.dtype.kind not in "if":
        return False
    return all(bool((plane >= 0).all()) and bool((plane == np.rint(plane)).all()) for plane in values)


def _pairs(values: Any) -> Iterator[tuple[Any, Any]]:
    """Yield neighbouring samples along x, y and z, plane by plane."""
    for k, plane in enumerate(values):
        yield plane[:, :-1], plane[:, 1:]
        yield plane[:-1], plane[1:]
        if k:
            yield values[k - 1], plane


def _share_of_equal(values: Samples) -> float:
    """Compute the share of equal ones among the neighbours that are both above 0; 1 if there are none."""
    equal = inside = 0
    for one, other in _pairs(values):
        both = (one > 0) & (other > 0)
        inside += int(np.count_nonzero(both))
        equal += int(np.count_nonzero(both & (one == other)))
    return equal / inside if inside else 1.0


def _count_neighbours(values: Samples, numbers: Int[np.ndarray, " n"]) -> _Neighbours:
    """Count the neighbours of each number."""
    table = np.concatenate([[0], numbers])
    count = len(table)
    same, other, keys = np.zeros(count, np.int64), np.zeros(count, np.int64), []
    for one, two in _pairs(values):
        a, b = (np.searchsorted(table, np.ravel(part)) for part in (one, two))
        equal = a == b
        same += np.bincount(a[equal], minlength=count)
        low, high = np.minimum(a, b)[~equal], np.maximum(a, b)[~equal]
        for part in (low[low > 0], high[low > 0]):
            other += np.bincount(part, minlength=count)
        keys.append(np.stack(np.unique(high * count + low, return_counts=True)))
    pairs = np.concatenate(keys, axis=1)
    different, place = np.unique(pairs[0], return_inverse=True)
    totals = np.bincount(place, pairs[1], len(different)).astype(np.int64)
    high, low = different // count, different % count
    below = np.bincount(high, totals, count).astype(np.int64)
    most = np.zeros(count, np.int64)
    np.maximum.at(most, high[low > 0], totals[low > 0])
    return _Neighbours(same[1:], other[1:], below[1:], most[1:])
