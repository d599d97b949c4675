"""Faults of the further sections of cells, and warnings."""

from collections.abc import Iterator, Sequence

import numpy as np

from ...acquisition import Acquisition
from ...errors import Diagnostic
from .cells import voxel_of
from .labels import list_some
from .picture_threshold import PictureThreshold, draw_masks
from .schema import PATHS
from .sections import (
    HEIGHT,
    IMAGES,
    MASK,
    PICTURES,
    PLACES,
    ROTATION,
    TILT,
    Section,
    SectionPlane,
    has_sections,
    lacking_heights,
    planes_of,
    read_sections,
)

_ORTHOGONALITY = 1e-3
"""Largest error of the entries of R·Rᵀ − 1 that counts as rounding."""
_HALF_SAMPLE = 0.5
_LEAST_AGREEMENT = 0.8
"""Least overlap of the first mask with the threshold that draws the masks of further pictures."""
_BRIGHTER = 2.0
"""Brightness of further pictures, relative to the first, from which their exposure seems to differ."""


def section_faults(acquisition: Acquisition, names: Sequence[str]) -> list[Diagnostic]:
    """Find faults of further sections.

    Args:
        acquisition: Arrays in SI units, as read or on the common grid.
        names: Name of each cell, for messages.
    """
    faults = _lacking_faults(acquisition)
    if faults or not has_sections(acquisition):
        return faults
    for name in PICTURES:
        if name in acquisition:
            faults += _picture_faults(acquisition, name, names)
    faults += angle_faults(acquisition)
    heights = acquisition[HEIGHT] if HEIGHT in acquisition else np.zeros(1)
    if voxel_of(acquisition) is None and np.any(heights):
        message = f"heights up to {np.abs(heights).max() * 1e6:.4g} um, and the voxel's size is unknown"
        remedy = "set acquisition.voxel_size"
        faults.append(Diagnostic(acquisition.place(HEIGHT, PATHS), message, remedy))
    return faults or _place_faults(acquisition, names)


def height_warnings(acquisition: Acquisition) -> list[str]:
    """Warn of sections without heights, which are taken to go through the centre of the first.

    Args:
        acquisition: Arrays as read, without faults.
    """
    if not has_sections(acquisition) or HEIGHT in acquisition:
        return []
    count = next(acquisition[name].shape[1] for name in PICTURES if name in acquisition)
    return [f"{acquisition.place(HEIGHT, PATHS)}: {lacking_heights(count)}"]


def threshold_faults(acquisition: Acquisition, names: Sequence[str]) -> list[Diagnostic]:
    """Find pictures of further sections from which no mask can be drawn.

    Args:
        acquisition: Arrays on the common grid, without other faults of sections.
        names: Name of each cell, for messages.
    """
    faults = []
    where, voxel = acquisition.place(IMAGES, PATHS), voxel_of(acquisition) or (1.0,) * 3
    for i, sections in _without_masks(acquisition):
        image, mask = acquisition["images"][i], acquisition["mask"][i]
        agreement, remedy = PictureThreshold.of_first(image, mask).agreement, "draw its mask: section_mask"
        for one in draw_masks(sections, image, mask):
            inside, text = np.asarray(one.mask) > 0.5, ""
            if agreement < _LEAST_AGREEMENT:
                text = f"has no mask, and no threshold of the first picture gives the first mask (IoU {agreement:.2f})"
            elif inside.all():
                text = "has no mask, and is brighter everywhere than the outline of the first picture"
            elif not inside.any() and _crosses_mask(one.plane, mask, voxel):
                text = "has no mask, its plane crosses the first mask, and it is darker than the outline there"
            if text:
                faults.append(Diagnostic(where, f"the picture of section {one.number} of {names[i]} {text}", remedy))
    return faults


def section_warnings(acquisition: Acquisition, names: Sequence[str]) -> list[str]:
    """Warn of masks drawn from pictures, and of empty masks, which say that a cell does not reach a plane.

    Args:
        acquisition: Acquisition without faults.
        names: Name of each cell.
    """
    return [*_drawn_masks(acquisition), *_dark_pictures(acquisition, names), *_empty_masks(acquisition, names)]


