"""Description of a file for people: a summary of our own files and volumes, and the tree of all readable files."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..errors import DataError
from . import network_file
from .hdf5_common import ROOT_ATTRIBUTES
from .image_axes import describe_axes
from .json_text import parse_json
from .lazy_arrays import ArrayTree, LazyArray
from .metadata import VOXEL
from .open import Reader, open_tree
from .phasing_programs import read_phased
from .volume_formats import outline, require_format

Describer: TypeAlias = Callable[[Path], list[str] | None]
"""Function of an experiment that describes a format of its own in lines of text; None for any other path."""

_SMALL = 100_000
_SHOWN_VALUES = 6
_LONG_TEXT = 60
_MOST_LINES = 400
_HIDDEN = ROOT_ATTRIBUTES | {"signal", "axes", "long_name"}
"""Attributes of our own files that are for programs, or stand in the summary."""


def describe(path: str | Path, readers: Sequence[Reader] = (), describers: Sequence[Describer] = ()) -> list[str]:
    """Describe a file in lines of text.

    Args:
        path: A file of ours or a foreign one, a folder of TIFFs, or a pattern.
        readers: Readers of further formats, tried first.
        describers: Functions that describe further formats, tried first.

    Raises:
        DataError: If it cannot be opened.
    """
    path = Path(path)
    for describer in (*describers, _describe_volume):
        lines = describer(path)
        if lines is not None:
            return lines
    phased = _describe_phased(path)
    if phased and (path.is_dir() or path.suffix.lower() == ".npy"):  # Nothing else to show.
        return phased
    with open_tree(path, readers) as tree:
        try:
            summary = summarise(tree)
        except DataError:  # The tree below names the array that cannot be read.
            summary = []
        hidden = _HIDDEN if summary else frozenset()
        return [
            f"{path}: {tree.form}",
            *phased[1:],
            *(f"  {line}" for line in summary),
            *_describe_attributes(tree.attributes("/") or {}, "  ", hidden),
            *_describe_tree(tree, hidden),
        ]


def _describe_volume(path: Path) -> list[str] | None:
    """Describe a volume in MRC, VTI or our own OME-TIFF from its header alone; None for any other file.

    Raises:
        DataError: If it is truncated, or no volume.
    """
    volume = outline(path)
    if volume is None:
        return None
    lines = [
        f"{path}: {require_format(path).name}",
        f"  volume of a {volume.kind}" if volume.kind else "  volume",
        f"  {_describe_grid((volume.z, volume.y, volume.x), in_voxels=volume.length_unit == VOXEL)}",
    ]
    lines += [f"  @{name} = {value}" for name, value in volume.attributes.items()]
    for quantity in volume.quantities:
        words = [quantity.name, str(volume.values[quantity.name].dtype), f"[{quantity.unit}]", quantity.meaning]
        lines.append("  " + "  ".join(word for word in words if word))
    return lines


def _describe_grid(axes: Sequence[np.ndarray], *, in_voxels: bool = False) -> str:
    """Return numbers, distances and extents of samples.

    Args:
        axes: [m] Coordinates along z, y, x.
        in_voxels: Whether coordinates count voxels of unknown size.
    """
    counts = " x ".join(str(len(axis)) for axis in axes)
    steps = [float(axis[-1] - axis[0]) / max(len(axis) - 1, 1) for axis in axes]
    if in_voxels:
        distances = "" if np.allclose(steps, 1) else f", {' x '.join(f'{step:.4g}' for step in steps)} voxels apart"
        return f"{counts} samples (z, y, x) of unknown spacing{distances}"
    steps = [1e9 * step for step in steps]
    extents = " x ".join(f"{len(axis) * step * 1e-3:.4g}" for axis, step in zip(axes, steps, strict=True))
    return f"{counts} samples (z, y, x), {' x '.join(f'{step:.4g}' for step in steps)} nm apart, {extents} um in all"


def _describe_phased(path: Path) -> list[str]:
    """Describe a density that another program phased, and the assumed convention; nothing for any other file."""
    if not path.exists():
        return []
    volume = read_phased(path)
    if volume is None:
        return []
    sizes = " x ".join(map(str, volume.shape))
    return [
        f"{path}: phased {volume.kind}",
        f"  density by {volume.attributes['program']}, read as {volume.attributes['assumed']}",
        f"  {sizes} voxels (frame, y, x){', with its support' if 'support' in volume.values else ''}",
    ]


def _describe_tree(tree: ArrayTree, hidden: Collection[str]) -> list[str]:
    """Return one line for each group and array, indented by depth."""
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
                lines.append(f"{indent}{groups[depth - 1]}/")
                lines += _describe_attributes(tree.attributes(f"/{group}") or {}, indent + "  ", hidden)
        lines += _describe_array(tree, name, last, "  " * (len(groups) + 1), hidden)
    return lines


def _describe_array(tree: ArrayTree, name: str, last: str, indent: str, hidden: Collection[str]) -> list[str]:
    try:
        array = tree.array(name)
        values = "" if array is None else _format_values(array)
    except DataError as error:
        return [f"{indent}{last}  {error.faults[0].message}"]
    if array is None:
        return []
    shape = " x ".join(map(str, array.shape)) if array.shape else "scalar"
    unit = array.attributes.get("units")
    words = [f"{indent}{last}", shape, str(array.dtype), f"[{unit}]" if isinstance(unit, str) and unit else "", values]
    rest = {key: value for key, value in array.attributes.items() if key != "units"}
    lines = ["  ".join(word for word in words if word), *_describe_attributes(rest, indent + "  ", hidden)]
    if array.axes:
        lines.append(f"{indent}  axes: {describe_axes(array)}")
    return lines + [f"{indent}  {remark}" for remark in array.remarks]


def _describe_attributes(attributes: Mapping[str, Any], indent: str, hidden: Collection[str]) -> list[str]:
    return [f"{indent}@{name} = {_format_text(value)}" for name, value in attributes.items() if name not in hidden]


def _format_values(array: LazyArray) -> str:
    """Return the value, or the range of values, of a small array; nothing for others."""
    if not 0 < array.size <= _SMALL:
        return ""
    values = array.read()
    if values.dtype.kind in "SOUa":
        return _format_text(np.ravel(values)[0]) if array.size == 1 else ""
    if values.dtype.kind not in "biufc":
        return ""
    if array.size <= _SHOWN_VALUES:
        return "= " + ", ".join(f"{value:g}" for value in np.ravel(values).tolist())
    if values.dtype.kind == "c":
        return f"|values| {np.abs(values).min():g} … {np.abs(values).max():g}"
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    others = f", {array.size - finite.size} not finite" if finite.size < array.size else ""
    return f"{finite.min():g} … {finite.max():g}{others}" if finite.size else "no finite number"


def _format_text(value: Any) -> str:
    """Format a value on one line."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, np.ndarray) and value.size > _SHOWN_VALUES:
        return f"{value.dtype} array {value.shape}"
    text = " ".join(str(value).split())
    return text if len(text) <= _LONG_TEXT else text[: _LONG_TEXT - 1] + "…"


