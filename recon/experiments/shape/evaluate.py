"""Evaluation of shapes against the truth: matching of cells by name, and of their samples."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from ...errors import DataError, Diagnostic
from ...grid import Grid
from ...model import Model
from ...sampled import Sampled
from ...volume import Volume
from ..evaluation import Comparison, named_faults, require_one_unit
from .binarize import binarize
from .grids import resample_shapes
from .places import place_in, with_places
from .scores import ShapeScores, merge_scores, score_shapes

_log = logging.getLogger(__name__)
_SPACING_TOLERANCE = 0.01
"""Relative difference of spacings that other programs' rounding explains."""
_CENTRE_TOLERANCE = 0.75
"""[sample] Offset by which programs disagree on the centre of an array; voxels are still compared one by one."""
_REMEDY = "give the truth of the same cells: unflat convert SOURCE -o cells.h5 --set acquisition.cells=…"


@dataclass(frozen=True)
class MatchedShapes:
    """Shapes of a result and the true ones of the same cells, on one grid.

    Args:
        grid: The grid.
        draws: Whether each sample lies inside each draw of the result.
        known: Whether it lies inside the true shape.
        consensus: Whether it lies inside the result's consensus; None without one.
        names: Name of each cell; empty where unknown.
        labels: Class of each cell; empty where unknown.
        own: Index of each cell in the result.
    """

    grid: Grid
    draws: Bool[np.ndarray, "cell draw z y x"]
    known: Bool[np.ndarray, "cell z y x"]
    consensus: Bool[np.ndarray, "cell z y x"] | None
    names: list[str]
    labels: list[str]
    own: list[int]


def match_shapes(
    result: Sampled, truth: Volume, names: Sequence[str] = (), labels: Sequence[str] = ()
) -> MatchedShapes:
    """Match the cells of a result with those of the truth, and sample both on one grid.

    Args:
        result: Model of a cell, sampled on the truth's grid; or volume of shapes (cell, draw, z, y, x) or of one shape
            (z, y, x), to whose samples the truth is resampled.
        truth: Volume of occupancies or signed distances; of a second run, the consensus of each cell is taken.
        names: Names of the truth's cells, if the truth itself has none.
        labels: Classes of the truth's cells, if the truth itself has none.

    Raises:
        DataError: If they are not of the same cells, in one unit of length, at samples that can be compared.
    """
    require_one_unit(result, truth)
    grid = Grid(truth.z, truth.y, truth.x)
    known = _reference_shapes(truth, grid)
    names, labels = (_one_each(texts, len(known)) for texts in (truth.names or names, truth.labels or labels))
    draws = _sample_draws(result, grid)
    own, others = _match_cells(_cell_names(result, len(draws)), names, (len(draws), len(known)))
    known, consensus = known[others], _sample_consensus(result, grid)
    if isinstance(result, Volume):
        known, grid = _resample_truth(known, grid, result)
    return MatchedShapes(
        grid,
        draws[own],
        known,
        None if consensus is None else consensus[own],
        [names[i] for i in others] if names else [],
        [labels[i] for i in others] if labels else [],
        own,
    )


def _reference_shapes(truth: Volume, grid: Grid) -> Bool[np.ndarray, "cell z y x"]:
    """Find the one shape of each cell of a truth, or of a second run.

    Raises:
        DataError: If a cell has several and no consensus of them.
    """
    consensus = _sample_consensus(truth, grid)
    if consensus is not None:
        return consensus
    known = binarize(truth, "the truth")
    if known.ndim == 5 and known.shape[1] > 1:
        message = f"holds {known.shape[1]} draws of each cell and no consensus of them"
        raise DataError(Diagnostic("the truth", message, "select one: unflat volume RUN --cell N --draw K -o one.h5"))
    return known.reshape(-1, *known.shape[-3:])


def evaluate(result: Sampled, truth: Volume, names: Sequence[str] = (), labels: Sequence[str] = ()) -> ShapeScores:
    """Compare draws with the truth, cell by cell and class by class; the arguments are those of `match_shapes`.

    Raises:
        DataError: If they are not of the same cells, in one unit of length, at samples that can be compared.
    """
    shapes = match_shapes(result, truth, names, labels)
    steps = _steps(shapes.grid)
    middle = np.flatnonzero(np.abs(shapes.grid.z) <= 0.5 * steps[0])
    scores = score_shapes(
        shapes.draws,
        shapes.known,
        masks=shapes.known[:, int(middle[0])] if middle.size else None,
        spacing=steps if truth.length_unit == "m" else None,
        consensus=shapes.consensus,
        names=shapes.names,
        labels=shapes.labels,
    )
    places = [place_in(attributes) for attributes in _cell_attributes(result)]
    return replace(scores, cells=with_places(scores.cells, [places[i] for i in shapes.own] if places else []))


def evaluate_many(pairs: Sequence[Comparison]) -> ShapeScores:
    """Compare shapes with the truth, each on samples of its own.

    Raises:
        DataError: If two cannot be compared, with the cell's name.
    """
    scores = []
    for pair in pairs:
        with named_faults(pair.name):
            scores.append(evaluate(pair.result, pair.truth))
    return merge_scores(scores, [pair.name for pair in pairs], [pair.label for pair in pairs])


def _one_each(texts: Sequence[str], count: int) -> list[str]:
    """Return the texts if there is one for each cell, else none."""
    return list(texts) if len(texts) == count else []