def _drawn_masks(acquisition: Acquisition) -> list[str]:
    """Say how the masks of sections with a picture alone are drawn."""
    agreements, bright, count = [], [], 0
    for i, sections in _without_masks(acquisition):
        image = acquisition["images"][i]
        agreements.append(PictureThreshold.of_first(image, acquisition["mask"][i]).agreement)
        bright += [float(one.image.max() / image.max()) for one in sections if one.image is not None]
        count += len(sections)
    if not count:
        return []
    where = acquisition.place(IMAGES, PATHS)
    many = "mask of 1 section is drawn from its picture" if count == 1 else f"masks of {count} sections are drawn from"
    many += "" if count == 1 else " their pictures"
    low, high = (f"{limit(agreements):.2f}" for limit in (min, max))
    sentences = [
        f"{where}: the {many}, at the threshold at which the first picture of the cell "
        f"agrees best with its mask (IoU {low if low == high else f'{low} to {high}'})"
    ]
    if max(bright) > _BRIGHTER:
        sentences.append(
            f"{where}: pictures of further sections are up to {max(bright):.2g} times as bright as the first one; "
            "the threshold is right for one exposure only"
        )
    return sentences


def _dark_pictures(acquisition: Acquisition, names: Sequence[str]) -> list[str]:
    """Warn of pictures from which an empty mask is drawn."""
    dark = [
        f"{names[i]} ({one.number})"
        for i, sections in _without_masks(acquisition)
        for one in draw_masks(sections, acquisition["images"][i], acquisition["mask"][i])
        if one.mask is not None and not one.mask.any()
    ]
    if not dark:
        return []
    return [
        f"{acquisition.place(IMAGES, PATHS)}: pictures of sections that are darker everywhere than the outline of the "
        f"first picture are taken to say that the cell does not reach their plane: {list_some(dark)}; give the mask of "
        "those that were exposed otherwise"
    ]


def _without_masks(acquisition: Acquisition) -> list[tuple[int, list[Section]]]:
    """List the cells that have sections with a picture alone, and these."""
    if IMAGES not in acquisition:
        return []
    sections = ([one for one in own if one.mask is None] for own in read_sections(acquisition))
    return [(i, own) for i, own in enumerate(sections) if own]


def _empty_masks(acquisition: Acquisition, names: Sequence[str]) -> list[str]:
    """Warn of empty masks."""
    if MASK not in acquisition:
        return []
    empty = [f"{names[i]} ({k})" for i, k in _masks(acquisition) if not (acquisition[MASK][i, k] > 0).any()]
    if not empty:
        return []
    return [
        f"{acquisition.place(MASK, PATHS)}: empty masks of sections are taken to say that the cell does not reach "
        f"their plane: {list_some(empty)}; write NaN into those that were not segmented"
    ]


def _lacking_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """Find sections without a place, places without a section, and places given twice."""
    places = [name for name in PLACES if name in acquisition]
    if not has_sections(acquisition):
        if not places:
            return []
        message = "gives the places of sections, and there is neither section_mask nor section_images"
        remedy = "name them in acquisition, or set it to null"
        return [Diagnostic(acquisition.place(places[0], PATHS), message, remedy)]
    if not places:
        name = next(name for name in PICTURES if name in acquisition)
        message = f"the places of {count_sections(acquisition[name].shape[1])} are unknown"
        remedy = "set acquisition.section_height, and acquisition.section_tilt or section_rotation"
        return [Diagnostic(acquisition.place(name, PATHS), message, remedy)]
    return []


def _picture_faults(acquisition: Acquisition, name: str, names: Sequence[str]) -> list[Diagnostic]:
    """Find masks and pictures with gaps, full masks and flat pictures."""
    faults = []
    for i, own in enumerate(acquisition[name]):
        for k, values in enumerate(own):
            gaps = ~np.isfinite(values)
            if np.isnan(values).all():
                continue
            if gaps.any():
                message = f"{gaps.sum()} of {gaps.size} pixels are NaN or infinite"
                remedy = "NaN in all of them: it is lacking"
            elif name == MASK and (values > values.max() / 2).all():
                message, remedy = "the mask is full: nothing lies outside the cell", "0 must mean outside"
            elif name == IMAGES and values.max() == values.min():
                message, remedy = f"every pixel is {values.max():g}: nothing is to be seen", "write NaN into all pixels"
            else:
                continue
            faults.append(Diagnostic(acquisition.place(name, PATHS), f"section {k} of {names[i]}: {message}", remedy))
    return faults


