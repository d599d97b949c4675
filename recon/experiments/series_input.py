"""Acquisitions of a series: their positions, as given, as their files give them, or by their order."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..acquisition import Acquisition
from ..errors import ConfigError, DataError, Diagnostic, UnflatError
from ..io.file_names import distinct_file_names
from ..io.series_position import list_coordinates, read_position
from ..runs import describe_input
from ..runs.scan_list import is_several, list_scans
from ..series_axis import ORDER, SeriesAxis, parse_position, require_rising
from .base import Experiment

_log = logging.getLogger(__name__)

RESERVED = ("acquisition", "verdict", "reasons")
"""Names of no coordinate: columns of the table of the acquisitions."""


@dataclass(frozen=True)
class SeriesInput:
    """Files of a series as the command names them.

    Args:
        paths: Acquisition files, in any order.
        coordinate: Name of the coordinate, or name and positions: ``time``, ``time=0s,10s,20s``.

    Raises:
        ConfigError: If there is one file only, or the coordinate is none.
    """

    paths: tuple[Path, ...]
    coordinate: str

    def __post_init__(self) -> None:
        if len(self.paths) < 2:
            message = f"a series has several acquisitions, and {len(self.paths)} is given"
            raise ConfigError(Diagnostic("--series", message, "name all of them, or leave out --series"))
        if not self.name:
            raise ConfigError(Diagnostic("--series", f"{self.coordinate!r} has no name", "write --series time"))
        if self.name in RESERVED:
            message = f"{self.name} is another column of the table of the series"
            raise ConfigError(Diagnostic("--series", message, f"take another name, such as {self.name}_number"))
        self.given()

    @property
    def name(self) -> str:
        """Name of the coordinate."""
        return self.coordinate.partition("=")[0].strip().rstrip("/").rpartition("/")[2]

    def given(self) -> list[tuple[float, str]]:
        """Parse the positions on the command line; empty where it gives none.

        Raises:
            ConfigError: If they are none, or not as many as the acquisitions.
        """
        _, has_positions, text = self.coordinate.partition("=")
        if not has_positions:
            return []
        parts = text.split(",")
        if len(parts) != len(self.paths):
            message = f"{len(parts)} positions for {len(self.paths)} acquisitions"
            raise ConfigError(Diagnostic("--series", message, "give one for each, in the order of the files"))
        try:
            return [parse_position(part) for part in parts]
        except ValueError as error:
            raise ConfigError(Diagnostic("--series", str(error), "write --series 'time=0s,10s,20s'")) from None


@dataclass(frozen=True)
class Series:
    """Acquisitions of a series, sorted by their positions.

    Args:
        axis: Coordinate.
        acquisitions: The acquisitions.
        names: Name of each, as a part of a path.
        notes: Sentences on what was found.
    """

    axis: SeriesAxis
    acquisitions: tuple[Acquisition, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def largest(self) -> Acquisition:
        """Acquisition with most data, whose memory is that of each step."""
        return max(self.acquisitions, key=lambda acquisition: acquisition.nbytes)

    def require(self, experiment: Experiment, config: Any) -> None:
        """Refuse acquisitions that cannot be one series, before anything is computed.

        Raises:
            ConfigError: If the kind fits no series, or a setting holds for none.
            DataError: If the acquisitions differ in what they must share.
        """
        if config.fit.ensemble > 1:
            message = "a series has one fit, and no ensemble yet"
            raise ConfigError(Diagnostic("fit.ensemble", message, "set fit.ensemble to 1"))
        experiment.require_series(config, self.acquisitions)


def list_series(paths: Sequence[Path], coordinate: str, *, each: bool = False) -> SeriesInput:
    """List the files of a series that arguments of a command name: files, folders or patterns.

    Args:
        paths: The arguments.
        coordinate: Name of the coordinate, with the positions if given.
        each: Whether every entry of a folder, or every match of a pattern, is an acquisition of its own.

    Raises:
        ConfigError: If there is one file only, one is named twice, or the coordinate is none.
    """
    counts = Counter(path.resolve() for path in paths)
    if doubled := [path for path in dict.fromkeys(paths) if counts[path.resolve()] > 1]:
        remedy = "name each acquisition of a series once"
        raise ConfigError(*(Diagnostic(str(path), "is named twice", remedy) for path in doubled))
    if each or is_several(paths):
        paths = [scan.path for scan in list_scans(paths, each=each)]
    return SeriesInput(tuple(paths), coordinate)


def describe_series(given: SeriesInput) -> dict[str, Any]:
    """Describe the inputs of a series for provenance and fingerprint."""
    files = {f"acquisition_{i + 1}": describe_input(path) for i, path in enumerate(given.paths)}
    return {"input": f"{len(given.paths)} acquisitions", "series": given.coordinate, **files}


def read_series(experiment: Experiment, config: Any, given: SeriesInput) -> Series:
    """Read the acquisitions of a series, and sort them.

    Raises:
        ConfigError: With the faults of the config alone.
        DataError: With every fault of all files, or if two have the same position.
    """
    acquisitions, positions, faults, is_config = [], [], [], True
    own = given.given()
    for path in given.paths:
        try:
            acquisitions.append(experiment.read(config, path))
            if not own:
                coordinate = given.coordinate.strip()
                positions.append(read_position(path, coordinate, experiment.readers()))
        except UnflatError as error:
            faults += [_with_file(fault, path) for fault in error.faults]
            is_config = is_config and isinstance(error, ConfigError)
    if faults:
        raise ConfigError(*faults) if is_config else DataError(*faults)
    if not own and not any(positions) and "/" not in given.coordinate:
        _require_no_other(given, experiment)
    axis, order, notes = _arrange(given, own or positions)
    names = distinct_file_names([path.stem for path in given.paths])
    return Series(axis, tuple(acquisitions[i] for i in order), tuple(names[i] for i in order), tuple(notes))


def _require_no_other(given: SeriesInput, experiment: Experiment) -> None:
    """Refuse to number files that all give their positions, though of another coordinate than the named one.

    Raises:
        ConfigError: With the names of those coordinates.
    """
    listed = [list_coordinates(path, experiment.readers()) for path in given.paths]
    shared = [name for name in listed[0] if all(name in others for others in listed)]
    if shared:
        message = f"no file gives its {given.name}, but each gives its {' and '.join(shared)}"
        numbers = ",".join(str(i + 1) for i in range(len(given.paths)))
        remedy = f"write --series {shared[0]}, or number the files as they are named: --series {given.name}={numbers}"
        raise ConfigError(Diagnostic("--series", message, remedy))


def _with_file(fault: Diagnostic, path: Path) -> Diagnostic:
    """Name the file in a fault that does not, as there are several."""
    if str(path) in fault.where or path.name in fault.where:
        return fault
    return Diagnostic(f"{path}: {fault.where}" if fault.where else str(path), fault.message, fault.remedy)


def _arrange(
    given: SeriesInput, positions: Sequence[tuple[float, str] | None]
) -> tuple[SeriesAxis, list[int], list[str]]:
    """Sort the acquisitions.

    Returns:
        Coordinate, numbers of the acquisitions in its order, and notes.

    Raises:
        DataError: If some files have no position, the units differ, or two positions are equal.
    """
    paths, name = given.paths, given.name
    known = [position for position in positions if position is not None]
    if not known:
        if "/" in given.coordinate:
            remedy = f"'unflat info {paths[0]}' lists its arrays"
            raise DataError(Diagnostic(str(paths[0]), f"has no {given.coordinate}, and no other file has", remedy))
        _log.warning(
            "no file gives its %s: the acquisitions are numbered 1 to %d, in the order given", name, len(paths)
        )
        axis = SeriesAxis(name, ORDER, tuple(float(i + 1) for i in range(len(paths))))
        return axis, list(range(len(paths))), []
    if missing := [str(path) for path, position in zip(paths, positions, strict=True) if position is None]:
        message = f"does not give its {name}, which other files give"
        raise DataError(*(Diagnostic(path, message, f"give all: --series {name}=0,10,20") for path in missing))
    units: dict[str, str] = {}
    for path, (_, unit) in zip(paths, known, strict=True):
        units.setdefault(unit, path.name)
    if len(units) > 1:
        listed = ", ".join(f"{unit or 'none'} ({file})" for unit, file in units.items())
        raise DataError(Diagnostic("--series", f"the positions have different units: {listed}", "use one for all"))
    order = sorted(range(len(paths)), key=lambda i: known[i][0])
    values = tuple(known[i][0] for i in order)
    if not np.isfinite(values).all():
        raise DataError(Diagnostic("--series", f"the positions {values} are not all finite"))
    require_rising(values, [paths[i].name for i in order])
    axis = SeriesAxis(name, known[0][1], values)
    notes = [f"series of {len(paths)} acquisitions, {axis.range}"]
    if order != list(range(len(paths))):
        notes.append(f"sorted by {name}: {', '.join(paths[i].name for i in order)}")
    return axis, order, notes
