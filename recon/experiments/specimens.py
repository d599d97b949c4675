"""Specimens in files of any form: volumes of ours and of other programs, stacks of labels, folders of volumes.

What a file of another program leaves open (the kind of specimen, the meaning of its numbers, the size of a sample) is
decided here, by the experiments, and told.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from ..errors import ConfigError, DataError, Diagnostic, UnflatError
from ..io.label_stack import Content, find_content, label_numbers, split_labels
from ..io.metadata import VolumeOptions, even_axes, listed
from ..io.result import is_result, read_result
from ..io.volume_folder import volume_files
from ..io.volume_stack import Member, counts, members
from ..io.zarr_store import is_zarr
from ..model import Model
from ..sampled import Quantity
from ..volume import MEDIUM_INDEX, Volume
from . import experiment_names, get_experiment

_log = logging.getLogger(__name__)
_SHOWN = 8
"""Most numbers of labels in a message."""


@dataclass(frozen=True)
class SpecimenOptions:
    """Options for specimens in files of other programs.

    Args:
        volume: Options of the reader.
        kind: Kind of experiment; empty for that of the file, or the one that its numbers suggest.
        labels: Whether whole numbers are labels; None to decide by their geometry.
        label: Number of the only label.
        medium: Refractive index of the medium, where the file does not give it; None if it is unknown.
    """

    volume: VolumeOptions = field(default_factory=VolumeOptions)
    kind: str = ""
    labels: bool | None = None
    label: int | None = None
    medium: float | None = None


def open_result(path: Path, options: SpecimenOptions, *, quiet: bool = False) -> Model | Volume:
    """Open a result: a model, a volume of ours, or a volume of another program as it is.

    Args:
        path: File, or run folder.
        options: Options for what the file leaves open. The kind stays empty where the file does not give it.
        quiet: Whether to tell nothing of samples of unknown size.

    Raises:
        ConfigError: If there is no such quantity, time or label.
        DataError: If the file cannot be read.
    """
    if options.label is None and not options.labels:
        return _read(path, options, quiet=quiet)
    bodies = list(read_specimens(path, options))
    if len(bodies) > 1:
        _require_label([body.cell for body in bodies], path)
    return bodies[0].volume


def choose_surface(volume: Volume, quantity: str | None = None) -> tuple[str | None, float | None]:
    """Choose the surface of a specimen, as its kind measures it.

    Args:
        volume: The specimen.
        quantity: Name of the quantity; that of the kind's surface by default.

    Returns:
        Quantity, None for the signed distance or the main one, and the level, None for 0 or the middle of its range
        (of a quantity that its kind does not measure, and of volumes of no kind).
    """
    if quantity is None and volume.main.dtype.kind == "c":
        return None, None
    try:
        name, level = get_experiment(volume.kind).surface_level(volume)
    except UnflatError:
        return quantity, None
    return (name, level) if name in volume.values and quantity in (None, name) else (quantity, None)


def read_specimens(
    path: Path,
    options: SpecimenOptions,
    cell: int | None = None,
    draw: int | None = None,
    failed: list[UnflatError] | None = None,
) -> Iterator[Member]:
    """Read the specimens of a file or a folder of volumes, one after the other.

    Args:
        path: Volume, stack of labels, volume of many cells, or folder of volumes.
        options: Options for what the files leave open.
        cell: Number of the only cell to read, of a volume of many.
        draw: Number of the only draw to read, of a volume of many.
        failed: List to which the faults of single files of a folder are appended; without it they are raised.

    Yields:
        Specimens with the quantities that their kind measures.

    Raises:
        ConfigError: If a file leaves open what no option decides.
        DataError: If a file cannot be read.
    """
    with open_collection(path) as collection:
        if collection is None:
            yield from _of_file(path, options, cell=cell, draw=draw)
            return
        kind, files = collection
        yield from _of_files(files, options if options.kind else replace(options, kind=kind), failed)


@contextmanager
def open_collection(path: Path) -> Iterator[tuple[str, Mapping[str, Path]] | None]:
    """Open a folder or an archive of volumes, one file a specimen.

    Yields:
        Kind of the specimens, empty if it is unknown, and the file of each by its name. None where the path is a single
        file or the result of a run.

    Raises:
        DataError: If it is a folder that holds no volume.
    """
    for name in experiment_names():
        with get_experiment(name).open_volumes(path) as files:
            if files is not None:
                yield name, files
                return
    if not path.is_dir() or is_result(path) or is_zarr(path):
        yield None
        return
    own = volume_files(path)
    if not own:
        message = "holds neither model.h5 nor volume.h5, and no volumes"
        raise DataError(Diagnostic(str(path), message, "name a finished run, a file, or a folder of volumes"))
    yield "", own


def identify(volume: Volume, path: Path, options: SpecimenOptions) -> Volume:
    """Name the kind and the quantity of a volume that another program wrote.

    Args:
        volume: The volume.
        path: File of the volume, for messages.
        options: Options for what the file leaves open.

    Raises:
        ConfigError: If its numbers do not tell the kind of specimen, and no option does.
        DataError: If its numbers are none of the kind.
    """
    if volume.kind and options.kind in ("", volume.kind):
        return volume
    kind = options.kind or next((n for n in experiment_names() if get_experiment(n).recognizes(volume)), "")
    if not kind:
        _refuse_unknown(volume, path)
    experiment = get_experiment(kind)
    if len(volume.values) > 1 and not experiment.recognizes(volume):
        _refuse_several(volume, path)
    try:
        return experiment.identify(replace(volume, kind=kind))
    except (DataError, ConfigError) as error:
        raise type(error)(*(Diagnostic(str(path), fault.message, fault.remedy) for fault in error.faults)) from error


def _label_quantity(kind: str = "") -> tuple[str, Quantity]:
    """Return the kind whose specimens are given by labels, and the quantity of such a specimen.

    Args:
        kind: Kind that is asked for; empty for any.

    Raises:
        ConfigError: If labels are no specimens of the kind.
    """
    quantities = {name: get_experiment(name).label_quantity for name in experiment_names()}
    takers = {name: quantity for name, quantity in quantities.items() if quantity is not None}
    own = next((name for name in takers if kind in ("", name)), None)
    if own is None:
        remedy = " or ".join(f"--kind {name}" for name in takers)
        raise ConfigError(Diagnostic("--kind", f"labels are no numbers of a {kind}", f"use {remedy}"))
    return own, takers[own]


def _of_files(
    files: Mapping[str, Path], options: SpecimenOptions, failed: list[UnflatError] | None
) -> Iterator[Member]:
    """Read the specimens of files; their numbers count the files, and those of labels are the labels'."""
    in_voxels = False
    for number, (name, path) in enumerate(files.items()):
        try:
            for member in _of_file(path, options, quiet=in_voxels):
                in_voxels = in_voxels or member.volume.length_unit == "voxel"
                if member.label and member.label == str(member.cell):
                    yield replace(member, name=name)
                else:
                    label = member.label or get_experiment(member.volume.kind).label_of(name)
                    yield replace(member, cell=number, name=name, label=label)
        except (ConfigError, DataError) as error:
            if failed is None:
                raise
            failed.append(error)


