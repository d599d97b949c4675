"""Scan as frames: arrays with an entry for each frame, and those that are known before the first one.

A growing file, a stream and a replay all carry the same: the groups with their attributes, the arrays that stay, and
for each frame its image and whatever else is measured with it, such as a monitor's count.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..config.entries import Entry
from ..errors import DataError, Diagnostic
from .hdf5_common import open_checked, text_of
from .write import FORMAT

TEXT = "text"
"""Data type of an array of text."""
SCAN = "scan"
"""Root attribute that identifies a scan which came as frames."""
FRAMES = "frames"
"""Attribute of the dataset of images: declared number of frames."""
MOST_FRAMES = 1_000_000
"""Largest number of frames of a scan."""
_TRUTH = "truth"
_BLOCK = 1 << 24
"""[bytes] Size of the blocks in which images are read to identify a scan."""


@dataclass(frozen=True)
class FrameArray:
    """Array of a scan.

    Args:
        path: Path in the file, without a slash at its beginning.
        dtype: Data type as NumPy writes it, ``<u2``, or ``text``.
        shape: Shape; of an array with an entry for each frame that of one entry.
        per_frame: Whether it has an entry for each frame.
        attributes: Plain attributes.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    per_frame: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of bytes, of one entry where each frame has one; 0 for text."""
        return 0 if self.dtype == TEXT else math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def from_bytes(self, content: bytes | memoryview) -> np.ndarray:
        """Convert bytes to the array, or to one entry of it."""
        return np.frombuffer(content, np.dtype(self.dtype)).reshape(self.shape)


@dataclass(frozen=True)
class FrameScan:
    """Everything about a scan that is known before its first frame.

    Args:
        name: Name of the scan, from which those of its files and its run follow.
        identity: Text that no other scan has.
        frames: Declared number of frames.
        frame_arrays: Arrays with an entry for each frame, the images first.
        fixed: The other arrays.
        values: Values of the other arrays, in their order.
        groups: Attributes of the groups by path; the root is the empty path.
    """

    name: str
    identity: str
    frames: int
    frame_arrays: tuple[FrameArray, ...]
    fixed: tuple[FrameArray, ...]
    values: tuple[np.ndarray, ...]
    groups: Mapping[str, Mapping[str, Any]]

    @property
    def images(self) -> FrameArray:
        """The array of images."""
        return self.frame_arrays[0]

    @property
    def kind(self) -> str:
        """Kind of experiment."""
        return str(self.groups.get("", {}).get("kind", ""))


@dataclass(frozen=True)
class FrameSource:
    """Acquisition that is read frame by frame.

    Args:
        scan: Everything but the frames.
        datasets: Datasets of the arrays with an entry for each frame.
    """

    scan: FrameScan
    datasets: tuple[Any, ...]

    def frame(self, index: int) -> list[np.ndarray]:
        """Read one entry of each array that has one."""
        return [np.asarray(dataset[index]) for dataset in self.datasets]


@contextmanager
def open_frame_source(path: Path, schema_of: Callable[[str], Sequence[Entry]], name: str = "") -> Iterator[FrameSource]:
    """Open a finished acquisition in unflat's format, to read it frame by frame; a known truth is left out.

    Args:
        path: The file.
        schema_of: Function that lists the arrays of a kind of experiment.
        name: Name of the scan; that of the file by default.

    Raises:
        DataError: If it is no such file, or holds no images.
    """
    with open_checked(path, FORMAT) as file:
        schema = schema_of(text_of(file.attrs.get("kind", "")))
        main = next((e for e in schema if e.choice == "measurement" and e.path in file), None)
        if main is None or not file[main.path].shape:
            paths = " or ".join(e.path for e in schema if e.choice == "measurement")
            raise DataError(Diagnostic(str(path), f"holds no frames ({paths})", "name an acquisition of unflat's own"))
        frames = int(file[main.path].shape[0])
        moving = [main.path.strip("/"), *(p for p in _moving_paths(file, schema, main) if p != main.path.strip("/"))]
        scan, datasets = describe_file(file, moving, frames, name or path.stem), tuple(file[p] for p in moving)
        yield FrameSource(replace(scan, identity=_identity(scan, datasets)), datasets)


def describe_file(file: Any, moving: Sequence[str], frames: int, name: str) -> FrameScan:
    """Describe an open file, with the identity that its attribute gives, or an empty one.

    Args:
        file: File of h5py.
        moving: Paths of the arrays with an entry for each frame, the images first.
        frames: Declared number of frames.
        name: Name of the scan.
    """
    groups: dict[str, Mapping[str, Any]] = {"": plain_attributes(file)}
    fixed: list[FrameArray] = []
    values: list[np.ndarray] = []
    for path, node in _walk(file):
        if isinstance(node, h5py.Group):
            groups[path] = plain_attributes(node)
        elif path not in moving and node.shape is not None:
            array, value = _describe(path, node)
            fixed.append(array)
            values.append(value)
    arrays = tuple(
        FrameArray(p, file[p].dtype.str, tuple(file[p].shape[1:]), True, plain_attributes(file[p])) for p in moving
    )
    return FrameScan(name, str(groups[""].get(SCAN, "")), frames, arrays, tuple(fixed), tuple(values), groups)


def plain_attributes(node: Any) -> dict[str, Any]:
    """Read the attributes of a group or dataset as text, numbers and lists of them."""
    return {name: plain_value(value) for name, value in node.attrs.items() if name != FRAMES}


def plain_value(value: Any) -> Any:
    """Convert the value of an attribute to text, a number, or a list of either."""
    if isinstance(value, bytes | str):
        return text_of(value)
    array = np.asarray(value)
    if array.dtype.kind in "SOU":
        return [text_of(v) for v in array.ravel()]
    return array.tolist()


def _describe(path: str, dataset: Any) -> tuple[FrameArray, np.ndarray]:
    """Describe an array that stays, and read it."""
    value, attributes = np.asarray(dataset[()]), plain_attributes(dataset)
    if value.dtype.kind in "SOU":
        text = np.array([text_of(v) for v in value.ravel()], dtype=object).reshape(value.shape)
        return FrameArray(path, TEXT, value.shape, False, attributes), text
    return FrameArray(path, value.dtype.str, value.shape, False, attributes), value


def _walk(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Visit groups and datasets, except for the truth and what is no array of the scan."""
    for name in group:
        if not prefix and name in (_TRUTH, RECEIVED):
            continue
        node = group[name]
        yield f"{prefix}{name}", node
        if isinstance(node, h5py.Group):
            yield from _walk(node, f"{prefix}{name}/")


