"""What a file contains, for people: a summary of our own files, and the tree of any file that can be read.

A few sentences about a file of our own: what it is, before the tree of what it holds.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .image_folders import is_sections, open_sections, picture
from .inspect_volume import grid
from .lazy_arrays import ArrayTree, LazyArray
from .open import Reader, open_tree

_SMALL = 100_000
_SHOWN_VALUES = 6
_LONG_TEXT = 60
_MOST_LINES = 400
# Every file of ours has these; they are for programs, or stand in the summary already.
_USUAL = {
    "NX_class",
    "default",
    "signal",
    "axes",
    "long_name",
    "format",
    "format_version",
    "created",
    "creator",
    "kind",
}


def _sections(path: Path) -> list[str]:
    """Sections of cells: how many of each class, and what the first one's files hold."""
    with open_sections(path) as sections:
        counts = Counter(file.label or "no class in the name" for file in sections.files)
        lines = [f"{path}: sections of {len(sections.files)} cells, for the kind shape"]
        lines += [f"  {count} of {label}" for label, count in sorted(counts.items())]
        for part, name in sections.files[0].parts.items():
            found = picture(sections, name)
            size = f", voxel {' x '.join(f'{1e9 * v:.4g}' for v in found.voxel)} nm" if found.voxel else ""
            lines.append(f"  {name}: {part}, {' x '.join(map(str, found.values.shape))} {found.values.dtype}{size}")
    return lines


def describe(path: str | Path, readers: Sequence[Reader] = ()) -> list[str]:
    """Describe a file in lines of text.

    Args:
        path: A file of ours or a foreign one, a folder of TIFFs, or a pattern.
        readers: Readers of further formats, tried first.

    Raises:
        DataError: If it cannot be opened.
    """
    if is_sections(Path(path)):
        return _sections(Path(path))
    phased = _phased(Path(path))
    if phased and not _has_tree(Path(path)):
        return phased
    with open_tree(Path(path), readers) as tree:
        head = f"{path}: {tree.form}"
        try:
            about = summary(tree)
        except DataError:  # The tree below tells which array cannot be read.
            about = []
        hidden = _USUAL if about else set()
        facts = tree.attributes("/") or {}
        return [
            head,
            *phased[1:],
            *(f"  {line}" for line in about),
            *_attributes(facts, "  ", hidden),
            *_tree(tree, hidden),
        ]


def _phased(path: Path) -> list[str]:
    """Say what another program phased, and how it is read; nothing for any other file."""
    from .phasing_programs import read_foreign

    if path.suffix.lower() == ".cxi" or not path.exists():
        return []
    found = read_foreign(path)
    if found is None:
        return []
    sizes = " x ".join(map(str, found.shape))
    facts = found.attributes
    return [
        f"{path}: phased crystal",
        f"  density by {facts['program']}, read as {facts['assumed']}",
        f"  {sizes} voxels (frame, y, x){', with its support' if 'support' in found.values else ''}",
    ]


def _has_tree(path: Path) -> bool:
    """Whether a file holds named arrays; one array alone does not."""
    return path.is_file() and path.suffix.lower() != ".npy"


def _tree(tree: ArrayTree, hidden: set[str]) -> list[str]:
    """One line for each group and array, indented by depth."""
    lines: list[str] = []
    shown_groups: set[str] = set()
    for name in tree.names():
        if len(lines) >= _MOST_LINES:
            lines.append(f"  … and more: {len(tree.names())} arrays in all")
            break
        *groups, last = name.strip("/").split("/")
        for depth in range(1, len(groups) + 1):
            group = "/".join(groups[:depth])
            if group not in shown_groups:
                shown_groups.add(group)
                indent = "  " * depth
                lines += [
                    f"{indent}{groups[depth - 1]}/",
                    *_attributes(tree.attributes(f"/{group}") or {}, indent + "  ", hidden),
                ]
        lines += _array(tree, name, last, "  " * (len(groups) + 1), hidden)
    return lines


def _array(tree: ArrayTree, name: str, last: str, indent: str, hidden: set[str]) -> list[str]:
    try:
        leaf = tree.leaf(name)
        values = "" if leaf is None else _values(leaf)
    except DataError as error:
        return [f"{indent}{last}  {error.faults[0].message}"]
    if leaf is None:
        return []
    shape = " x ".join(map(str, leaf.shape)) if leaf.shape else "scalar"
    unit = leaf.attributes.get("units")
    words = [f"{indent}{last}", shape, str(leaf.dtype), f"[{unit}]" if isinstance(unit, str) and unit else "", values]
    rest = {key: value for key, value in leaf.attributes.items() if key != "units"}
    return ["  ".join(word for word in words if word), *_attributes(rest, indent + "  ", hidden)]


def _values(leaf: LazyArray) -> str:
    """The value, or the range of values, of an array that is quickly read."""
    size = int(np.prod(leaf.shape))
    if not 0 < size <= _SMALL:
        return ""
    array = leaf.read()
    if array.dtype.kind in "SOUa":
        return _text(np.ravel(array)[0]) if size == 1 else ""
    if array.dtype.kind not in "biufc":
        return ""
    if size <= _SHOWN_VALUES:
        return "= " + ", ".join(f"{value:g}" for value in np.ravel(array).tolist())
    if array.dtype.kind == "c":
        return f"|values| {np.abs(array).min():g} … {np.abs(array).max():g}"
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    broken = f", {size - finite.size} not finite" if finite.size < size else ""
    return f"{finite.min():g} … {finite.max():g}{broken}" if finite.size else "no finite number"


