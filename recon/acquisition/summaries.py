"""A few sentences about a file of our own: what it is, before the tree of what it holds."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ..volumes.describing import grid
from .tree import Leaf, Tree


def summary(tree: Tree) -> list[str]:
    """Say what a file of ours is; nothing for a foreign one."""
    facts = tree.attributes("/") or {}
    form = str(facts.get("format", ""))
    known: dict[str, Callable[[Tree], list[str]]] = {
        "unflat-acquisition": _acquisition,
        "unflat-volume": _volume,
        "unflat-model": _model,
    }
    if form not in known:
        return []
    kind = f" of a {facts['kind']}" if "kind" in facts else ""
    made = f", made {facts['created']} by {facts.get('creator', 'unflat')}" if "created" in facts else ""
    return [f"{form.removeprefix('unflat-')}{kind}{made}", *known[form](tree)]


def _acquisition(tree: Tree) -> list[str]:
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


def _pixel(tree: Tree) -> str:
    """A pixel in the specimen in nm, one of an X-ray detector in µm."""
    far = tree.leaf("/instrument/detector_distance") is not None
    return _number(tree, "pixel_size", "pixel {:.4g} um" if far else "pixel {:.4g} nm", 1e6 if far else 1e9)


def _light(tree: Tree) -> list[str]:
    for name, what in (("illumination_na", "one direction of light a view"), ("source_na", "several sources a view")):
        leaf = tree.leaf(f"/instrument/{name}")
        if leaf is not None and len(leaf.shape) == 2 and leaf.shape[0]:
            largest = float(np.hypot(*leaf.read().T).max())
            turning = ", turning specimen" if tree.leaf("/instrument/rotation") is not None else ""
            return [f"{what}, up to NA {largest:.4g}{turning}"]
    return []


def _volume(tree: Tree) -> list[str]:
    axes = {axis: leaf.read() for axis in "zyx" if (leaf := tree.leaf(f"/volume/{axis}")) is not None}
    if len(axes) < 3:
        return []
    names = [name.removeprefix("/volume/") for name in tree.names() if name.startswith("/volume/")]
    quantities = ", ".join(name for name in names if name not in axes)
    return [grid(list(axes.values())), f"quantities: {quantities}"]


def _model(tree: Tree) -> list[str]:
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


def _number(tree: Tree, name: str, form: str, scale: float = 1.0) -> str:
    leaf = tree.leaf(f"/instrument/{name}")
    if leaf is None or not 0 < _size(leaf) <= 2:
        return ""
    return " x ".join(form.format(float(value) * scale) for value in dict.fromkeys(np.ravel(leaf.read()).tolist()))


def _size(leaf: Leaf) -> int:
    return int(np.prod(leaf.shape))