def angle_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """Find tilts beside rotations, tilts in degrees, and matrices that are no rotations."""
    if TILT in acquisition and ROTATION in acquisition:
        message = "tilts and rotations are given, of which one is enough"
        return [Diagnostic(acquisition.place(TILT, PATHS), message, "set one of them to null")]
    if TILT in acquisition and (largest := float(np.abs(acquisition[TILT]).max(initial=0))) > 2 * np.pi:
        message = f"its largest tilt is {largest:.4g} rad, more than a turn"
        return [Diagnostic(acquisition.place(TILT, PATHS), message, "name the unit if it is in degrees: '90 deg'")]
    return _rotation_faults(acquisition) if ROTATION in acquisition else []


def count_sections(count: int) -> str:
    """Write a number of further sections in words."""
    return f"{count} further section{'s' * (count != 1)}"


def _rotation_faults(acquisition: Acquisition) -> list[Diagnostic]:
    """Find matrices that are no rotations."""
    matrices = acquisition[ROTATION].reshape(-1, 3, 3)
    error = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    mirrors = np.linalg.det(matrices) < 0
    wrong = np.flatnonzero((error > _ORTHOGONALITY) | mirrors)
    if not wrong.size:
        return []
    first = int(wrong[0])
    why = f"R·Rᵀ differs from 1 by {error[first]:.3g}" if error[first] > _ORTHOGONALITY else "it mirrors the specimen"
    message = f"{wrong.size} of {len(matrices)} matrices are no rotations, the first is number {first}: {why}"
    remedy = "give orthonormal rows (z, y, x) with the determinant 1, or acquisition.section_tilt"
    return [Diagnostic(acquisition.place(ROTATION, PATHS), message, remedy)]


def _place_faults(acquisition: Acquisition, names: Sequence[str]) -> list[Diagnostic]:
    """Find planes outside of the box of their cell, and empty masks of planes that cross the first section."""
    faults = []
    size, voxel = max(acquisition["images"].shape[1:]), voxel_of(acquisition) or (1.0,) * 3
    count = next(acquisition[name].shape[1] for name in PICTURES if name in acquisition)
    planes = planes_of(acquisition, len(names), count)
    empty = {(i, k) for i, k in _masks(acquisition) if not (acquisition[MASK][i, k] > 0).any()}
    for i, k in _present(acquisition):
        if not _crosses_box(planes[i][k], size, voxel):
            reach = size / 2 * voxel[0] * 1e6
            message = (
                f"section {k} of {names[i]}, {planes[i][k].height * 1e6:.4g} um from the first, lies outside of the "
                f"box of the cell, which reaches {reach:.4g} um along z"
            )
            faults.append(Diagnostic(acquisition.place(HEIGHT, PATHS), message, "check the height and its unit"))
        elif (i, k) in empty and _crosses_mask(planes[i][k], acquisition["mask"][i], voxel):
            message = f"section {k} of {names[i]}: the mask is empty, and its plane crosses the first mask"
            remedy = "draw it, or write NaN into all pixels"
            faults.append(Diagnostic(acquisition.place(MASK, PATHS), message, remedy))
    return faults


def _present(acquisition: Acquisition) -> Iterator[tuple[int, int]]:
    """Yield cell and number of the sections that are not lacking."""
    known = np.logical_or.reduce([~np.isnan(acquisition[n]).all(axis=(2, 3)) for n in PICTURES if n in acquisition])
    yield from ((int(i), int(k)) for i, k in np.argwhere(known))


def _masks(acquisition: Acquisition) -> list[tuple[int, int]]:
    """List cell and number of the sections with a mask."""
    if MASK not in acquisition:
        return []
    return [(int(i), int(k)) for i, k in np.argwhere(~np.isnan(acquisition[MASK]).all(axis=(2, 3)))]


def _crosses_box(plane: SectionPlane, size: int, voxel: Sequence[float]) -> bool:
    return bool((np.abs(plane.samples(size, voxel)) < size / 2).all(axis=-1).any())


def _crosses_mask(plane: SectionPlane, mask: np.ndarray, voxel: Sequence[float]) -> bool:
    """Whether a plane crosses the first mask, by the nearest pixels of its intersection with the first plane."""
    samples = plane.samples(max(mask.shape), voxel)
    near = samples[np.abs(samples[..., 0]) <= _HALF_SAMPLE][:, 1:]
    index = np.rint(near + np.array(mask.shape) // 2).astype(int)
    index = index[((index >= 0) & (index < np.array(mask.shape))).all(axis=1)]
    return bool((mask[tuple(index.T)] > mask.max() / 2).any())
