"""Arrays made of several stored ones: parts in a row, columns side by side, unions of masks, complex fields."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from .lazy_arrays import Index, LazyArray, as_index, take


def concatenate(parts: Sequence[LazyArray]) -> LazyArray:
    """Join arrays of one further shape along their first axis."""
    ends = np.cumsum([part.shape[0] for part in parts])
    dtype = np.result_type(*(part.dtype for part in parts))

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        positions = np.arange(ends[-1])[index[0]]
        owners = np.searchsorted(ends, positions, side="right")
        runs = np.split(np.arange(positions.size), np.flatnonzero(np.diff(owners)) + 1)
        pieces = []
        for run in runs if positions.size else []:
            owner = int(owners[run[0]])
            local = positions[run] - (ends[owner] - parts[owner].shape[0])
            pieces.append(np.asarray(parts[owner].fetch((as_index(local), *index[1:])), dtype))
        if not pieces:
            return take(np.empty((0, *parts[0].shape[1:]), dtype), (slice(None), *index[1:]))
        return np.concatenate(pieces)

    return replace(parts[0], shape=(int(ends[-1]), *parts[0].shape[1:]), dtype=dtype, fetch=fetch)


def stack(parts: Sequence[LazyArray], axis: str) -> LazyArray:
    """Stack arrays of one shape along a new first axis.

    Args:
        parts: The arrays.
        axis: Name of the new axis, where theirs have names.
    """
    return concatenate([part.expanded(axis) for part in parts])


def stack_last(parts: Sequence[tuple[LazyArray, float]]) -> LazyArray:
    """Stack small arrays along a last axis; a single number is repeated.

    Args:
        parts: Arrays, each with the factor of its numbers.

    Raises:
        ValueError: If their shapes differ.
    """
    arrays = [np.squeeze(array.read()) * factor for array, factor in parts]
    shapes = dict.fromkeys(array.shape for array in arrays if array.ndim)
    if len(shapes) > 1:
        raise ValueError(_shapes(array.shape for array in arrays))
    shape = next(iter(shapes), ())
    return LazyArray.of(np.stack([np.broadcast_to(array, shape) for array in arrays], axis=-1))


def union(masks: Sequence[LazyArray]) -> LazyArray:
    """Combine masks: a pixel is bad where any of them is not 0. One of a single image applies to each of a stack.

    Raises:
        ValueError: If their sizes differ.
    """
    ranks = [len(mask.shape) for mask in masks]
    shape = max((mask.shape for mask in masks), key=len)
    if any(mask.shape != shape[len(shape) - rank :] for mask, rank in zip(masks, ranks, strict=True)):
        raise ValueError(_shapes(mask.shape for mask in masks))

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        bad = np.zeros((1,) * len(shape), bool)
        for mask, rank in zip(masks, ranks, strict=True):
            bad = bad | (np.asarray(mask.fetch(index[len(index) - rank :])) != 0)
        return np.asarray(bad, np.uint8)

    return LazyArray(shape, np.dtype(np.uint8), fetch)


def cartesian(real: LazyArray, imag: LazyArray, scale: float) -> LazyArray:
    """Combine two arrays as scale · (real + i imag).

    Raises:
        ValueError: If their shapes differ.
    """
    if real.shape != imag.shape:
        raise ValueError(_shapes((real.shape, imag.shape)))

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        values = np.asarray(real.fetch(index), np.complex64)
        values.imag = imag.fetch(index)
        return values * np.float32(scale)

    return replace(real, dtype=np.dtype(np.complex64), fetch=fetch)


def polar(amplitude: LazyArray, phase: LazyArray, radians: float, scale: float) -> LazyArray:
    """Combine two arrays as scale · amplitude · exp(i radians · phase).

    Raises:
        ValueError: If their shapes differ.
    """
    if amplitude.shape != phase.shape:
        raise ValueError(_shapes((amplitude.shape, phase.shape)))

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        angles = np.asarray(phase.fetch(index), float) * radians
        return np.asarray(amplitude.fetch(index) * (scale * np.exp(1j * angles)), np.complex64)

    return replace(phase, dtype=np.dtype(np.complex64), fetch=fetch)


def constant(value: float, shape: tuple[int, ...]) -> LazyArray:
    """Repeat one number."""
    return LazyArray.of(np.broadcast_to(np.float32(value), shape))


def _shapes(shapes: Iterable[tuple[int, ...]]) -> str:
    return f"their shapes are {', '.join(map(str, shapes))}"
