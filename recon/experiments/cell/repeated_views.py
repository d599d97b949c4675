"""Views that nothing distinguishes: of the same light, focus and turn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from ...acquisition import Acquisition
from ...errors import Diagnostic
from .schema import arrays_by_view, measured_views

_PRECISION = {"illumination_na": 1e-6, "pattern": 1e-6, "defocus": 1e-9, "rotation": 1e-6, "exposure": 1e-9}
"""Differences of an array's numbers below which two views are the same."""


def settings_of_views(acquisition: Acquisition) -> Float[np.ndarray, "view setting"]:
    """Collect the numbers that distinguish the views, in units of the precision with which they do."""
    views = len(measured_views(acquisition))
    columns = [np.zeros((views, 1))]
    for name, precision in _PRECISION.items():
        if name in acquisition and acquisition[name].ndim and len(acquisition[name]) == views:
            columns.append(np.round(acquisition[name].reshape(views, -1).astype(float) / precision))
    return np.concatenate(columns, axis=1)


def group_views(acquisition: Acquisition) -> Int[np.ndarray, " view"]:
    """Number the views such that those of the same light, focus and turn share a number, in the order of the file."""
    _, first, group = np.unique(settings_of_views(acquisition), axis=0, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first)))[group.ravel()]


def repetition_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """Report views that cannot be told apart at all."""
    if not {"illumination_na", "pattern"} & set(acquisition.arrays) or not {"images", "field"} & set(
        acquisition.arrays
    ):
        return []  # Reported as missing.
    groups = group_views(acquisition)
    if len(groups) < 2 or groups.max() > 0:
        return []
    same = f"light{_light(acquisition)}{_focus(acquisition)} and turn"
    message = f"all {len(groups)} views have the same {same}: nothing tells them apart"
    remedy = (
        "say what differs between them (a stack of focus: acquisition.focus_step: 1 um, or acquisition.defocus; else "
        "acquisition.illumination_na, led_grid, ring or turn); of repeated images use one, acquisition.views: [0], or "
        "their mean, acquisition.average_repeats: true"
    )
    return [Diagnostic(acquisition.source, message, remedy)]


def repetition_warnings(acquisition: Acquisition) -> list[str]:
    """Name views that repeat the light, focus and turn of others."""
    groups = group_views(acquisition)
    repeated = np.flatnonzero(np.diff(np.maximum.accumulate(groups), prepend=-1) == 0)
    if not repeated.size:
        return []
    first = [int(np.flatnonzero(groups == groups[view])[0]) for view in repeated[:4]]
    pairs = ", ".join(f"{view} of {other}" for view, other in zip(repeated[:4], first, strict=True))
    return [
        f"{acquisition.source}: {repeated.size} of {len(groups)} views repeat the light, focus and turn of others "
        f"({pairs}{', …' if repeated.size > len(first) else ''}), and are taken as images of a specimen that did not "
        "change (acquisition.average_repeats: true takes their mean)"
    ]


def average_repeats(acquisition: Acquisition) -> Acquisition:
    """Replace the views of the same light, focus and turn by their mean over good pixels."""
    groups = group_views(acquisition)
    count = int(groups.max(initial=-1)) + 1
    if count == len(groups):
        return acquisition
    members = [np.flatnonzero(groups == group) for group in range(count)]
    mask = acquisition.arrays.get("mask")
    arrays = dict(acquisition.arrays)
    for name, array in arrays_by_view(acquisition).items():
        if name in ("images", "field", "background"):
            arrays[name] = np.stack([_mean(array[views], None if mask is None else mask, views) for views in members])
        elif name == "mask":
            arrays[name] = np.stack([array[views].min(axis=0) for views in members])
        else:
            arrays[name] = np.stack([array[views[0]] for views in members])
    return replace(acquisition, arrays=arrays)


def _mean(images: np.ndarray, mask: np.ndarray | None, views: Sequence[int] | np.ndarray) -> np.ndarray:
    """Average images over the views in which a pixel is good."""
    if mask is None or mask.ndim == 2:
        return np.asarray(images.mean(axis=0), images.dtype)
    good = mask[views] == 0
    good |= ~good.any(axis=0)
    return np.asarray(np.where(good, images, 0).sum(axis=0) / good.sum(axis=0), images.dtype)


def _light(acquisition: Acquisition) -> str:
    if "pattern" in acquisition:
        return " (one pattern of sources)"
    if "illumination_na" not in acquisition:
        return ""
    y, x = acquisition["illumination_na"][0]
    return " (along the axis)" if not (y or x) else f" (na {y:.4g}, {x:.4g})"


def _focus(acquisition: Acquisition) -> str:
    if "defocus" not in acquisition:
        return ", focus"
    return f", focus ({float(acquisition['defocus'].flat[0]) * 1e6:.4g} um)"
