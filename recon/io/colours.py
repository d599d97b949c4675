"""Colours and transparency of pictures: grey pictures that are stored in colour are grey."""

from dataclasses import replace

import numpy as np

from ..errors import DataError, Diagnostic
from .lazy_arrays import Index, LazyArray

COLOURS = ("red", "green", "blue")


def without_alpha(array: LazyArray) -> LazyArray:
    """Leave out the last channel, which is transparency."""
    axis = array.axes.index("channel")
    count = array.shape[axis] - 1
    inner = array.fetch

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        samples = np.arange(count)[index[axis]].tolist()
        return inner((*index[:axis], samples, *index[axis + 1 :]))

    shape = (*array.shape[:axis], count, *array.shape[axis + 1 :])
    labels = {**array.labels, "channel": array.labels.get("channel", ())[:count]}
    remarks = (*array.remarks, "its alpha channel is not used")
    array = replace(array, shape=shape, fetch=fetch, labels=labels, remarks=remarks)
    return array.at(axis, 0) if count == 1 else array


def grey_where_equal(array: LazyArray, place: str) -> LazyArray:
    """Take pictures whose three colours are equal as grey, judged by the first; others must agree when they are read.

    Args:
        array: Pictures with an axis ``channel``.
        place: Place of the file, for messages.
    """
    axis = array.axes.index("channel")
    if array.shape[axis] != len(COLOURS):
        return array
    first = array.fetch(tuple(slice(None) if a in ("y", "x", "channel") else slice(0, 1) for a in array.axes))
    if not _are_equal(first, axis):
        return array

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        colours = array.fetch((*index[:axis], slice(None), *index[axis:]))
        if not _are_equal(colours, axis):
            message = "the first image is grey, and a later one has colours"
            raise DataError(Diagnostic(place, message, "write the images with one channel"))
        return np.asarray(colours.take(0, axis))

    one = array.at(axis, 0)
    return replace(one, fetch=fetch)


def _are_equal(colours: np.ndarray, axis: int) -> bool:
    return bool((colours == colours.take([0], axis)).all())
