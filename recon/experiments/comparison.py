"""Comparison of results with the truth in files of any form: one specimen, or many that are matched by name."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import DataError, Diagnostic
from ..io.hdf5_common import is_hdf5
from ..io.label_stack import CUT_OUT
from ..io.result import model_of, series_axis_of
from ..io.series_position import read_position
from ..io.volume_folder import match_names, stem_of
from ..io.volume_stack import Member, counts, names_and_labels
from ..metrics import VISIBLE_SUFFIX, metric_named
from ..model import Model
from ..volume import Volume
from . import get_experiment
from .evaluation import Comparison, Evaluation, named_faults, require_one_unit
from .specimens import SpecimenOptions, holds_labels, open_collection, open_result, read_specimens
from .truth import read_pair

_log = logging.getLogger(__name__)
_SHOWN = 5
"""Most names in a message."""

Specimen: TypeAlias = tuple[str, Model | Volume]
"""Class of a specimen, and its model or volume."""


def evaluate_files(
    result: Path, truth: Path, options: SpecimenOptions | None = None, *, register: bool = False
) -> Evaluation:
    """Compare a result with the truth.

    Args:
        result: A model, a volume, a run folder, a stack of labels, or a folder of volumes.
        truth: A volume, an acquisition with its truth inside, a stack of labels, or a folder of volumes.
        options: Options for what files of other programs leave open; a spacing and a channel are for those of the two
            that leave it open.
        register: Whether to move the result onto the truth first.

    Returns:
        Numbers of one specimen, or the means over many; lengths in voxels have names that end in ``_voxels``.

    Raises:
        ConfigError: If a file leaves open what no option decides.
        DataError: If a file cannot be read, or nothing of the result is in the truth.
    """
    options = place_in_series(result, truth, options or SpecimenOptions())
    own, known = (_content(path, options) for path in (result, truth))
    if "" == own == known or (own in ("", "ours") and known in ("ours", "sections")):
        return _evaluate_one(result, truth, options, register=register)
    if "labels" in (own, known):
        options = replace(options, labels=True)
    pairs = _matched(dict(_by_name(result, options)), dict(_by_name(truth, options)), result, truth)
    evaluation = get_experiment(pairs[0].truth.kind).evaluate_many(pairs, register=register)
    return replace(evaluation, numbers=_in_units_of(pairs[0].truth, evaluation.numbers))


def place_in_series(result: Path, truth: Path, options: SpecimenOptions) -> SpecimenOptions:
    """Complete options by the position of the truth in the series that a result is of, unless they have one."""
    at = _position_of(truth, result) if options.volume.at is None else options.volume.at
    return replace(options, volume=replace(options.volume, is_hint=True, at=at))


def _evaluate_one(result: Path, truth: Path, options: SpecimenOptions, *, register: bool) -> Evaluation:
    """Compare a single result, or a run of many cells, with one file or with the cells that the run was given."""
    own, known = read_pair(result, truth, options)
    for each in (own, known):
        if "assumed" in each.attributes:
            _log.warning("%s: taken to be %s", each.attributes["program"], each.attributes["assumed"])
    names, labels = names_and_labels(truth)
    experiment = get_experiment(known.kind)
    evaluation = experiment.evaluate(own, known, register=register, names=names, labels=labels)
    return replace(evaluation, numbers=_in_units_of(known, evaluation.numbers))


def _position_of(truth: Path, result: Path) -> str | None:
    """Position of the truth in the series that a result is of, as its file gives it; None for any other result.

    Raises:
        DataError: If it lies outside the series.
    """
    axis = series_axis_of(result)
    if axis is None or not is_hdf5(truth):
        return None
    try:
        position = read_position(truth, axis.name)
    except DataError:  # Something else of that name, such as the date as an attribute `time`.
        return None
    if position is None or position[1] != axis.unit:
        return None
    place = axis.describe(position[0])
    if not axis.positions[0] <= position[0] <= axis.positions[-1]:
        message = f"its position, {place}, lies outside the series, {axis.range}"
        raise DataError(Diagnostic(str(truth), message, "compare with a truth within, or name a position: --at last"))
    _log.warning("%s: a series, %s; compared at %s, the position that %s gives", result, axis.range, place, truth)
    return repr(position[0])


def _in_units_of(truth: Volume, numbers: Mapping[str, float]) -> dict[str, float]:
    """Return numbers with names that tell of lengths in voxels."""
    if truth.length_unit == "m":
        return dict(numbers)
    renamed = {}
    for name, value in numbers.items():
        bare = name.removesuffix(VISIBLE_SUFFIX)
        is_length = metric_named(name).unit == "m" and not bare.endswith("_voxels")
        renamed[f"{bare}_voxels{name[len(bare) :]}" if is_length else name] = value
    return renamed


def _content(path: Path, options: SpecimenOptions) -> str:
    """Return ``sections``, ``files``, ``labels`` or ``ours`` for a path of many specimens; empty for a single one.

    Sections have a layout that an experiment reads; ours are the cells of a run or of an acquisition.
    """
    with open_collection(path) as collection:
        if collection is not None:
            return "sections" if collection[0] else "files"
    if path.is_dir() or model_of(path, options.volume) is not None:
        return "ours" if counts(path / "volume.h5") is not None else ""
    if counts(path) is not None:
        return "ours"
    volume = open_result(path, replace(options, labels=None, label=None), quiet=True)
    if isinstance(volume, Model) or options.label is not None:
        return ""
    return "labels" if options.labels or holds_labels(volume, path, options) else ""


def _by_name(path: Path, options: SpecimenOptions) -> Iterator[tuple[str, Specimen]]:
    """Yield the specimens of a path by name: that of the cell, of the file, or the number of the label."""
    model = model_of(path, options.volume)
    if model is not None:
        yield str(model.attributes.get("name", "")) or path.stem, ("", model)
        return
    own: list[Member] = []
    for member in read_specimens(path / "volume.h5" if counts(path / "volume.h5") else path, options):
        if own and own[0].cell != member.cell:
            yield _named(own, path)
            own = []
        own.append(member)
    if own:
        yield _named(own, path)


def _named(members: list[Member], path: Path) -> tuple[str, Specimen]:
    """Return the name, the class, and the draws of one cell with their consensus."""
    first, draws = members[0], [member for member in members if member.draw is not None]
    is_label = first.label == str(first.cell)
    words = [first.name, first.label if is_label else ""]
    name = ":".join(word for word in words if word) or stem_of(path) or str(first.cell)
    volume = first.volume
    if len(draws) > 1 or first.draw is None:
        stacked = {key: np.stack([[draw.volume.values[key] for draw in draws]]) for key in volume.values}
        consensus = {key: array[None] for key, array in volume.values.items()} if first.draw is None else {}
        volume = replace(volume, values=stacked, consensus=consensus)
    return name, ("" if is_label else first.label, volume)


def _matched(own: Mapping[str, Specimen], known: Mapping[str, Specimen], result: Path, truth: Path) -> list[Comparison]:
    """Match specimens by name, and tell of those that have no match.

    Raises:
        DataError: If none has.
    """
    matches = match_names(list(own), list(known))
    if not matches:
        message = f"holds {_shown(own)}, and the truth {_shown(known)}: no name is in both"
        raise DataError(Diagnostic(str(result), message, "give files, cells or labels of one specimen the same name"))
    for path, names, other in (
        (result, [name for name in own if name not in matches], "truth"),
        (truth, [name for name in known if name not in matches.values()], "result"),
    ):
        if names:
            _log.warning("%s: left out, because the %s lacks them: %s", path, other, _shown(names))
    renamed = {name: match for name, match in matches.items() if name != match}
    if renamed:
        _log.info("matched: %s", ", ".join(f"{name} with {match}" for name, match in renamed.items()))
    return [_compared(match, own[name], known[match], truth) for name, match in matches.items()]


def _compared(name: str, own: Specimen, known: Specimen, truth: Path) -> Comparison:
    """Return one specimen and its truth on lattices that hold both.

    Raises:
        DataError: If the truth is a model, or only one has a known voxel.
    """
    label, specimen = known
    if not isinstance(specimen, Volume):
        raise DataError(Diagnostic(str(truth), "is a model, and no truth", "sample it: unflat volume"))
    result = own[1]
    with named_faults(name):
        require_one_unit(result, specimen)
    if isinstance(result, Volume):
        result, specimen = _with_room(result, specimen), _with_room(specimen, result)
    return Comparison(name, label, result, specimen)


def _with_room(volume: Volume, other: Volume) -> Volume:
    """Extend a body that was cut out of a stack, on its lattice, so that it holds another one."""
    if CUT_OUT not in volume.attributes or volume.main.ndim != 3:
        return volume
    pads, axes = [], []
    for axis, reach, step in zip(volume.grid.axes, other.grid.axes, volume.spacing, strict=True):
        before = max(0, round((axis[0] - reach[0]) / step)) if step else 0
        after = max(0, round((reach[-1] - axis[-1]) / step)) if step else 0
        pads.append((before, after))
        axes.append(axis[0] + (np.arange(len(axis) + before + after) - before) * step)
    z, y, x = axes
    return replace(volume, z=z, y=y, x=x, values={name: np.pad(array, pads) for name, array in volume.values.items()})


def _shown(names: "Mapping[str, Specimen] | list[str]") -> str:
    """Name the first of many names."""
    first = ", ".join(list(names)[:_SHOWN])
    return first if len(names) <= _SHOWN else f"{first}, … ({len(names)} in all)"
