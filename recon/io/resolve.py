"""Find where each entry of an acquisition stands: by its name in the config, or at the path of our own files."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np

from ..config.entries import Entry
from ..config.source import Source
from ..errors import DataError, Diagnostic
from .file_units import factor
from .lazy_arrays import ArrayTree, Index, LazyArray

_STAMPS = {"format", "format_version", "created", "creator", "kind", "default", "NX_class"}


@dataclass(frozen=True)
class ComplexSource:
    """A complex array kept as two real ones: scale · (real + i imag)."""

    real: Source
    imag: Source
    scale: float = 1.0


SourceMap: TypeAlias = Mapping[str, Source | ComplexSource | None]
"""Sources by the name of the entry; None for what the file may hold and must not be read."""


@dataclass(frozen=True)
class Located:
    """An array that was found and not yet read.

    Args:
        entry: What it is.
        leaf: The array.
        factor: SI units in one of the stored numbers' unit.
        place: Where it was found, as messages name it.
        order: Names of its axes, slowest first, where the config gives them (``/stack as y x view``).
    """

    entry: Entry
    leaf: LazyArray
    factor: float
    place: str
    order: tuple[str, ...] = ()


def resolve(tree: ArrayTree, entry: Entry, source: Source | ComplexSource | None) -> Located | None:
    """Find one entry.

    Args:
        tree: The open file.
        entry: What to find.
        source: Where the config says it is.

    Returns:
        Where it is, or None if it is absent and nobody asked for it by another name than its own.

    Raises:
        DataError: If the config names something that is not there, or its unit measures something else.
    """
    if source is None:
        return None
    if isinstance(source, ComplexSource):
        return _complex(tree, entry, source)
    if source.is_literal:
        return Located(entry, LazyArray.of(source.value), 1.0, f"acquisition.{entry.name}")
    path, _, order = source.path.partition(" as ")
    path = path.strip()
    place = f"{tree.path}:{path}" + (f"@{source.attribute}" if source.attribute else "")
    leaf = _attribute(tree, path, source.attribute) if source.attribute else tree.leaf(path)
    if leaf is None:
        if path == entry.path and not source.attribute:
            return None
        raise DataError(_missing(tree, entry, path, source.attribute))
    unit = source.unit or _unit_in_file(leaf, entry)
    try:
        scale = factor(unit, entry.unit) if unit else 1.0
    except ValueError as error:
        remedy = f"say acquisition.{entry.name}: '{path} in {'um' if entry.unit == 'm' else entry.unit}'"
        raise DataError(Diagnostic(place, str(error), remedy)) from error
    return Located(entry, leaf, scale, place, tuple(order.replace(",", " ").split()))


def missing_diagnostic(tree: ArrayTree, entry: Entry, *others: Entry) -> Diagnostic:
    """Say that something is needed that the file does not hold.

    Args:
        tree: The open file.
        entry: What is needed.
        others: What would do instead.
    """
    wanted = " nor ".join(f"{e.path} ({e.meaning})" for e in (entry, *others))
    lack = "neither" if others else "no"
    remedy = f"name it in the config (acquisition.{entry.name}: {_forms(entry)}), {_held(tree)}"
    return Diagnostic(str(tree.path), f"the file holds {lack} {wanted}", remedy)


def _attribute(tree: ArrayTree, path: str, name: str) -> LazyArray | None:
    found = tree.attributes(path)
    if found is None or name not in found:
        return None
    return LazyArray.of(np.asarray(found[name]))


def _unit_in_file(leaf: LazyArray, entry: Entry) -> str:
    """The file's own word for the unit; brightness is counted in so many ways that none of them matters."""
    unit = leaf.attributes.get("units", "")
    return unit.strip() if isinstance(unit, str) and entry.unit != "counts" else ""


def _missing(tree: ArrayTree, entry: Entry, path: str, attribute: str) -> Diagnostic:
    where = f"{tree.path}:{path}"
    if attribute:
        held = tree.attributes(path)
        if held is not None:
            shown = ", ".join(list(held)[:12]) or "none"
            message = f"there is no attribute {attribute!r} for acquisition.{entry.name}"
            return Diagnostic(where, message, f"its attributes are {shown}{_did_you_mean(attribute, list(held))}")
    message = f"there is nothing of that name, for acquisition.{entry.name}"
    near = _did_you_mean(path, [*tree.names(), *_root_attributes(tree)])
    number = "; the config may give a plain number instead" if _may_be_number(entry) else ""
    return Diagnostic(where, message, f"{_held(tree)}{near}{number}")


def _may_be_number(entry: Entry) -> bool:
    """Whether one number does, so that it can stand in the config itself."""
    return any(axes in ((), ("1",), ("2",)) for axes in entry.axes) and entry.dtype != "text"


def _forms(entry: Entry) -> str:
    return "/path, /@attribute, or a plain number" if _may_be_number(entry) else "/path"


def _root_attributes(tree: ArrayTree) -> list[str]:
    """Attributes of the file as the config names them; not those that say whose file it is."""
    return [f"/@{name}" for name in tree.attributes("/") or {} if name not in _STAMPS]


def _did_you_mean(name: str, held: list[str]) -> str:
    """Name the nearest, by the whole path or by its last part."""
    found = get_close_matches(name, held, n=1)
    if not found:
        last = {path.rpartition("/")[2]: path for path in held}
        found = [last[key] for key in get_close_matches(name.rpartition("/")[2], list(last), n=1)]
    return f"; did you mean {found[0]!r}?" if found else ""


def _held(tree: ArrayTree) -> str:
    shown = []
    for name in tree.names()[:8]:
        try:
            leaf = tree.leaf(name)
        except DataError:
            leaf = None
        shown.append(name if leaf is None else f"{name} {leaf.shape}")
    more = ", …" if len(tree.names()) > 8 else ""
    facts = _root_attributes(tree)
    more += f"; attributes {', '.join(facts[:8])}{', …' if len(facts) > 8 else ''}" if facts else ""
    return f"it holds {', '.join(shown)}{more}" if shown else f"it holds no arrays{more}"


def _complex(tree: ArrayTree, entry: Entry, source: ComplexSource) -> Located:
    """Present two real arrays as one complex one."""
    parts = [resolve(tree, entry, part) for part in (source.real, source.imag)]
    real, imag = parts
    if real is None or imag is None:
        part = source.real if real is None else source.imag
        raise DataError(_missing(tree, entry, part.path, part.attribute))
    if real.leaf.shape != imag.leaf.shape:
        message = f"the real part has the shape {real.leaf.shape}, the imaginary part {imag.leaf.shape}"
        raise DataError(Diagnostic(real.place, message, "name two arrays of one shape"))
    first, second, scale = real.leaf, imag.leaf, source.scale

    def fetch(index: tuple[Index, ...]) -> np.ndarray:
        array = np.asarray(first.fetch(index), np.complex64)
        array.imag = second.fetch(index)
        return array * np.float32(scale)

    leaf = LazyArray(first.shape, np.dtype(np.complex64), fetch, first.attributes)
    return Located(entry, leaf, real.factor, real.place, real.order)