def _sample_draws(result: Sampled, grid: Grid) -> Bool[np.ndarray, "cell draw z y x"]:
    """Sample the draws of a model on a grid; of a volume on its own samples."""
    if isinstance(result, Model):
        draws = [binarize(member.volume(grid)) for member in result.split_members()]
        return np.stack(draws)[None]
    if not isinstance(result, Volume):
        raise TypeError(f"neither a model nor a volume: {type(result).__name__}")
    inside = binarize(result, "the result")
    return inside.reshape(len(inside) if inside.ndim == 5 else 1, -1, *inside.shape[-3:])


def _sample_consensus(result: Sampled, grid: Grid) -> Bool[np.ndarray, "cell z y x"] | None:
    """Sample the consensus of each cell, if the result holds it."""
    if isinstance(result, Model):
        model = result.consensus
        return None if model is None else binarize(model.volume(grid))[None]
    if not isinstance(result, Volume) or not result.consensus:
        return None
    name = result.quantities[0].name
    own = {name: result.consensus[name]}
    return binarize(replace(result, values=own, quantities=result.quantities[:1], consensus={}), "the result")


def _cell_attributes(result: Sampled) -> Sequence[Mapping[str, float | str]]:
    """Attributes of each cell of a result; empty if they are unknown."""
    if isinstance(result, Volume) and result.cells is not None:
        return result.cell_attributes
    return (result.attributes,)


def _cell_names(result: Sampled, count: int) -> list[str]:
    """Return the names of the result's cells; none if they are unknown."""
    own = result.attributes.get("name", "")
    return _one_each(result.names or ((str(own),) if own else ()), count)


def _match_cells(own: Sequence[str], others: Sequence[str], counts: tuple[int, int]) -> tuple[list[int], list[int]]:
    """Match the cells of a result with those of the truth: by name where both have unique names, else by order.

    Returns:
        Indices of the result's cells, and of the truth's, in the truth's order. The truth may hold more cells.

    Raises:
        DataError: If the truth lacks a cell of the result, or numbers of cells differ and names are unknown.
    """
    if not _are_unique(own) or not _are_unique(others):
        if counts[0] != counts[1]:
            message = f"the result is of {counts[0]} cells, the truth of {counts[1]}"
            raise DataError(Diagnostic("", message, _REMEDY))
        return list(range(counts[0])), list(range(counts[0]))
    unknown = [name for name in own if name not in set(others)]
    if unknown:
        shown = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        known = ", ".join(others[:5]) + (", …" if len(others) > 5 else "")
        message = f"{len(unknown)} of the result's {counts[0]} cells are not in the truth: {shown}; it is of {known}"
        raise DataError(Diagnostic("", message, _REMEDY))
    index = {name: i for i, name in enumerate(own)}
    shared = [i for i, name in enumerate(others) if name in index]
    if len(shared) < counts[1]:
        _log.info("%d of the truth's %d cells are in the result: they are compared", len(shared), counts[1])
    return [index[others[i]] for i in shared], shared


def _are_unique(names: Sequence[str]) -> bool:
    return bool(names) and all(names) and len(set(names)) == len(names)


def _resample_truth(
    known: Bool[np.ndarray, "cell n m k"], grid: Grid, result: Volume
) -> tuple[Bool[np.ndarray, "cell z y x"], Grid]:
    """Resample the truth to the samples of a result.

    Raises:
        DataError: If one of the two has another voxel, or the truth reaches beyond the result's samples.
    """
    target = Grid(result.z, result.y, result.x)
    steps, others = _steps(grid), _steps(target)
    if grid.shape == target.shape:
        if not np.allclose(steps, others, rtol=_SPACING_TOLERANCE, atol=0):
            shown = (", ".join(f"{step:.4g}" for step in each) for each in (others, steps))
            unit = "m" if result.length_unit == "m" else "voxels"
            message = "the result's samples are {} {u} apart, as many of the truth {} {u}".format(*shown, u=unit)
            remedy = "one of them has a wrong voxel: set acquisition.voxel_size as the truth has it"
            raise DataError(Diagnostic("", message, remedy))
        if grid.coincides(target, _CENTRE_TOLERANCE):
            return known, target
    resampled = resample_shapes(known, grid, target)
    lost = [i for i in range(len(known)) if _reaches_beyond(known[i], grid, target)]
    if lost:
        message = f"{len(lost)} of {len(known)} true shapes reach beyond the samples of the result"
        raise DataError(Diagnostic("", message, "sample the result where the truth is: unflat volume --like TRUTH"))
    return resampled, target


def _reaches_beyond(inside: Bool[np.ndarray, "z y x"], grid: Grid, target: Grid) -> bool:
    """Tell whether a shape extends beyond another grid by more than one of its samples."""
    for axis, (old, new, step) in enumerate(zip(grid.axes, target.axes, _steps(target), strict=True)):
        filled = old[inside.any(axis=tuple(i for i in range(3) if i != axis))]
        if filled.size and (filled[0] < new[0] - step or filled[-1] > new[-1] + step):
            return True
    return False


def _steps(grid: Grid) -> tuple[float, float, float]:
    """Distances between samples (z, y, x), in the grid's unit; 0 along an axis of one sample."""
    z, y, x = (float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in grid.axes)
    return z, y, x
