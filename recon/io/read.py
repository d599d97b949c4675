"""Read an acquisition: find its arrays, fit their axes, take what is wanted, check every number.

All faults are gathered and told at once.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..acquisition import Acquisition
from ..config.entries import Entry
from ..config.source import Source
from ..errors import DataError, Diagnostic
from ..volume import Volume
from .axes import MatchedAxes, fit
from .checks import filled, mask_faults, mask_for, number_faults
from .hdf5 import Hdf5ArrayTree
from .hdf5_common import FORMAT_VERSION, require_version
from .lazy_arrays import ArrayTree, Index
from .open import Reader, open_tree
from .resolve import ComplexSource, Located, SourceMap, missing_diagnostic, resolve

Select: TypeAlias = Callable[[Mapping[str, int]], Mapping[str, Index]]
"""From the sizes of the axes, the part to take along each; axes that it leaves out are taken whole."""


def read_file(
    path: str | Path,
    schema: Sequence[Entry],
    names: SourceMap | None = None,
    kind: str = "cell",
    select: Select | None = None,
    readers: Sequence[Reader] = (),
) -> Acquisition:
    """Read an acquisition from any file that can be read.

    Args:
        path: A file of ours or a foreign one, a folder of TIFFs, or a pattern.
        schema: What to look for.
        names: Where the config says things are; what it leaves out is looked for at our own paths.
        kind: Kind of experiment.
        select: Which views and pixels to take.
        readers: Readers of further formats, tried first.

    Raises:
        DataError: With every fault that was found.
    """
    acquisition, faults = read_all(path, schema, names, kind, select, readers)
    if faults:
        raise DataError(*faults)
    return acquisition


def read_all(
    path: str | Path,
    schema: Sequence[Entry],
    names: SourceMap | None = None,
    kind: str = "cell",
    select: Select | None = None,
    readers: Sequence[Reader] = (),
) -> tuple[Acquisition, list[Diagnostic]]:
    """Read what can be read, and list what is wrong.

    Takes the arguments of ``read_file``.

    Raises:
        DataError: If the file cannot be opened at all.
        UnflatError: What ``select`` raises.
    """
    with open_tree(Path(path), readers) as tree:
        _require_kind(tree, kind)
        located, faults, astray = _locate_all(tree, schema, names or {})
        fitted, sizes, misfits = fit(located, matlab=tree.form.startswith("MATLAB"))
        _require_numbers(fitted)
        faults += misfits + _lacking(tree, schema, astray | {item.entry.name for item in located})
        chosen = select(sizes) if select is not None else {}
        arrays, indices, unreadable = _fetch_all(fitted, chosen)
        faults += unreadable
        truth = _truth(tree, kind)
        facts = _facts(tree)
    places = {item.entry.name: item.place for item in located}
    faults += _all_number_faults(schema, arrays, places, indices)
    hiding = _hiding(schema, arrays)
    arrays = {name: filled(array, mask_for(array, hiding)) for name, array in arrays.items()}
    acquisition = Acquisition(kind, arrays, str(path), truth, facts, places)
    return acquisition, faults


def _require_kind(tree: ArrayTree, kind: str) -> None:
    """Refuse a file of ours that holds another kind of measurement, or is of a later format.

    Raises:
        DataError: If it is such a file.
    """
    if not _ours(tree):
        return
    facts = tree.attributes("/") or {}
    require_version(tree.path, str(facts.get("format_version", FORMAT_VERSION)))
    found = facts.get("kind", kind)
    if found != kind:
        message = f"is an acquisition of a {found}, not of a {kind}"
        raise DataError(Diagnostic(str(tree.path), message, f"see: unflat info '{tree.path}'"))


def _require_numbers(fitted: list[MatchedAxes]) -> None:
    """Refuse arrays without a single number, from which no size can be taken.

    Raises:
        DataError: With a fault for each of them.
    """
    empty = [item.located for item in fitted if 0 in item.located.leaf.shape]
    if empty:
        remedy = "copy or acquire it again; the writer was stopped before its first image, or the name is wrong"
        raise DataError(
            *(Diagnostic(item.place, f"is empty: its shape is {item.leaf.shape}", remedy) for item in empty)
        )


def _locate_all(
    tree: ArrayTree, schema: Sequence[Entry], names: SourceMap
) -> tuple[list[Located], list[Diagnostic], set[str]]:
    """Find every entry; give what was found, the faults, and the names of the entries that have one."""
    located: list[Located] = []
    faults: list[Diagnostic] = []
    astray: set[str] = set()
    for entry in schema:
        source = names.get(entry.name, Source.parse(entry.path))
        try:
            found = resolve(tree, entry, source)
        except DataError as error:
            faults += error.faults
            astray.add(entry.name)
            continue
        if found is not None:
            located.append(found)
            faults += _contradiction(tree, found, source)
    return located, faults, astray


def _contradiction(tree: ArrayTree, found: Located, source: Source | ComplexSource | None) -> list[Diagnostic]:
    """Compare a length in the config with the file's own: mixed micrometres and nanometres are the usual error."""
    if not isinstance(source, Source) or not source.is_literal or found.entry.unit != "m":
        return []
    try:
        own = resolve(tree, found.entry, Source.parse(found.entry.path))
        if own is None:
            return []
        stored = np.ravel(own.leaf.read()).astype(float) * own.factor
    except (DataError, ValueError, TypeError):  # The file's own number is no good; the config's is there to mend it.
        return []
    given = np.ravel(found.leaf.read())
    comparable = given.size in (1, stored.size) and (given > 0).all() and (stored > 0).all()
    if not comparable or np.allclose(given, stored, rtol=0.01, atol=0):
        return []
    message = f"the config says {_plain(given)} m, the file {_plain(stored)} m ({own.place})"
    remedy = "correct the config, or leave it out to believe the file"
    thousands = np.log10(given / stored[: given.size]) / 3
    if np.allclose(thousands, np.round(thousands), atol=0.01):
        remedy = f"a unit is missing: they differ by a factor of 1e{3 * round(float(thousands[0])):d}; {remedy}"
    return [Diagnostic(found.place, message, remedy)]


