"""Reading of an acquisition: find its arrays, match their axes, select a part, check every number.

All faults are collected and reported together.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..acquisition import Acquisition, AxisRange
from ..config.advice import shell
from ..config.entries import Entry
from ..config.source import Source
from ..errors import DataError, Diagnostic
from ..volume import Volume
from .axes import MatchedArray, match_axes
from .checks import check_mask, check_numbers, fill_masked, mask_for
from .complex_source import ComplexSource
from .fetch import fetch_all, may_mark_gaps, measured
from .guard import guard
from .hdf5 import file_of
from .hdf5_common import FORMAT_VERSION, ROOT_ATTRIBUTES, require_version
from .hdf5_outline import lacking_frames
from .image_axes import ImageChoice, choose_parts
from .lazy_arrays import IMAGES, ArrayTree, Index, LazyArray
from .name_faults import missing_diagnostic
from .name_pattern import has_fields
from .open import Reader, open_tree
from .resolve import SourceMap, resolve
from .resolved_array import ResolvedArray
from .side_files import SideFiles

logger = logging.getLogger(__name__)

Select: TypeAlias = Callable[[Mapping[str, int]], Mapping[str, Index]]
"""Function that returns, for the sizes of the axes, the selection along each; axes without one are read whole."""
Narrow: TypeAlias = Callable[[Mapping[str, LazyArray], Mapping[str, Index]], Mapping[str, Index]]
"""Function that reduces a selection after a look at the arrays, by the names of their entries, read in parts."""


def read_file(
    path: str | Path,
    schema: Sequence[Entry],
    sources: SourceMap,
    kind: str,
    select: Select | None = None,
    readers: Sequence[Reader] = (),
    choice: ImageChoice | None = None,
) -> Acquisition:
    """Read an acquisition from a file of any format.

    Args:
        path: A file of ours or a foreign one, a folder of TIFFs, or a pattern.
        schema: Entries to read.
        sources: Sources that the config names; other entries are read from the paths of our own files.
        kind: Kind of experiment.
        select: Selection of views and pixels.
        readers: Readers of further formats, tried first.
        choice: Position, channel, time and plane of image files; None for a kind whose config has no such keys.

    Raises:
        DataError: With every fault of the file.
    """
    acquisition, faults = read_all(path, schema, sources, kind, select, readers, choice)
    if faults:
        raise DataError(*faults)
    return acquisition


def read_all(
    path: str | Path,
    schema: Sequence[Entry],
    sources: SourceMap,
    kind: str,
    select: Select | None = None,
    readers: Sequence[Reader] = (),
    choice: ImageChoice | None = None,
    narrow: Narrow | None = None,
) -> tuple[Acquisition, list[Diagnostic]]:
    """Read the arrays that can be read, and list the faults of the others.

    Takes the arguments of ``read_file``, and ``narrow``, which reduces the selection to a part worth reading.

    Raises:
        DataError: If the file cannot be opened at all.
        UnflatError: Errors of ``select``.
    """
    path, sources = _named_images(Path(path), schema, sources)
    state = _state_of(path)
    with open_tree(path, readers) as tree, SideFiles(path) as files:
        _require_kind(tree, kind)
        _require_frames(tree)
        resolved, faults, faulty = _resolve_all(tree, schema, sources, files)
        faulty |= {item.entry.name for item in resolved}
        resolved, ambiguities = choose_parts(resolved, choice)
        _log_remarks(resolved)
        matched, sizes, misfits = match_axes(resolved)
        _require_numbers(matched)
        faults += ambiguities + misfits + _missing_faults(tree, schema, faulty)
        selection = select(sizes) if select is not None else {}
        if narrow is not None:
            selection = {**selection, **narrow(measured(matched), selection)}
        arrays, indices, unreadable = fetch_all(matched, selection)
        faults += unreadable
        truth = _read_truth(tree, kind)
        attributes = _own_attributes(tree)
    if state != _state_of(path):
        message = "was changed by another program while it was read"
        raise DataError(Diagnostic(str(path), message, "wait until its writer has closed it"))
    places = {item.entry.name: item.place for item in resolved}
    gaps = {item.resolved.entry.name for item in matched if may_mark_gaps(item.resolved)}
    faults += _check_all([replace(e, has_gaps=e.has_gaps or e.name in gaps) for e in schema], arrays, places, indices)
    masks = _find_mask(schema, arrays)
    arrays = {name: fill_masked(array, mask_for(array, masks)) for name, array in arrays.items()}
    notes, ranges = _origins(matched), _ranges(selection, sizes)
    return Acquisition(kind, arrays, str(path), truth, attributes, places, notes=notes, ranges=ranges), faults


@contextmanager
def open_arrays(
    path: str | Path, schema: Sequence[Entry], sources: SourceMap, kind: str, readers: Sequence[Reader] = ()
) -> Iterator[Mapping[str, LazyArray]]:
    """Open an acquisition whose arrays are read in parts, in SI, while the block runs.

    Args:
        path: A file of ours or a foreign one, a folder of TIFFs, or a pattern.
        schema: Entries to read.
        sources: Sources that the config names; other entries are read from the paths of our own files.
        kind: Kind of experiment.
        readers: Readers of further formats, tried first.

    Raises:
        DataError: If the file cannot be opened, or an array is not found or of another shape.
    """
    path, sources = _named_images(Path(path), schema, sources)
    with open_tree(path, readers) as tree, SideFiles(path) as files:
        _require_kind(tree, kind)
        _require_frames(tree)
        resolved, faults, _ = _resolve_all(tree, schema, sources, files)
        matched, _, misfits = match_axes(choose_parts(resolved, None)[0])
        if faults or misfits:
            raise DataError(*faults, *misfits)
        yield measured(matched)


def _ranges(selection: Mapping[str, Index], sizes: Mapping[str, int]) -> dict[str, AxisRange]:
    """Name the part of each axis that was read, where it is an unbroken one."""
    slices = {axis: part.indices(sizes[axis]) for axis, part in selection.items() if isinstance(part, slice)}
    parts = {axis: part for axis, part in slices.items() if part[2] == 1 and part[:2] != (0, sizes[axis])}
    return {axis: AxisRange(part[0], sizes[axis]) for axis, part in parts.items()}


def _named_images(path: Path, schema: Sequence[Entry], sources: SourceMap) -> tuple[Path, SourceMap]:
    """Take a pattern of a folder's images that names numbers as part of the path: the numbers are arrays as well."""
    for entry in schema:
        source = sources.get(entry.name)
        if entry.path != IMAGES or not isinstance(source, Source) or not path.is_dir():
            continue
        name = source.file or source.path.lstrip("/")
        if has_fields(name):
            return path / name, {**sources, entry.name: replace(source, path=IMAGES, file="")}
    return path, sources


