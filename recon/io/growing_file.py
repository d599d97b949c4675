"""Acquisition files that grow frame by frame while others read them (HDF5 single writer, multiple readers).

The dataset of images has a first axis that grows; the number of frames that there will be is its attribute ``frames``,
or the limit of that axis. What else has an entry for each frame grows with it. A file that is received out of order
also holds ``/received``, 1 for each frame that is there.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool

from ..errors import DataError, Diagnostic
from .atomic import disk_fault, write_atomically
from .frame_scan import FRAMES, RECEIVED, SCAN, TEXT, FrameArray, FrameScan, describe_file
from .guard import guard
from .hdf5_common import text_of
from .safe_hdf5 import new_hdf5
from .write import FORMAT

_TRIES, _PAUSE = 5, 0.05
"""Number of attempts to read what is being changed, and [s] the time between two."""


class GrowingWriter:
    """Growing file that this process writes, until `close`.

    Args:
        path: The file, which is replaced.
        scan: Everything but the frames.
        marked: Whether frames may come out of order, so that those that are there are marked.

    Raises:
        DataError: If the disk refuses.
    """

    def __init__(self, path: Path, scan: FrameScan, *, marked: bool = False) -> None:
        self.path, self.scan = path, scan
        self._marks: Any = None
        with _writing(path):
            self._file = h5py.File(path, "w", libver="latest")
            try:
                _write_fixed(self._file, scan)
                self._datasets = [self._create(array) for array in scan.frame_arrays]
                if marked:
                    self._marks = self._file.create_dataset(RECEIVED, data=np.zeros(scan.frames, np.uint8))
                self._file.swmr_mode = True
            except BaseException:
                self._file.close()
                path.unlink(missing_ok=True)
                raise

    def _create(self, array: FrameArray) -> Any:
        shape, chunks = (0, *array.shape), (1, *array.shape)
        limit = (self.scan.frames, *array.shape)
        dataset = self._file.create_dataset(array.path, shape, array.dtype, maxshape=limit, chunks=chunks)
        dataset.attrs.update({**array.attributes, FRAMES: self.scan.frames})
        return dataset

    def write(self, index: int, entries: Sequence[np.ndarray]) -> None:
        """Write a frame, and show it to readers.

        Raises:
            DataError: If the disk refuses.
        """
        with _writing(self.path):
            for dataset, entry in zip(self._datasets, entries, strict=True):
                if len(dataset) <= index:
                    dataset.resize(index + 1, axis=0)
                dataset[index] = entry
            for dataset in self._datasets[::-1]:  # The images last: whoever sees a frame sees all that belongs to it.
                dataset.flush()
            if self._marks is not None:
                self._marks[index] = 1
                self._marks.flush()

    def read(self, index: int) -> list[np.ndarray]:
        """Read a frame that was written."""
        return [np.asarray(dataset[index]) for dataset in self._datasets]

    def close(self) -> None:
        """Close the file."""
        with _writing(self.path):
            self._file.close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        fault = disk_fault(error, path) if isinstance(error, OSError) else None
        text = " ".join(str(error).split())[:200]
        raise DataError(fault or Diagnostic(str(path), f"cannot be written: {text}")) from error


def _write_fixed(file: Any, scan: FrameScan) -> None:
    """Write groups, attributes and the arrays that stay."""
    for path, attributes in scan.groups.items():
        (file.require_group(path) if path else file).attrs.update(attributes)
    file.attrs[SCAN] = scan.identity
    for array, value in zip(scan.fixed, scan.values, strict=True):
        dtype = h5py.string_dtype() if array.dtype == TEXT else None
        file.create_dataset(array.path, data=value, dtype=dtype).attrs.update(array.attributes)


@dataclass(frozen=True)
class GrowingState:
    """State of a growing file when it was read.

    Args:
        scan: Everything but the frames.
        received: Whether each of the declared frames is there.
    """

    scan: FrameScan
    received: Bool[np.ndarray, " frame"]

    @property
    def count(self) -> int:
        """Number of frames that are there."""
        return int(self.received.sum())

    @property
    def is_whole(self) -> bool:
        """Whether all frames are there."""
        return bool(self.received.all())

    @property
    def missing(self) -> list[int]:
        """Indices of the frames that are not there."""
        return [int(i) for i in np.flatnonzero(~self.received)]


def read_growing(path: Path) -> GrowingState | None:
    """Read the state of a growing acquisition.

    Returns:
        The state; None where the file is none, or cannot be read yet.

    Raises:
        DataError: If the file says what cannot be: a number of frames that is none.
    """
    with _open_growing(path) as file:
        return None if file is None else _state(file, path)


def write_snapshot(growing: Path, output: Path, *, mask: str) -> GrowingState | None:
    """Write the frames that are there as an acquisition of the full number, with the missing ones masked.

    Args:
        growing: The growing file.
        output: File to write, for a short time: it is not compressed.
        mask: Path of the array that marks bad pixels, 0 for good ones.

    Returns:
        State of what was written; None where the file cannot be read.

    Raises:
        DataError: If the disk refuses.
    """
    with _open_growing(growing) as file:
        state = None if file is None else _state(file, growing)
        if state is None:
            return None
        scan = state.scan
        with guard(growing, "the growing file"), _writing(output), h5py.File(output, "w") as target:
            own = mask.strip("/")
            pairs = [(a, v) for a, v in zip(scan.fixed, scan.values, strict=True) if a.path != own]
            arrays, values = tuple(a for a, _ in pairs), tuple(v for _, v in pairs)
            _write_fixed(target, replace(scan, fixed=arrays, values=values))
            for array in scan.frame_arrays:
                if array.path != own:
                    data = _filled(file[array.path], state.received)
                    target.create_dataset(array.path, data=data).attrs.update(array.attributes)
            _write_mask(target, file, own, state)
        return state


def _filled(dataset: Any, received: Bool[np.ndarray, " frame"]) -> np.ndarray:
    """Read an array with an entry for each frame; a missing image is 0, a missing number the mean of the others."""
    data = np.zeros((len(received), *dataset.shape[1:]), dataset.dtype)
    count = min(len(dataset), len(received))
    data[:count] = dataset[:count]
    is_number = data.ndim == 1 and data.dtype.kind in "iuf" and received.any()
    data[~received] = data[received].mean() if is_number else 0
    return data


def _write_mask(target: Any, file: Any, path: str, state: GrowingState) -> None:
    """Write the mask of a snapshot: that of the file, and all of each missing frame."""
    shape = (state.scan.frames, *state.scan.images.shape)
    bad = np.zeros(shape, np.uint8)
    if path in file:
        own = np.asarray(file[path][()])
        bad[: len(own) if own.ndim == len(shape) else None] = own
    bad[~state.received] = 1
    target.create_dataset(path, data=bad).attrs["units"] = "1"


def collect(growing: Path, output: Path) -> None:
    """Write the frames of a growing file as a finished acquisition, which appears whole or not at all.

    Args:
        growing: The growing file, with all of its frames.
        output: File to write.

    Raises:
        DataError: If a frame is missing, or the disk refuses.
    """
    with _open_growing(growing) as file:
        state = None if file is None else _state(file, growing)
        if state is None or not state.is_whole:
            raise DataError(Diagnostic(str(growing), "does not hold all of its frames", "send the scan again"))
        scan = state.scan
        with write_atomically(output) as temporary, new_hdf5(temporary) as target:
            _write_fixed(target, scan)
            for array in scan.frame_arrays:
                options: dict[str, Any] = {}
                if array.shape:
                    options = {"chunks": (1, *array.shape), "compression": 1, "shuffle": True, "fletcher32": True}
                dataset = target.create_dataset(array.path, (scan.frames, *array.shape), array.dtype, **options)
                dataset.attrs.update(array.attributes)
                for index in range(scan.frames):
                    dataset[index] = file[array.path][index]


@contextmanager
def _open_growing(path: Path) -> Iterator[Any]:
    """Open a file that another process may be writing; None where it is no growing acquisition, or not one yet."""
    file = None
    try:
        for attempt in range(_TRIES):
            try:
                file = h5py.File(path, "r", libver="latest", swmr=True)
                break
            except (OSError, ValueError):  # Not HDF5, not for such readers, or just being made.
                if attempt == _TRIES - 1 or not path.is_file():
                    break
                time.sleep(_PAUSE)
        yield file
    finally:
        if file is not None:
            file.close()


def _state(file: Any, path: Path) -> GrowingState | None:
    for _ in range(_TRIES):
        try:
            return _read_state(file, path)
        except (OSError, KeyError, RuntimeError, ValueError, TypeError):  # It is being changed.
            time.sleep(_PAUSE)
    return None


def _read_state(file: Any, path: Path) -> GrowingState | None:
    if text_of(file.attrs.get("format", "")) != FORMAT or not isinstance(file.get("measurement"), h5py.Group):
        return None
    growing = {
        name: node for name, node in file["measurement"].items() if isinstance(node, h5py.Dataset) and _can_grow(node)
    }
    main = next(
        (name for name in (text_of(file["measurement"].attrs.get("signal", "")), "images") if name in growing), ""
    )
    if not main:
        return None
    for node in growing.values():
        node.refresh()
    images = growing[main]
    declared = images.attrs.get(FRAMES, images.maxshape[0])
    place = f"{path}:/measurement/{main}"
    if declared is None:
        remedy = f"write its attribute {FRAMES}, or limit its first axis (maxshape)"
        raise DataError(Diagnostic(place, "does not say how many frames there will be", remedy))
    frames = int(declared)
    if frames < 1 or frames < len(images):
        message = f"holds {len(images)} frames, and says that there will be {frames}"
        raise DataError(Diagnostic(place, message, f"correct its attribute {FRAMES}"))
    moving = [f"measurement/{main}", *(f"measurement/{name}" for name in growing if name != main)]
    received = np.zeros(frames, bool)
    if RECEIVED in file:
        file[RECEIVED].refresh()
        received[:] = file[RECEIVED][()] == 1
    else:
        received[: min(len(node) for node in growing.values())] = True
    scan = describe_file(file, moving, frames, path.name.removesuffix(path.suffix).removesuffix(".partial"))
    return GrowingState(scan, received)


def _can_grow(dataset: Any) -> bool:
    """Whether an array has an entry for each frame, of which some may be still to come."""
    if not dataset.shape:
        return False
    return FRAMES in dataset.attrs or dataset.maxshape[0] is None or dataset.maxshape[0] > dataset.shape[0]
