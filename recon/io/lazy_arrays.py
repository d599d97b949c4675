"""Files of all formats as trees of named arrays, none of which is read until it is asked for.

HDF5 files are such trees already. TIFF stacks, MATLAB and NPZ files are presented as if they were, so that everything
that reads an acquisition knows one interface only. If a format tells the role of an array (the images of a TIFF, the
pixel size of an OME-TIFF), the array stands at the path that our own files have for it, and needs no config.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from ..errors import DataError, Diagnostic

Index: TypeAlias = slice | list[int]
"""Selection along one axis. Slices have positive steps."""

IMAGES = "/measurement/images"
PIXEL_SIZE = "/instrument/pixel_size"
SATURATION_VALUE = "/instrument/saturation_value"
"""Largest valid count of the detector."""
COUNT_CUTOFF = "/instrument/count_cutoff"
"""Count at which the detector cuts off larger ones."""
UNDERLOAD_VALUE = "/instrument/underload_value"
"""Least valid count of the detector."""
NAMES = "names of the files"
"""Attribute of a stack of files."""
PLANE_Z = "/plane_z"
"""Positions of planes of focus relative to the middle one, of a format that gives them."""


@dataclass(frozen=True)
class LazyArray:
    """Array in a file.

    Args:
        shape: Size of each axis.
        dtype: Type of the numbers.
        fetch: Function that reads the part selected by an index for each axis.
        attributes: Attributes of the array in the file (``units``).
        axes: Names of the axes where the format gives them: ``position``, ``channel``, ``colour``, ``time``, ``plane``,
            ``view`` (images without a further name), ``y``, ``x``.
        labels: Names of the samples along an axis, such as those of the channels.
        remarks: Sentences for whoever uses the array: parts of the file that it leaves out, assumptions.
        origin: Place in the file, where it is not that at which the array was asked for.
        block: Number of samples of the first axis that are stored, and best read, together.
        usual_units: Units by SI unit (``{"rad": "deg"}``) of a format that states none; empty for others, whose numbers
            are in SI where no unit is stated.
        least: Smallest number that is a measurement; None if any may be.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fetch: Callable[[tuple[Index, ...]], np.ndarray]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    origin: str = ""
    block: int = 1
    usual_units: Mapping[str, str] = field(default_factory=dict)
    least: float | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    def read(self) -> np.ndarray:
        """Read the whole array."""
        return self.fetch(tuple(slice(None) for _ in self.shape))

    @classmethod
    def of(
        cls,
        array: np.ndarray,
        attributes: Mapping[str, Any] | None = None,
        origin: str = "",
        usual_units: Mapping[str, str] | None = None,
    ) -> "LazyArray":
        """Wrap an array in memory."""
        fields: dict[str, Any] = {"origin": origin, "usual_units": usual_units or {}}
        return cls(array.shape, array.dtype, lambda index: take(array, index), attributes or {}, **fields)

    def transposed(self, axes: tuple[int, ...]) -> "LazyArray":
        """Return the array with its axes in another order, as ``np.transpose`` does."""

        def fetch(index: tuple[Index, ...]) -> np.ndarray:
            stored: list[Index] = [slice(None)] * len(axes)
            for position, axis in enumerate(axes):
                stored[axis] = index[position]
            return self.fetch(tuple(stored)).transpose(axes)

        names = tuple(self.axes[a] for a in axes) if self.axes else ()
        return replace(self, shape=tuple(self.shape[a] for a in axes), fetch=fetch, axes=names, block=1)

    def at(self, axis: int, sample: int) -> "LazyArray":
        """Return one sample along an axis, without that axis."""

        def fetch(index: tuple[Index, ...]) -> np.ndarray:
            return self.fetch((*index[:axis], [sample], *index[axis:])).squeeze(axis)

        shape = self.shape[:axis] + self.shape[axis + 1 :]
        block = self.block if axis else 1
        return replace(self, shape=shape, fetch=fetch, axes=self.axes[:axis] + self.axes[axis + 1 :], block=block)

    def expanded(self, name: str = "view") -> "LazyArray":
        """Return the array with an axis of one sample before the others."""

        def fetch(index: tuple[Index, ...]) -> np.ndarray:
            return np.asarray(self.fetch(index[1:]))[None][index[0]]

        axes = (name, *self.axes) if self.axes else ()
        return replace(self, shape=(1, *self.shape), fetch=fetch, axes=axes, block=1)


@runtime_checkable
class ArrayTree(Protocol):
    """Open file as a tree of named arrays."""

    @property
    def path(self) -> Path:
        """Path of the file."""

    @property
    def form(self) -> str:
        """Format, for people: ``HDF5``, ``OME-TIFF``."""

    def names(self) -> list[str]:
        """List the paths of all arrays."""

    def array(self, name: str) -> LazyArray | None:
        """Return the array at a path; None if there is none.

        Raises:
            DataError: If it is there and cannot be used.
        """

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return the attributes of a group or array; None if there is no such object."""


@dataclass(frozen=True)
class LazyArrays:
    """Tree of arrays that were listed when the file was opened.

    Args:
        path: Path of the file.
        form: Format, for people.
        arrays: Arrays by path.
        root_attributes: Attributes of the file as a whole.
        faults: Faults by the path of an array that is there and cannot be used.
        files: Names of the files that are read, for a file that is one of a set.
    """

    path: Path
    form: str
    arrays: Mapping[str, LazyArray]
    root_attributes: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, Diagnostic] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """List the paths of all arrays."""
        return [*self.faults, *self.arrays]

    def array(self, name: str) -> LazyArray | None:
        """Return the array at a path; None if there is none.

        Raises:
            DataError: If it cannot be used.
        """
        if name in self.faults:
            raise DataError(self.faults[name])
        return self.arrays.get(name)

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return the attributes of the file (``/``) or of an array; None if there is no such object."""
        if name == "/":
            return self.root_attributes
        array = self.arrays.get(name)
        return None if array is None else array.attributes


def take(array: np.ndarray, index: tuple[Index, ...]) -> np.ndarray:
    """Select along each axis in turn, so that several lists select a product and not a diagonal."""
    for axis, part in enumerate(index):
        array = array[(slice(None),) * axis + (part,)]
    return array


def as_index(positions: np.ndarray) -> Index:
    """Return even rising positions as a slice, which a file reads at once, and others as a list."""
    steps = np.diff(positions)
    if steps.size and not (steps[0] > 0 and (steps == steps[0]).all()):
        return [int(i) for i in positions]
    return slice(int(positions[0]), int(positions[-1]) + 1, int(steps[0]) if steps.size else 1)