def _log_remarks(resolved: Sequence[ResolvedArray]) -> None:
    """Warn of what the images that are read leave out of their file."""
    for item in resolved:
        if item.entry.path.startswith("/measurement/"):
            for remark in item.array.remarks:
                logger.warning("%s: %s", item.place, remark)


def _require_kind(tree: ArrayTree, kind: str) -> None:
    """Raise an error for a file of ours that holds another kind of measurement, or is of a later format.

    Raises:
        DataError: If it is such a file.
    """
    if not _is_ours(tree):
        return
    attributes = tree.attributes("/") or {}
    require_version(tree.path, str(attributes.get("format_version", FORMAT_VERSION)))
    own = str(attributes.get("kind", kind))
    if own != kind:
        message = f"is an acquisition of a {own}, not of a {kind}"
        raise DataError(Diagnostic(str(tree.path), message, f"see: {shell('unflat', 'info', tree.path)}"))


def _state_of(path: Path) -> tuple[int, int]:
    """Return the size and time of a file, which change with its contents; zeros for what is no single file."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return (state.st_size, state.st_mtime_ns) if path.is_file() else (0, 0)


def _require_frames(tree: ArrayTree) -> None:
    """Raise an error for a measurement of ours that was to have more frames: it was interrupted.

    Raises:
        DataError: If it is one.
    """
    file = file_of(tree)
    frames, declared = (0, 0) if file is None else lacking_frames(file)
    if frames < declared:
        remedy = "measure or send it again; to take it as it is, write that number into the attribute 'frames'"
        raise DataError(Diagnostic(str(tree.path), f"holds {frames} of the {declared} frames it declares", remedy))


def _require_numbers(matched: list[MatchedArray]) -> None:
    """Raise an error for arrays without a single number, from which no size can be taken.

    Raises:
        DataError: With a fault for each of them.
    """
    empty = [item.resolved for item in matched if 0 in item.resolved.array.shape]
    if empty:
        remedy = "copy or acquire it again; the writer was stopped before its first image, or the name is wrong"
        raise DataError(
            *(Diagnostic(item.place, f"is empty: its shape is {item.array.shape}", remedy) for item in empty)
        )


def _resolve_all(
    tree: ArrayTree, schema: Sequence[Entry], sources: SourceMap, files: SideFiles
) -> tuple[list[ResolvedArray], list[Diagnostic], set[str]]:
    """Find every entry; return the arrays, the faults, and the names of the entries that have a fault."""
    resolved: list[ResolvedArray] = []
    faults: list[Diagnostic] = []
    faulty: set[str] = set()
    for entry in schema:
        source = sources.get(entry.name, Source.parse(entry.path))
        try:
            item = resolve(tree, entry, source, files)
        except DataError as error:
            faults += error.faults
            faulty.add(entry.name)
            continue
        if item is not None:
            resolved.append(item)
            faults += _contradiction(tree, item, source, files)
    return resolved, faults, faulty


def _contradiction(
    tree: ArrayTree, item: ResolvedArray, source: Source | ComplexSource | None, files: SideFiles
) -> list[Diagnostic]:
    """Compare a length in the config with that of the file: mixed micrometres and nanometres are the usual error."""
    if not isinstance(source, Source) or not source.is_literal or item.entry.unit != "m":
        return []
    try:
        own = resolve(tree, item.entry, Source.parse(item.entry.path), files)
        if own is None:
            return []
        stored = np.ravel(own.array.read()).astype(float) * own.factor
    except (DataError, ValueError, TypeError):  # The number in the file is unusable; the config's replaces it.
        return []
    given = np.ravel(item.array.read())
    is_comparable = given.size in (1, stored.size) and (given > 0).all() and (stored > 0).all()
    if not is_comparable or np.allclose(given, stored, rtol=0.01, atol=0):
        return []
    message = f"the config says {_format(given)} m, the file {_format(stored)} m ({own.place})"
    if own.array.origin:  # Not a name of ours: programs fill such numbers in unasked.
        logger.warning("%s: %s; the config's is taken", item.place, message)
        return []
    remedy = "correct the config, or leave it out to believe the file"
    thousands = np.log10(given / stored[: given.size]) / 3
    if np.allclose(thousands, np.round(thousands), atol=0.01):
        remedy = f"a unit is missing: they differ by a factor of 1e{3 * round(float(thousands[0])):d}; {remedy}"
    return [Diagnostic(item.place, message, remedy)]


def _origins(matched: Sequence[MatchedArray]) -> tuple[str, ...]:
    """Name the arrays that were found where neither config nor our own layout has them, in sentences."""
    items = [(item.resolved.entry.name, item.resolved.array) for item in matched]
    return tuple(f"{name} from {array.origin}" for name, array in items if array.origin)


def _missing_faults(tree: ArrayTree, schema: Sequence[Entry], names: set[str]) -> list[Diagnostic]:
    """List a fault for each required entry that is not among the names."""
    faults = [missing_diagnostic(tree, e) for e in schema if e.required and not e.choice and e.name not in names]
    for choice in dict.fromkeys(e.choice for e in schema if e.choice):
        members = [e for e in schema if e.choice == choice]
        if not names & {e.name for e in members}:
            faults.append(missing_diagnostic(tree, *members))
    return faults


def _find_mask(schema: Sequence[Entry], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the array that marks bad pixels under the name ``mask``; nothing if the schema has none."""
    name = next((entry.name for entry in schema if entry.hides and entry.name in arrays), None)
    return {} if name is None else {"mask": arrays[name]}


