"""Other files that hold the numbers of an HDF5 dataset: sources of a virtual dataset, files of external storage.

HDF5 gives zeros, or another fill value, where such a file is absent or too short. Here it is refused, with its name.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

from ..errors import DataError, Diagnostic
from .confinement import Confinement, UnreadReferenceError

_BLOCK = re.compile(r"%(%|b)")
"""Number of a block in the name of a source, and a literal percent sign."""
_MOST_NAMED = 3
_TAKES = "takes its numbers from"

Open: TypeAlias = Callable[[Path, str], Any]
"""Function that opens the dataset of another file."""
Visit: TypeAlias = Callable[..., None]
"""Function that makes sure that HDF5 can open some files."""
Bounds: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass
class ExternalSource:
    """One source of a virtual dataset.

    Args:
        file: Name of its file; ``.`` for the same.
        name: Name of the dataset in it.
        bounds: First and last indices, in the virtual dataset, that it holds; None if they are not fixed.
        least: Least shape that it has; empty if it is not fixed.
        count: Least number of elements that it has.
    """

    file: str
    name: str
    bounds: Bounds | None
    least: tuple[int, ...]
    count: int = 0


class Sources:
    """Sources of a virtual dataset, each looked at when a part of it is read.

    Args:
        dataset: The virtual dataset.
        place: Place of the dataset, for messages.
        confinement: Folders in which the files must lie.
        open_dataset: Function that opens the dataset of another file.
        visit: Function that makes sure that HDF5 can open some files.
    """

    def __init__(self, dataset: Any, place: str, confinement: Confinement, open_dataset: Open, visit: Visit) -> None:
        self._file, self._place, self._confinement = dataset.file.filename, place, confinement
        self._open, self._visit = open_dataset, visit
        self._rest = [_source(part) for part in dataset.virtual_sources()]

    def require(self, bounds: Bounds | None) -> None:
        """Refuse a selection of which a source is absent.

        Args:
            bounds: First and last indices of the selection; None for all.

        Raises:
            DataError: If one is absent, outside the folder, or too short.
        """
        needed = [source for source in self._rest if _meet(source.bounds, bounds)]
        faults: list[Diagnostic] = []
        located: list[tuple[ExternalSource, Path]] = []
        for source in needed:
            try:
                located += [(source, path) for path in self._locate(source)]
            except UnreadReferenceError as error:
                faults += error.faults
        if not faults:
            self._visit(*dict.fromkeys(path for _, path in located))
        for source, path in located if not faults else ():
            try:
                self._require_whole(source, path)
            except DataError as error:
                faults += error.faults
        if faults:
            raise DataError(_summary(faults, len(needed)))
        self._rest = [source for source in self._rest if source not in needed]

    def _locate(self, source: ExternalSource) -> list[Path]:
        """Find the file of a source, or those of all its blocks."""
        if source.file == ".":
            return [Path(self._file)]
        paths = []
        for name in _block_names(source.file, Path(self._file).parent):
            path = self._confinement.locate(name, self._file, self._place, _TAKES)
            beside, elsewhere = Path(self._file).absolute().parent / name, Path.cwd() / name
            # HDF5 looks beside the file, then in the current folder, then where a symbolic link leads.
            if not beside.is_file() and elsewhere.is_file() and not elsewhere.samefile(path):
                message = f"takes its numbers from {name}, which is both {path} and {elsewhere}"
                raise UnreadReferenceError(Diagnostic(self._place, message, "run the command in another folder"))
            paths.append(path)
        return paths

    def _require_whole(self, source: ExternalSource, path: Path) -> None:
        """Refuse a source that holds less than the virtual dataset takes from it."""
        name = source.name if "%" not in source.name else _BLOCK.sub(lambda m: "%" if m[1] == "%" else "0", source.name)
        try:
            dataset = self._open(path, name)
        except KeyError as error:
            raise DataError(
                Diagnostic(f"{path}:{name}", f"is not there, and {self._place} takes numbers from it")
            ) from error
        is_short = any(have < need for have, need in zip(dataset.shape, source.least, strict=False))
        if is_short or dataset.size < source.count:
            taken = source.least or f"{source.count} numbers"
            message = f"has the shape {dataset.shape}, and {self._place} takes {taken} from it"
            raise DataError(Diagnostic(f"{path}:{name}", message, "wait until it is written, or copy it again"))


def _source(part: Any) -> ExternalSource:
    fixed = "%b" not in part.file_name and "%b" not in part.dset_name
    bounds = least = None
    count = 0
    try:
        if fixed and part.vspace.get_select_npoints() > 0:
            bounds = _bounds(part.vspace)
            if part.src_space.get_select_type() == h5py.h5s.SEL_ALL:
                count = int(part.vspace.get_select_npoints())
            else:
                least = tuple(n + 1 for n in _bounds(part.src_space)[1])
    except (ValueError, RuntimeError):  # Without an end: as much as the source has.
        bounds = least = None
    return ExternalSource(part.file_name, part.dset_name, bounds, least or (), count)


def _bounds(space: Any) -> Bounds:
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        shape = space.get_simple_extent_dims()
        return tuple(0 for _ in shape), tuple(n - 1 for n in shape)
    bounds = space.get_select_bounds()
    if bounds is None:
        raise ValueError("nothing is selected")
    first, last = bounds
    return tuple(map(int, first)), tuple(map(int, last))


def selection_bounds(space: Any) -> Bounds | None:
    """Return the first and last indices of a selection; None if it has none."""
    try:
        return _bounds(space)
    except (ValueError, RuntimeError):
        return None


def _meet(first: Bounds | None, second: Bounds | None) -> bool:
    """Whether two boxes have a point in common."""
    if first is None or second is None or len(first[0]) != len(second[0]):
        return True
    return all(a <= d and c <= b for a, b, c, d in zip(*first, *second, strict=True))


def _block_names(name: str, folder: Path) -> list[str]:
    """Return the names of the files that a name with ``%b`` stands for: those of block 0 to the last that is there."""
    if "%b" not in name:
        return [_BLOCK.sub("%", name)]
    pattern = re.compile(
        "".join(r"(\d+)" if p == "%b" else re.escape(p.replace("%%", "%")) for p in re.split("(%b)", name))
    )
    numbers = [
        int(m[1])
        for path in (folder / name).parent.glob("*")
        if (m := pattern.fullmatch(str(path.relative_to(folder))))
    ]
    return [name.replace("%b", str(i)).replace("%%", "%") for i in range(max(numbers, default=0) + 1)]


def _summary(faults: Sequence[Diagnostic], count: int) -> Diagnostic:
    """Join the faults of many sources."""
    first = faults[0]
    if len(faults) == 1:
        return first
    names = ", ".join(fault.message for fault in faults[1:_MOST_NAMED])
    more = f" (so are {len(faults) - 1} more of {count} sources: {names}{', …' if len(faults) > _MOST_NAMED else ''})"
    return Diagnostic(first.where, first.message + more, first.remedy)


def map_storage(dataset: Any, place: str, confinement: Confinement) -> np.ndarray | None:
    """Return the numbers of a dataset in other files as an array that is read where it is used; None if it has none.

    HDF5 itself would look for these files in the current folder.

    Raises:
        DataError: If a file is absent, outside the folder, or too short.
    """
    creation = dataset.id.get_create_plist()
    parts, rest = [], int(dataset.size) * dataset.dtype.itemsize
    for number in range(creation.get_external_count()):
        name, offset, size = creation.get_external(number)
        path = confinement.locate(name.decode(errors="surrogateescape"), dataset.file.filename, place, _TAKES)
        count = min(size, rest)
        if path.stat().st_size < offset + count:
            message = f"holds {path.stat().st_size} bytes, and {place} takes {count} from byte {offset} on"
            raise DataError(Diagnostic(str(path), message, "copy it again"))
        if count:
            parts.append(np.memmap(path, np.uint8, "r", offset, (count,)))
        rest -= count
    if not parts:
        return None
    if rest:
        raise DataError(Diagnostic(place, f"{rest} bytes of it are in no file", "write it again"))
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    array: np.ndarray = joined.view(dataset.dtype).reshape(dataset.shape)
    return array
