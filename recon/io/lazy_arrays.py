"""A file of whatever format as a tree of named arrays, none of them read until it is asked for.

HDF5 files are such trees already. TIFF stacks, MATLAB and NPZ files are presented as if they were, so that everything
that reads an acquisition knows one form only. Where a format says what an array is (the images of a TIFF, the pixel
size of an OME-TIFF), it stands at the path that our own files have for it, and needs no config.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

Index: TypeAlias = slice | list[int]
"""What to take along one axis. Slices have positive steps."""

IMAGES = "/measurement/images"
PIXEL_SIZE = "/instrument/pixel_size"


@dataclass(frozen=True)
class LazyArray:
    """An array in a file.

    Args:
        shape: Its shape.
        dtype: Its number type.
        fetch: Reads the part that an index for each axis selects.
        attributes: What the file says about it (``units``).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fetch: Callable[[tuple[Index, ...]], np.ndarray]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> np.ndarray:
        """Read all of it."""
        return self.fetch(tuple(slice(None) for _ in self.shape))

    @classmethod
    def of(cls, array: np.ndarray, attributes: Mapping[str, Any] | None = None) -> "LazyArray":
        """Present an array in memory."""
        return cls(array.shape, array.dtype, lambda index: take(array, index), attributes or {})

    def transposed(self, axes: tuple[int, ...]) -> "LazyArray":
        """The same array with its axes in another order, as ``np.transpose`` has them."""

        def fetch(index: tuple[Index, ...]) -> np.ndarray:
            stored: list[Index] = [slice(None)] * len(axes)
            for position, axis in enumerate(axes):
                stored[axis] = index[position]
            return self.fetch(tuple(stored)).transpose(axes)

        return LazyArray(tuple(self.shape[a] for a in axes), self.dtype, fetch, self.attributes)


@runtime_checkable
class ArrayTree(Protocol):
    """A file, open for reading."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def form(self) -> str:
        """Its format, for people: ``HDF5``, ``OME-TIFF``."""

    def names(self) -> list[str]:
        """Paths of all arrays that the file lists."""

    def leaf(self, name: str) -> LazyArray | None:
        """The array of a path; None if there is none.

        Raises:
            DataError: If it is there and cannot be used.
        """

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """The attributes of a group or array; None if there is no such object."""


@dataclass(frozen=True)
class LazyArrays:
    """A tree of arrays that were listed beforehand.

    Args:
        path: The file.
        form: Its format, for people.
        leaves: Arrays by path.
        facts: Attributes of the file as a whole.
    """

    path: Path
    form: str
    leaves: Mapping[str, LazyArray]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Paths of all arrays."""
        return list(self.leaves)

    def leaf(self, name: str) -> LazyArray | None:
        """The array of a path; None if there is none."""
        return self.leaves.get(name)

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """The attributes of the file (``/``) or of an array."""
        if name == "/":
            return self.facts
        found = self.leaves.get(name)
        return None if found is None else found.attributes


def take(array: np.ndarray, index: tuple[Index, ...]) -> np.ndarray:
    """Select along each axis in turn, so that several lists select a product and not a diagonal."""
    for axis, part in enumerate(index):
        array = array[(slice(None),) * axis + (part,)]
    return array
