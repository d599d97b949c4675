"""Shapes against the truth, as ``unflat evaluate`` asks for it: cell to cell by their names, sample to sample."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from ...errors import ConfigError, DataError, Diagnostic
from ...grid import Grid
from ...model import Model
from ...sampled import Sampled
from ...volume import Volume
from .accuracy import ShapeScores, score_shapes
from .binarize import binarize
from .grids import coincide, resample_shapes

if TYPE_CHECKING:
    from ...sampled import Sampled

_log = logging.getLogger(__name__)
_ALIKE = 0.01
"""Share by which spacings may differ that are one number, written by different programs."""
_SAME = 0.75
"""[sample] By which programs disagree where the middle of an array is; voxels are compared one by one all the same."""
_WORDS = {"m": "metres", "voxel": "voxels of unknown size"}
_REMEDY = "give the truth of the same cells: unflat convert SOURCE -o cells.h5 --set acquisition.cells=…"


def score(result: "Sampled", truth: Volume, register: bool = False) -> dict[str, float]:
    """Compare draws with the truth; the numbers are the means of all cells.

    Args:
        result: A cell's model, or the shapes (cell, draw, z, y, x) of a run, or one shape (z, y, x).
        truth: Occupancy or signed distance.
        register: Not for shapes: their section says where they are.

    Raises:
        ConfigError: If they are to be registered.
        DataError: If they are not of the same cells.
    """
    if register:
        raise ConfigError("shapes stand where their section is: they are not registered")
    return scores(result, truth).numbers


def scores(result: "Sampled", truth: Volume, names: Sequence[str] = (), labels: Sequence[str] = ()) -> ShapeScores:
    """Compare draws with the truth, cell by cell and class by class.

    Args:
        result: As for `score`. A model is sampled where the truth is; to any other samples the truth is brought.
        truth: Likewise.
        names: Of the truth's cells, where they are known and the truth itself does not tell them.
        labels: Their classes, likewise.

    Raises:
        DataError: If they are not of the same cells, in one unit of length, at samples that can be compared.
    """
    _require_one_unit(result, truth)
    known = binarize(truth, "the truth")
    known = known.reshape(-1, *known.shape[-3:])
    told = {"names": _told(truth.names or names, len(known)), "labels": _told(truth.labels or labels, len(known))}
    lattice = Grid(truth.z, truth.y, truth.x)
    found = _drawn(result, lattice)
    ours, theirs = _matched(_names_of(result, len(found)), told["names"], (len(found), len(known)))
    found, known = found[ours], known[theirs]
    if isinstance(result, Volume):
        known, lattice = _on_samples(known, lattice, result)
    middle = np.flatnonzero(np.abs(lattice.z) <= 0.5 * _steps(lattice)[0])
    return score_shapes(
        found,
        known,
        masks=known[:, int(middle[0])] if middle.size else None,
        spacing=_steps(lattice) if truth.length_unit == "m" else None,
        names=[told["names"][i] for i in theirs] if told["names"] else (),
        labels=[told["labels"][i] for i in theirs] if told["labels"] else (),
    )


def _require_one_unit(result: "Sampled", truth: Volume) -> None:
    own, other = result.length_unit, truth.length_unit
    if own != other:
        message = f"the result counts in {_WORDS[own]}, the truth in {_WORDS[other]}"
        raise DataError(Diagnostic("", message, "tell both the voxel's size (acquisition.voxel_size), or neither"))


def _told(texts: Sequence[str], count: int) -> list[str]:
    """Words of the cells; none if they are of others."""
    return list(texts) if len(texts) == count else []


def _drawn(result: "Sampled", lattice: Grid) -> Bool[np.ndarray, "cell draw z y x"]:
    """The result's shapes; of a model at a lattice, of a volume at its own samples."""
    if isinstance(result, Model):
        draws = [binarize(member.volume(lattice)) for member in result.split_members()]
        return np.stack(draws)[None]
    if not isinstance(result, Volume):
        raise TypeError(f"neither a model nor a volume: {type(result).__name__}")
    found = binarize(result, "the result")
    return found.reshape(len(found) if found.ndim == 5 else 1, -1, *found.shape[-3:])