def _lacking(tree: ArrayTree, schema: Sequence[Entry], have: set[str]) -> list[Diagnostic]:
    """Faults for what is needed and absent; what is there and cannot be used has its own fault already."""
    faults = [missing_diagnostic(tree, e) for e in schema if e.required and not e.choice and e.name not in have]
    for choice in dict.fromkeys(e.choice for e in schema if e.choice):
        members = [e for e in schema if e.choice == choice]
        if not have & {e.name for e in members}:
            faults.append(missing_diagnostic(tree, *members))
    return faults


def _fetch_all(
    fitted: list[MatchedAxes], chosen: Mapping[str, Index]
) -> tuple[dict[str, np.ndarray], dict[str, tuple[Index, ...]], list[Diagnostic]]:
    arrays: dict[str, np.ndarray] = {}
    indices: dict[str, tuple[Index, ...]] = {}
    faults: list[Diagnostic] = []
    for item in fitted:
        name = item.located.entry.name
        index = tuple(chosen.get(axis, slice(None)) for axis in item.axes)
        try:
            arrays[name], indices[name] = _fetch(item, index), index
        except DataError as error:
            faults += error.faults
    return arrays, indices, faults


def _fetch(item: MatchedAxes, index: tuple[Index, ...]) -> np.ndarray:
    """Read one array in SI: measurements in single precision, the instrument's numbers in double."""
    located = item.located
    entry, stored = located.entry, located.leaf.fetch(index)
    if entry.dtype == "text":
        return _texts(stored, located.place)
    if stored.dtype.kind not in "biufc":
        what = "text" if stored.dtype.kind in "SUO" else str(stored.dtype)
        raise DataError(Diagnostic(located.place, f"holds {what}; expected numbers"))
    if stored.dtype.kind == "c" and entry.dtype != "complex":
        remedy = "name it as acquisition.field" if entry.name == "images" else ""
        raise DataError(Diagnostic(located.place, f"{entry.name} holds complex numbers; expected real ones", remedy))
    if entry.dtype == "integer":
        return (stored != 0).astype(np.uint8) if entry.hides else stored.astype(np.int64)
    measured = entry.path.startswith("/measurement/")
    if entry.dtype == "complex":
        array = stored.astype(np.complex64)
    else:
        array = stored.astype(np.float32 if measured else np.float64)
    return array if located.factor == 1 else np.asarray(array * located.factor, array.dtype)


def _texts(stored: np.ndarray, place: str) -> np.ndarray:
    """Words, however the file keeps them.

    Raises:
        DataError: If it holds numbers.
    """
    if stored.dtype.kind not in "SUO":
        raise DataError(Diagnostic(place, f"holds {stored.dtype}; expected text", "name another array, or null"))
    words = [w.decode(errors="replace") if isinstance(w, bytes) else str(w) for w in stored.ravel()]
    return np.array(words, dtype=np.str_).reshape(stored.shape)


def _hiding(schema: Sequence[Entry], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The array that marks bad pixels, under the name by which it is looked for; nothing where the kind has none."""
    hiding = next((entry.name for entry in schema if entry.hides and entry.name in arrays), None)
    return {} if hiding is None else {"mask": arrays[hiding]}


def _all_number_faults(
    schema: Sequence[Entry],
    arrays: Mapping[str, np.ndarray],
    places: Mapping[str, str],
    indices: Mapping[str, tuple[Index, ...]],
) -> list[Diagnostic]:
    faults: list[Diagnostic] = []
    for entry in schema:
        if entry.name not in arrays:
            continue
        array, place = arrays[entry.name], places[entry.name]
        if entry.hides:
            faults += mask_faults(array, place, each_view="view" in entry.axes[-1])
        else:
            faults += number_faults(entry, array, place, indices[entry.name], mask_for(array, _hiding(schema, arrays)))
    return faults


def _truth(tree: ArrayTree, kind: str) -> Volume | None:
    """The specimen, where a file of ours carries it."""
    if not isinstance(tree, Hdf5ArrayTree) or "truth" not in tree.file or not _ours(tree):
        return None
    from .volume_hdf5 import read_group

    return read_group(tree.file["truth"], kind)


def _ours(tree: ArrayTree) -> bool:
    return (tree.attributes("/") or {}).get("format") == "unflat-acquisition"


def _facts(tree: ArrayTree) -> dict[str, float | str]:
    """Plain facts of our own files; the root attributes that every file of ours has are not among them."""
    if not _ours(tree):
        return {}
    housekeeping = {"format", "format_version", "creator", "created", "kind", "default", "NX_class"}
    facts: dict[str, float | str] = {}
    for name, value in (tree.attributes("/") or {}).items():
        if name not in housekeeping and isinstance(value, str | int | float | np.number):
            facts[name] = value if isinstance(value, str) else float(value)
    return facts


def _plain(numbers: np.ndarray) -> str:
    return ", ".join(f"{n:g}" for n in numbers)
