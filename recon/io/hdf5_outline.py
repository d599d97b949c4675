"""Outline of an HDF5 file: the frames that it declares and holds, and the other files that it refers to.

It is read in a child, as the file may be damaged, and once for each state of the file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError
from .child import Answer, Report, run_in_child
from .child_pipe import ChildError
from .confinement import candidates
from .frame_scan import FRAMES, RECEIVED
from .hdf5_common import text_of
from .hdf5_open import open_unlocked
from .hdf5_walk import hard_child, no_errors
from .write import FORMAT

_MOST_KNOWN = 10_000
"""Outlines after which the oldest are forgotten."""
_MOST_FRAMES = 10**9
_FEW = 8
"""Outlines after which a helper reads further ones."""


@dataclass(frozen=True)
class Hdf5Outline:
    """Outline of an HDF5 file.

    Args:
        frames: Number of frames that are there, where fewer than the declared ones are; 0 else.
        declared: Number of frames that the file declares, where it holds fewer; 0 else.
        references: Names of other files, as it states them.
    """

    frames: int = 0
    declared: int = 0
    references: tuple[str, ...] = ()


_known: dict[tuple[str, int, int, int], Hdf5Outline] = {}


def outline_of(path: Path) -> Hdf5Outline:
    """Read the outline of a file; an empty one where it cannot be read, which its reader reports."""
    try:
        state = path.stat()
    except OSError:
        return Hdf5Outline()
    key = (str(path), state.st_ino, state.st_size, state.st_mtime_ns)
    if key not in _known:
        try:
            (frames, declared, references), _ = run_in_child(read_outline, str(path), often=len(_known) >= _FEW)
            outline = Hdf5Outline(int(frames), int(declared), tuple(map(str, references)))
        except (ChildError, DataError, MemoryError):
            outline = Hdf5Outline()
        if len(_known) >= _MOST_KNOWN:
            del _known[next(iter(_known))]
        _known[key] = outline
    return _known[key]


def references_of(path: Path) -> tuple[list[Path], list[str]]:
    """List the files beside an HDF5 file that it refers to, and the names of those that are not there."""
    there, absent = [], []
    for name in outline_of(path).references:
        file = next((place for place in candidates(name, path) if place.is_file()), None)
        if file is None:
            absent.append(name)
        elif file not in there:
            there.append(file)
    return there, absent


def read_outline(report: Report, path: str) -> Answer:
    """Read the outline of a file: the task of a child."""
    frames = declared = 0
    references: list[str] = []
    with no_errors(), open_unlocked(path) as file:
        with no_errors():
            frames, declared = lacking_frames(file)
        seen: set[Any] = set()
        groups = [file]
        while groups:
            group = groups.pop()
            for name in group:
                report()
                with no_errors():
                    references += _external(group, name)
                    node = hard_child(group, name, seen)
                    if isinstance(node, h5py.Group):
                        groups.append(node)
                    elif isinstance(node, h5py.Dataset):
                        references += _sources(node)
    return [frames, declared, list(dict.fromkeys(name for name in references if name and "%" not in name))], ()


def lacking_frames(file: Any) -> tuple[int, int]:
    """Count the frames of an open acquisition in unflat's format that grew frame by frame, and was not completed.

    Returns:
        Number of frames that are there, and the number that is declared; 0 and 0 for a complete file, or another one.
    """
    if text_of(file.attrs.get("format", "")) != FORMAT or not isinstance(file.get("measurement"), h5py.Group):
        return 0, 0
    if isinstance(marks := file.get(RECEIVED), h5py.Dataset) and marks.ndim == 1:
        count, total = int((np.asarray(marks[()]) == 1).sum()), len(marks)
        return (count, total) if count < total else (0, 0)
    group, short = file["measurement"], []
    signal = text_of(group.attrs.get("signal", ""))
    for node in [_member(group, name) for name in ([signal] if signal in group else group)]:
        if isinstance(node, h5py.Dataset) and node.shape:
            declared = np.ravel(node.attrs.get(FRAMES, node.maxshape[0] or 0))
            if declared.size == 1 and declared.dtype.kind in "iuf" and declared[0] > len(node):
                short.append((len(node), int(min(declared[0], _MOST_FRAMES))))
    return min(short, default=(0, 0))


def _member(group: Any, name: str) -> Any:
    """Return an entry of a group; None for a link that leads nowhere."""
    try:
        return group[name]
    except (KeyError, OSError):
        return None


def _external(group: Any, name: str) -> list[str]:
    """Name the file to which an entry of a group is a link."""
    link = group.get(name, getlink=True)
    return [link.filename] if isinstance(link, h5py.ExternalLink) else []


def _sources(dataset: h5py.Dataset) -> list[str]:
    """Name the files in which the numbers of a dataset are."""
    if dataset.is_virtual:
        return [source.file_name for source in dataset.virtual_sources() if source.file_name != "."]
    return [str(file) for file, *_ in dataset.external or ()]