def _check_all(
    schema: Sequence[Entry],
    arrays: Mapping[str, np.ndarray],
    places: Mapping[str, str],
    indices: Mapping[str, tuple[Index, ...]],
) -> list[Diagnostic]:
    """List the faults of all numbers."""
    faults: list[Diagnostic] = []
    masks, can_mask = _find_mask(schema, arrays), any(entry.hides for entry in schema)
    for entry in schema:
        if entry.name not in arrays:
            continue
        array, place = arrays[entry.name], places[entry.name]
        if entry.hides:
            faults += check_mask(array, place, each_view="view" in entry.axes[-1])
        else:
            mask = mask_for(array, masks)
            faults += check_numbers(entry, array, place, indices[entry.name], mask, can_mask=can_mask)
    return faults


def _read_truth(tree: ArrayTree, kind: str) -> Volume | None:
    """Read the true specimen; None if the file is not ours or has none."""
    file = file_of(tree)
    if file is None or not _is_ours(tree):
        return None
    from .hdf5_common import group_in
    from .volume_hdf5 import read_group

    with guard(f"{tree.path}:/truth", "the volume"):
        return read_group(group_in(file, "truth"), kind) if "truth" in file else None


def _is_ours(tree: ArrayTree) -> bool:
    return str((tree.attributes("/") or {}).get("format")) == "unflat-acquisition"


def _own_attributes(tree: ArrayTree) -> dict[str, float | str]:
    """Return numbers and texts at the root of a file of ours, without the attributes that all our files have."""
    if not _is_ours(tree):
        return {}
    return {
        name: value if isinstance(value, str) else float(value)
        for name, value in (tree.attributes("/") or {}).items()
        if name not in ROOT_ATTRIBUTES and isinstance(value, str | int | float | np.number)
    }


def _format(numbers: np.ndarray) -> str:
    return ", ".join(f"{n:g}" for n in numbers)