def _names_of(result: "Sampled", count: int) -> list[str]:
    """Names of the result's cells, where it tells them."""
    own = result.attributes.get("name", "")
    return _told(result.names or ((str(own),) if own else ()), count)


def _matched(ours: Sequence[str], theirs: Sequence[str], counts: tuple[int, int]) -> tuple[list[int], list[int]]:
    """Pair the cells of a result with those of the truth: by name where both have names, else one after the other.

    Returns:
        Indices of the result's cells, and of the truth's, in the truth's order. The truth may hold more cells.

    Raises:
        DataError: If the result has a cell that the truth has not, or nothing tells which is which.
    """
    if not _tell_apart(ours) or not _tell_apart(theirs):
        if counts[0] != counts[1]:
            message = f"the result is of {counts[0]} cells, the truth of {counts[1]}"
            raise DataError(Diagnostic("", message, _REMEDY))
        return list(range(counts[0])), list(range(counts[0]))
    unknown = [name for name in ours if name not in set(theirs)]
    if unknown:
        shown = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        of = ", ".join(theirs[:5]) + (", …" if len(theirs) > 5 else "")
        message = f"{len(unknown)} of the result's {counts[0]} cells are not in the truth: {shown}; it is of {of}"
        raise DataError(Diagnostic("", message, _REMEDY))
    place = {name: i for i, name in enumerate(ours)}
    chosen = [i for i, name in enumerate(theirs) if name in place]
    if len(chosen) < counts[1]:
        _log.info("%d of the truth's %d cells are in the result: they are compared", len(chosen), counts[1])
    return [place[theirs[i]] for i in chosen], chosen


def _tell_apart(names: Sequence[str]) -> bool:
    return bool(names) and all(names) and len(set(names)) == len(names)


def _on_samples(
    known: Bool[np.ndarray, "cell n m k"], own: Grid, result: Volume
) -> tuple[Bool[np.ndarray, "cell z y x"], Grid]:
    """Bring the truth to a result's samples.

    Raises:
        DataError: If one of the two has another voxel, or the truth reaches beyond the result's samples.
    """
    wanted = Grid(result.z, result.y, result.x)
    steps, others = _steps(own), _steps(wanted)
    if own.shape == wanted.shape:
        if not np.allclose(steps, others, rtol=_ALIKE, atol=0):
            shown = (", ".join(f"{step:.4g}" for step in each) for each in (others, steps))
            unit = "m" if result.length_unit == "m" else "voxels"
            message = "the result's samples are {} {u} apart, as many of the truth {} {u}".format(*shown, u=unit)
            remedy = "one of them was told another voxel: say acquisition.voxel_size as the truth has it"
            raise DataError(Diagnostic("", message, remedy))
        if coincide(own, wanted, _SAME):
            return known, wanted
    moved = resample_shapes(known, own, wanted)
    lost = [i for i in range(len(known)) if _reaches_beyond(known[i], own, wanted)]
    if lost:
        message = f"{len(lost)} of {len(known)} true shapes reach beyond the samples of the result"
        raise DataError(Diagnostic("", message, "sample the result where the truth is: unflat volume --like TRUTH"))
    return moved, wanted


def _reaches_beyond(inside: Bool[np.ndarray, "z y x"], own: Grid, wanted: Grid) -> bool:
    """Whether a shape has samples farther out than those of another lattice, by more than one of these."""
    for axis, (mine, new, step) in enumerate(zip(own.axes, wanted.axes, _steps(wanted), strict=True)):
        filled = mine[inside.any(axis=tuple(i for i in range(3) if i != axis))]
        if filled.size and (filled[0] < new[0] - step or filled[-1] > new[-1] + step):
            return True
    return False


def _steps(lattice: Grid) -> tuple[float, float, float]:
    """Distances between samples (z, y, x), in the lattice's unit; 0 along an axis of one sample."""
    z, y, x = (float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in lattice.axes)
    return z, y, x