def summarise(tree: ArrayTree) -> list[str]:
    """Summarise a file of ours in a few lines; return nothing for a foreign one."""
    attributes = tree.attributes("/") or {}
    form = str(attributes.get("format", ""))
    summaries: dict[str, Callable[[ArrayTree], Iterator[str]]] = {
        "unflat-acquisition": _summarise_acquisition,
        "unflat-volume": _summarise_volume,
        "unflat-model": _summarise_model,
        network_file.FORMAT: _summarise_network,
    }
    if form not in summaries:
        return []
    kind = f" of a {attributes['kind']}" if "kind" in attributes else ""
    creator = attributes.get("creator", "unflat")
    created = f", made {attributes['created']} by {creator}" if "created" in attributes else ""
    return [f"{form.removeprefix('unflat-')}{kind}{created}", *summaries[form](tree)]


def _summarise_acquisition(tree: ArrayTree) -> Iterator[str]:
    for name, content in (("images", "intensity images"), ("field", "complex fields")):
        array = tree.array(f"/measurement/{name}")
        if array is not None and len(array.shape) == 3:
            views, y, x = array.shape
            yield f"{views} {content} of {y} x {x} pixels (y, x)"
    is_far_field = tree.array("/instrument/detector_distance") is not None
    if tree.array("/instrument/reciprocal_basis") is not None:
        yield "steps of q are known"
    elif is_far_field:
        yield "steps of q are unknown: results are in voxels"
    # A pixel in the specimen is in nm, one of a far detector in µm.
    pixel = ("pixel {:.4g} um", 1e6) if is_far_field else ("pixel {:.4g} nm", 1e9)
    numbers = [
        _format_number(tree, "wavelength", "wavelength {:.4g} nm", 1e9),
        _format_number(tree, "numerical_aperture", "NA {:g}"),
        _format_number(tree, "medium_index", "medium index {:g}"),
        _format_number(tree, "pixel_size", *pixel),
        _format_number(tree, "detector_distance", "detector at {:.4g} m"),
    ]
    if any(numbers):
        yield ", ".join(number for number in numbers if number)
    yield from _summarise_illumination(tree)
    if any(name.startswith("/truth/") for name in tree.names()):
        yield "carries its truth"


