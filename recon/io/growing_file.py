"""Acquisition files that grow frame by frame while others read them (HDF5 single writer, multiple readers)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool

from ..errors import DataError, Diagnostic
from .atomic import disk_fault, flush, temporary_name
from .frame_scan import FRAMES, RECEIVED, SCAN, TEXT, FrameArray, FrameScan
from .growing_state import GrowingState, count_frames, open_growing, state_of
from .guard import guard
from .seal import write_seal

_LARGEST = 1 << 34
"""[bytes] Largest snapshot."""
_ROOM = 1 << 14
"""[bytes] Size of a file without its arrays, and some more."""


BROKEN: list["GrowingWriter"] = []
"""Writers whose files HDF5 could not write: it crashes when they are collected, or when the process ends as usual."""


class GrowingWriter:
    """Growing file that this process writes, until `close`.

    Args:
        path: The file, which is replaced; one with marks must be a new one.
        scan: Everything but the frames.
        marked: Whether frames may come out of order, so that those that are there are marked.

    Raises:
        DataError: If the disk refuses.
    """

    def __init__(self, path: Path, scan: FrameScan, *, marked: bool = False) -> None:
        self.path, self.scan, self.is_broken = path, scan, False
        self._marks: Any = None
        with _writing(path):
            _require_room(path, sum(array.size for array in scan.fixed) + _ROOM)
            self._file = h5py.File(path, "x" if marked else "w", libver="latest")
            try:
                _write_fixed(self._file, scan)
                self._datasets = [self._create(array) for array in scan.frame_arrays]
                if marked:
                    self._marks = self._file.create_dataset(RECEIVED, data=np.zeros(scan.frames, np.uint8))
                self._file.swmr_mode = True
            except BaseException:
                self.is_broken = True
                BROKEN.append(self)
                path.unlink(missing_ok=True)
                raise

    def _create(self, array: FrameArray) -> Any:
        shape, chunks = (0, *array.shape), (1, *array.shape)
        limit = (self.scan.frames, *array.shape)
        options = {"maxshape": limit, "chunks": chunks, "fletcher32": True}
        dataset = self._file.create_dataset(array.path, shape, array.dtype, **options)
        dataset.attrs.update({**array.attributes, FRAMES: self.scan.frames})
        return dataset

    def write(self, index: int, entries: Sequence[np.ndarray]) -> None:
        """Write a frame, and show it to readers.

        Raises:
            DataError: If the disk refuses.
        """
        with self._noting_faults():
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

    def forget(self, index: int) -> None:
        """Mark a frame that was written as one that is still to come."""
        with _writing(self.path):
            self._marks[index] = 0
            self._marks.flush()

    def finish(self, output: Path) -> None:
        """Close the file with all of its frames, and give it the name of a finished acquisition.

        Raises:
            DataError: If a frame is missing, or the disk refuses; then it may be called again.
        """
        self.close()
        state = count_frames(self.path)
        if state is None or not (state.is_whole and _has_chunks(self.path, self.scan)):
            self.is_broken = True
            raise DataError(Diagnostic(str(self.path), "does not hold all of its frames", "send the scan again"))
        with _writing(output):
            write_seal(self.path)
            flush(self.path)
            self.path.rename(output)

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return bool(self._file)

    def close(self) -> None:
        """Close the file; one that could not be written is left as it is: HDF5 may crash over it."""
        if not self.is_broken:
            with self._noting_faults():
                self._file.close()

    @contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            with _writing(self.path):
                yield
        except DataError:
            self.is_broken = True
            BROKEN.append(self)
            raise


def read_frames(path: Path, state: GrowingState) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Iterate over the frames that a growing file holds, without those that its disk has not kept."""
    with h5py.File(path, "r", libver="latest", swmr=True) as file:
        datasets = [file[array.path] for array in state.scan.frame_arrays]
        for index in np.flatnonzero(state.received):
            with suppress(OSError):
                place = [(int(index), *(0 for _ in dataset.shape[1:])) for dataset in datasets]
                chunks = [d.id.get_chunk_info_by_coord(p) for d, p in zip(datasets, place, strict=True)]
                if all(chunk.byte_offset is not None for chunk in chunks):
                    yield int(index), [np.asarray(dataset[index]) for dataset in datasets]


def _has_chunks(path: Path, scan: FrameScan) -> bool:
    """Whether a file has all frames on the disk: what was written after an error of the disk may not be there."""
    with _writing(path), h5py.File(path, "r") as file:
        return all(file[array.path].id.get_num_chunks() == scan.frames for array in scan.frame_arrays)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        fault = disk_fault(error, path)
        text = " ".join(str(error).split())[:200]
        raise DataError(fault or Diagnostic(str(path), f"cannot be written: {text}")) from error


def _require_room(path: Path, count: int) -> None:
    """Write and remove as many bytes as a file begins with: HDF5 crashes where it cannot even begin.

    Raises:
        OSError: If the disk refuses.
    """
    probe = temporary_name(path)
    try:
        probe.write_bytes(bytes(count))
    finally:
        probe.unlink(missing_ok=True)


def _write_fixed(file: Any, scan: FrameScan) -> None:
    """Write groups, attributes and the arrays that stay."""
    for path, attributes in scan.groups.items():
        (file.require_group(path) if path else file).attrs.update(attributes)
    file.attrs[SCAN] = scan.identity
    for array, value in zip(scan.fixed, scan.values, strict=True):
        dtype = h5py.string_dtype() if array.dtype == TEXT else None
        file.create_dataset(array.path, data=value, dtype=dtype).attrs.update(array.attributes)


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
    with open_growing(growing) as file:
        state = state_of(file, growing)
        if state is None:
            return None
        scan = state.scan
        if (size := sum(array.size for array in scan.frame_arrays) * scan.frames) > _LARGEST:
            message = f"would have {size / 1e9:.3g} GB with all of its frames, too many for previews"
            raise DataError(Diagnostic(str(growing), message))
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