def _of_file(
    path: Path, options: SpecimenOptions, *, quiet: bool = False, cell: int | None = None, draw: int | None = None
) -> Iterator[Member]:
    """Read the specimens of a file."""
    if counts(path) is not None:
        for member in members(path, cell, draw):
            yield replace(member, volume=_with_options(member.volume, path, options))
        return
    volume = _read(path, options, quiet=quiet)
    if isinstance(volume, Model):
        raise DataError(Diagnostic(str(path), "is a model, and a volume is needed", "sample it: unflat volume"))
    if not volume.kind and volume.shape[0] == 1:
        raise DataError(Diagnostic(str(path), "is one picture (y, x), and no volume", "name a stack of several planes"))
    if not holds_labels(volume, path, options):
        name, label = (str(volume.attributes.get(key, "")) for key in ("name", "label"))
        yield Member(0, 0, name, label, identify(volume, path, options))
        return
    kind, quantity = _label_quantity(options.kind)
    numbers = _label_numbers(volume, path)
    if options.label is not None and options.label not in numbers:
        _require_label(numbers, path, options.label)
    yield from split_labels(replace(volume, kind=kind), quantity, options.label)


def _read(path: Path, options: SpecimenOptions, *, quiet: bool = False) -> Model | Volume:
    """Read a model, or a volume with the options applied; tell of samples of unknown size.

    Raises:
        ConfigError: If a spacing is given for a volume of ours, whose spacing is known.
    """
    volume = read_result(path, options.volume)
    if isinstance(volume, Model):
        return volume
    if volume.kind and options.volume.spacing is not None:  # Ours: the file is right.
        own = read_result(path, replace(options.volume, spacing=None))
        volume = own if isinstance(own, Volume) else volume
    elif volume.length_unit == "voxel" and not quiet:
        message = "%s: does not say how far apart its samples are: lengths are in voxels; --spacing '0.1 um' gives them"
        _log.warning(message, path)
    return _with_options(volume, path, options)