def _summarise_illumination(tree: ArrayTree) -> Iterator[str]:
    forms = {"illumination_na": "one direction of light a view", "source_na": "several sources a view"}
    for name, content in forms.items():
        array = tree.array(f"/instrument/{name}")
        if array is not None and len(array.shape) == 2 and array.shape[0] and array.shape[1] == 2:
            largest = float(np.hypot(*array.read().T).max())
            rotation = ", turning specimen" if tree.array("/instrument/rotation") is not None else ""
            yield f"{content}, up to NA {largest:.4g}{rotation}"
            return


def _summarise_volume(tree: ArrayTree) -> Iterator[str]:
    arrays = {axis: tree.array(f"/volume/{axis}") for axis in "zyx"}
    axes = {axis: array.read() for axis, array in arrays.items() if array is not None and _is_axis(array)}
    if len(axes) == 3:
        names = [name.removeprefix("/volume/") for name in tree.names() if name.startswith("/volume/")]
        in_voxels = any(array is not None and str(array.attributes.get("units")) == VOXEL for array in arrays.values())
        yield _describe_grid(list(axes.values()), in_voxels=in_voxels)
        yield f"quantities: {', '.join(name for name in names if name not in axes)}"


def _is_axis(array: LazyArray) -> bool:
    """Whether an array is a row of real numbers."""
    return len(array.shape) == 1 and array.size > 0 and array.dtype.kind in "iuf"


def _summarise_model(tree: ArrayTree) -> Iterator[str]:
    array = tree.array("/architecture")
    stored: Any = array.read() if array is not None else (tree.attributes("/") or {}).get("architecture")
    try:
        architecture = parse_json(stored.item() if isinstance(stored, np.ndarray) else stored)
        yield f"field: {architecture['type']}, version {architecture['version']}"
    except (TypeError, ValueError, KeyError, AttributeError):
        pass
    yield from _summarise_series(tree)
    yield from _count_weights(tree)


def _summarise_series(tree: ArrayTree) -> Iterator[str]:
    positions = tree.array("/series/positions")
    if positions is None or positions.size < 2 or positions.dtype.kind not in "iuf":
        return
    first, *_, last = np.ravel(positions.read()).tolist()
    name, unit = (tree.attributes("/series") or {}).get("name", "position"), positions.attributes.get("units", "1")
    yield f"series of {positions.size} acquisitions: {name} = {first:.10g} to {last:.10g} {unit}".removesuffix(" 1")


def _summarise_network(tree: ArrayTree) -> Iterator[str]:
    yield from _count_weights(tree)
    if trained_on := (tree.attributes("/") or {}).get(network_file.TRAINED_ON):
        yield f"trained on {trained_on}"
    if tree.array(f"/{network_file.SELF_TEST}/values") is None:
        yield "no self-test: an earlier version wrote it"
    else:
        yield "self-test: whoever uses it verifies that it gives the values that it gave after its training"


def _count_weights(tree: ArrayTree) -> Iterator[str]:
    weights = [w for name in tree.names() if name.startswith("/weights/") and (w := tree.array(name)) is not None]
    if weights:
        yield f"{sum(w.size for w in weights):,} parameters in {len(weights)} arrays"


def _format_number(tree: ArrayTree, name: str, form: str, scale: float = 1.0) -> str:
    """Format one or two numbers of the instrument; nothing if the file lacks them."""
    array = tree.array(f"/instrument/{name}")
    if array is None or not 0 < array.size <= 2 or array.dtype.kind not in "iuf":
        return ""
    return " x ".join(form.format(float(value) * scale) for value in dict.fromkeys(np.ravel(array.read()).tolist()))
