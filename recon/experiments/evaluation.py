"""Accuracy of results against the truth: of one specimen, and of several one by one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, Diagnostic
from ..sampled import Sampled
from ..volume import Volume

if TYPE_CHECKING:
    from ..io.table import Table


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of a result against the truth.

    Args:
        numbers: Metrics by name; means over all specimens where there are several.
        specimens: A row for each specimen, where there are several.
        classes: A row for each class, and one for all.
    """

    numbers: Mapping[str, float]
    specimens: "Table | None" = None
    classes: "Table | None" = None


@dataclass(frozen=True)
class Comparison:
    """A result and the truth of the same specimen.

    Args:
        name: Name of the specimen.
        label: Class of the specimen; empty if unknown.
        result: Model or volume.
        truth: Specimen as it is.
    """

    name: str
    label: str
    result: Sampled
    truth: Volume


@contextmanager
def named_faults(name: str) -> Iterator[None]:
    """Put the name of a specimen before the faults that a block raises."""
    try:
        yield
    except DataError as error:
        places = [f"{name}: {fault.where}" if fault.where else name for fault in error.faults]
        faults = zip(places, error.faults, strict=True)
        raise DataError(*(Diagnostic(place, fault.message, fault.remedy) for place, fault in faults)) from error


def evaluate_each(pairs: Sequence[Comparison], evaluate: Callable[[Comparison], Mapping[str, float]]) -> Evaluation:
    """Evaluate several results: means of all numbers, and a row for each specimen.

    Args:
        pairs: Results with the truth of the same specimens.
        evaluate: Function that computes the numbers of one.

    Raises:
        DataError: If two cannot be compared, with the specimen's name.
    """
    from ..io.table import Column, Table

    rows: list[Mapping[str, float]] = []
    for pair in pairs:
        with named_faults(pair.name):
            rows.append(evaluate(pair))
    names = list(dict.fromkeys(name for row in rows for name in row))
    means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    columns = (Column("name"), Column("label"), *map(Column, names))
    words: list[dict[str, str | int | float]] = [{"name": pair.name, "label": pair.label} for pair in pairs]
    return Evaluation(means, Table(columns, tuple({**a, **b} for a, b in zip(words, rows, strict=True))))


def require_one_unit(result: Sampled, truth: Volume) -> None:
    """Refuse a result and a truth of which only one has a voxel of known size.

    Raises:
        DataError: If that is so.
    """
    from ..io.detector_frame import is_on_detector

    units = {"m": "metres", "voxel": "voxels of unknown size"}
    own, other = result.length_unit, truth.length_unit
    if own == other or any(is_on_detector(each) for each in (result, truth)):
        return
    spacing = ",".join(f"{d * 1e6:.6g}um" for d in (truth if other == "m" else result).spacing)
    message = f"the result counts in {units[own]}, the truth in {units[other]}"
    remedy = f"give the voxel of the one that has none (--spacing '{spacing}' if it is the other's), or to neither"
    raise DataError(Diagnostic("", message, remedy))