def _with_options(volume: Volume, path: Path, options: SpecimenOptions) -> Volume:
    """Apply a spacing and a medium to a volume that has none.

    Raises:
        ConfigError: If a spacing is given for a volume of ours, whose spacing is known.
    """
    spacing = options.volume.spacing
    if spacing is not None and volume.kind and volume.length_unit == "m" and not options.volume.is_hint:
        raise ConfigError(
            Diagnostic(str(path), "is a sampled volume, whose grid cannot be changed", "leave out --spacing")
        )
    if spacing is not None and volume.kind and volume.length_unit == "voxel":
        z, y, x = even_axes(volume.shape, spacing)
        volume = replace(volume, z=z, y=y, x=x, length_unit="m")
    if options.medium is None:
        return volume
    return replace(volume, attributes={**volume.attributes, MEDIUM_INDEX: options.medium})


def holds_labels(volume: Volume, path: Path, options: SpecimenOptions) -> bool:
    """Whether the numbers of a volume are labels.

    Raises:
        ConfigError: If they may be labels or grey values, and no option decides.
    """
    if options.labels is not None or options.label is not None:
        return options.labels is not False
    if volume.kind or len(volume.values) > 1 or volume.main.dtype.kind == "c":
        return False
    content = find_content(volume.main)
    if options.kind and get_experiment(options.kind).label_quantity is None:
        if content is Content.LABELS:
            message = f"holds the labels {_shown(label_numbers(volume.main))}, and no numbers of a {options.kind}"
            remedy = f"use --kind {_label_quantity()[0]}, or --no-labels if they are no labels"
            raise ConfigError(Diagnostic(str(path), message, remedy))
        return False
    if content is Content.UNCLEAR:
        shown = _shown(label_numbers(volume.main))
        message = f"holds the whole numbers {shown}, which may be labels of bodies or grey values"
        raise ConfigError(Diagnostic(str(path), message, "say which: --labels or --no-labels"))
    return content is Content.LABELS


def _label_numbers(volume: Volume, path: Path) -> np.ndarray:
    """Return the labels of a stack.

    Raises:
        ConfigError: If it has several quantities.
        DataError: If its numbers are no labels, or there is none.
    """
    if len(volume.values) > 1:
        _refuse_several(volume, path)
    if volume.main.dtype.kind not in "biuf" or volume.main.ndim != 3:
        raise DataError(Diagnostic(str(path), f"holds {volume.main.dtype}, and labels are whole numbers (z, y, x)"))
    numbers = label_numbers(volume.main)
    if not len(numbers):
        raise DataError(Diagnostic(str(path), "holds no label: no number is above 0", "name another file"))
    return numbers


def _require_label(numbers: object, path: Path, label: int | None = None) -> NoReturn:
    """Refuse a label that is not there, or several of which none is chosen."""
    shown = _shown(np.asarray(numbers))
    if label is not None:
        raise ConfigError(Diagnostic(str(path), f"has no label {label}", f"--label takes one of {shown}"))
    raise ConfigError(Diagnostic(str(path), f"holds the labels {shown}, and one is needed", "choose one with --label"))


def _refuse_several(volume: Volume, path: Path) -> NoReturn:
    names = [q.name for q in volume.quantities]
    message = f"holds {len(names)} quantities or channels: {listed(names)}"
    raise ConfigError(Diagnostic(str(path), message, "choose one by number or name, e.g. --channel 0"))


def _refuse_unknown(volume: Volume, path: Path) -> NoReturn:
    """Refuse a volume of which neither the file nor the numbers tell the kind of specimen."""
    if len(volume.values) > 1:
        _refuse_several(volume, path)
    *names, last = experiment_names()
    values = np.abs(volume.main) if volume.main.dtype.kind == "c" else volume.main
    message = f"does not say what its numbers, {float(values.min()):.4g} to {float(values.max()):.4g}, are"
    raise ConfigError(Diagnostic(str(path), message, f"give the kind of specimen: --kind {', '.join(names)} or {last}"))


def _shown(numbers: np.ndarray) -> str:
    """Name the first of many numbers."""
    first = ", ".join(map(str, numbers[:_SHOWN]))
    return first if len(numbers) <= _SHOWN else f"{first}, … ({len(numbers)} in all)"