RECEIVED = "received"
"""Dataset of a file that is received out of order: 1 for each frame that is there."""


def _moving_paths(file: Any, schema: Sequence[Entry], main: Entry) -> list[str]:
    """Paths of the arrays that are measured with the frames: their layout begins with the frames' axis."""
    frames = file[main.path].shape[0]
    axes = {layout[0] for layout in main.axes if layout}
    paths = []
    for entry in schema:
        if entry.path not in file or not entry.path.startswith("/measurement/"):
            continue
        shape = file[entry.path].shape
        layouts = [layout for layout in entry.axes if layout and layout[0] in axes and len(layout) == len(shape)]
        if layouts and shape[0] == frames and entry.dtype != "text":
            paths.append(entry.path.strip("/"))
    return paths


def _identity(scan: FrameScan, datasets: Sequence[Any]) -> str:
    """Derive a scan's identity from its frames and from everything else: two measurements are never the same."""
    groups = sorted((path, sorted((k, v) for k, v in one.items() if k != SCAN)) for path, one in scan.groups.items())
    digest = sha256(repr((scan.name, groups)).encode())
    for value in scan.values:
        digest.update(repr(value.tolist()).encode() if value.dtype.kind == "O" else value.tobytes())
    for array, dataset in zip(scan.frame_arrays, datasets, strict=True):
        step = max(1, _BLOCK // max(1, array.size))
        for start in range(0, len(dataset), step):
            digest.update(np.ascontiguousarray(dataset[start : start + step]).tobytes())
    return digest.hexdigest()[:16]