def _attributes(attributes: Mapping[str, Any], indent: str, hidden: set[str]) -> list[str]:
    return [f"{indent}@{name} = {_text(value)}" for name, value in attributes.items() if name not in hidden]


def _text(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, np.ndarray) and value.size > _SHOWN_VALUES:
        return f"{value.dtype} array {value.shape}"
    text = " ".join(str(value).split())
    return text if len(text) <= _LONG_TEXT else text[: _LONG_TEXT - 1] + "…"


def summary(tree: ArrayTree) -> list[str]:
    """Say what a file of ours is; nothing for a foreign one."""
    facts = tree.attributes("/") or {}
    form = str(facts.get("format", ""))
    known: dict[str, Callable[[ArrayTree], list[str]]] = {
        "unflat-acquisition": _acquisition,
        "unflat-volume": _volume,
        "unflat-model": _model,
    }
    if form not in known:
        return []
    kind = f" of a {facts['kind']}" if "kind" in facts else ""
    made = f", made {facts['created']} by {facts.get('creator', 'unflat')}" if "created" in facts else ""
    return [f"{form.removeprefix('unflat-')}{kind}{made}", *known[form](tree)]


def _acquisition(tree: ArrayTree) -> list[str]:
    lines = []
    for name, what in (("images", "intensity images"), ("field", "complex fields")):
        leaf = tree.leaf(f"/measurement/{name}")
        if leaf is not None and len(leaf.shape) == 3:
            views, y, x = leaf.shape
            lines.append(f"{views} {what} of {y} x {x} pixels (y, x)")
    basis = tree.leaf("/instrument/reciprocal_basis")
    if (tree.attributes("/") or {}).get("kind") == "crystal":
        lines.append("steps of q are known" if basis is not None else "steps of q are unknown: results are in voxels")
    numbers = [
        _number(tree, "wavelength", "wavelength {:.4g} nm", 1e9),
        _number(tree, "numerical_aperture", "NA {:g}"),
        _number(tree, "medium_index", "medium index {:g}"),
        _pixel(tree),
        _number(tree, "detector_distance", "detector at {:.4g} m"),
    ]
    if any(numbers):
        lines.append(", ".join(number for number in numbers if number))
    lines += _light(tree)
    truth = [name for name in tree.names() if name.startswith("/truth/")]
    return [*lines, *(["carries its truth"] if truth else [])]


def _pixel(tree: ArrayTree) -> str:
    """A pixel in the specimen in nm, one of an X-ray detector in µm."""
    far = tree.leaf("/instrument/detector_distance") is not None
    return _number(tree, "pixel_size", "pixel {:.4g} um" if far else "pixel {:.4g} nm", 1e6 if far else 1e9)


def _light(tree: ArrayTree) -> list[str]:
    for name, what in (("illumination_na", "one direction of light a view"), ("source_na", "several sources a view")):
        leaf = tree.leaf(f"/instrument/{name}")
        if leaf is not None and len(leaf.shape) == 2 and leaf.shape[0]:
            largest = float(np.hypot(*leaf.read().T).max())
            turning = ", turning specimen" if tree.leaf("/instrument/rotation") is not None else ""
            return [f"{what}, up to NA {largest:.4g}{turning}"]
    return []


def _volume(tree: ArrayTree) -> list[str]:
    axes = {axis: leaf.read() for axis in "zyx" if (leaf := tree.leaf(f"/volume/{axis}")) is not None}
    if len(axes) < 3:
        return []
    names = [name.removeprefix("/volume/") for name in tree.names() if name.startswith("/volume/")]
    quantities = ", ".join(name for name in names if name not in axes)
    return [grid(list(axes.values())), f"quantities: {quantities}"]


def _model(tree: ArrayTree) -> list[str]:
    lines = []
    leaf = tree.leaf("/architecture")
    stored: Any = leaf.read() if leaf is not None else (tree.attributes("/") or {}).get("architecture")
    try:
        architecture = json.loads(stored.item() if isinstance(stored, np.ndarray) else stored)
        lines.append(f"field: {architecture['type']}, version {architecture['version']}")
    except (TypeError, ValueError, KeyError, AttributeError):
        pass
    weights = [leaf for name in tree.names() if name.startswith("/weights/") and (leaf := tree.leaf(name)) is not None]
    if weights:
        lines.append(f"{sum(_size(leaf) for leaf in weights):,} parameters in {len(weights)} arrays")
    return lines


def _number(tree: ArrayTree, name: str, form: str, scale: float = 1.0) -> str:
    leaf = tree.leaf(f"/instrument/{name}")
    if leaf is None or not 0 < _size(leaf) <= 2:
        return ""
    return " x ".join(form.format(float(value) * scale) for value in dict.fromkeys(np.ravel(leaf.read()).tolist()))


def _size(leaf: LazyArray) -> int:
    return int(np.prod(leaf.shape))
