"""Lists of points to sample, and tables of the values there.

| extension          | points                                                  | values                           |
|--------------------|---------------------------------------------------------|----------------------------------|
| ``.csv .tsv .txt`` | columns z, y, x; a header may order them and name units | a header with units              |
| ``.npy``           | (n, 3), or a record with the fields z, y, x             | a record; titles give units      |
| ``.npz``           | ``points`` (n, 3), or ``z``, ``y``, ``x``               | arrays by name, and ``units``    |
| ``.h5 .hdf5``      | the same; a ``units`` attribute counts                  | ``z``, ``y``, ``x`` and the rest |
"""

import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..config.units import dimension_of, is_number, si_factor
from ..errors import ConfigError, DataError, Diagnostic
from ..sampled import Quantity, Sampled
from .atomic import open_for_arrays, write_atomically
from .guard import first_line, guard, require_file
from .hdf5_common import open_checked, read_numbers, text_of, write_root_attributes
from .npz_members import load_archive
from .safe_hdf5 import new_hdf5
from .text_table import read_text

FORMAT = "unflat-points"
EXTENSIONS = (".csv", ".tsv", ".txt", ".npy", ".npz", ".h5", ".hdf5")
_COLUMN = re.compile(r"""\s*["']?([zyx])\s*(?:[\[(]\s*([^\])]*?)\s*[\])])?["']?\s*""", re.IGNORECASE)
_LOOSE = re.compile(r"""\s*["']?([zyx])(?:\s+|_)(\S+?)["']?\s*""", re.IGNORECASE)
"""A unit without brackets: ``z um``, ``z_um``."""
_REMEDY = "give columns z, y, x"
_DELIMITERS = (",", ";", "\t")


def read_points(path: Path, unit: str = "m") -> Float[np.ndarray, "n 3"]:
    """Read points.

    Args:
        path: The file.
        unit: Unit of the coordinates, where the file has none.

    Returns:
        Points (z, y, x) [m].

    Raises:
        ConfigError: If the extension or the unit is unknown.
        DataError: If the file holds no points, or some that are not finite.
    """
    reader = _READERS.get(require_extension(path), _read_text)
    try:
        factor = _metres(unit)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    require_file(path)
    with guard(path, explain=lambda error: _no_points(path, error)):
        points = reader(path, factor)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise DataError(
            Diagnostic(str(path), f"holds an array of the shape {points.shape}", "points are (n, 3): z, y, x")
        )
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if wrong.size:
        raise DataError(
            Diagnostic(str(path), f"point {wrong[0] + 1} is not finite ({wrong.size} in all)", "remove them")
        )
    return points


def _no_points(path: Path, error: Exception) -> Diagnostic | None:
    """Return the fault of a file that can be read, and lacks coordinates; None for a damaged file."""
    if type(error) not in (KeyError, TypeError, ValueError):
        return None
    return Diagnostic(str(path), f"cannot be read as points: {first_line(error)}", _REMEDY)


def line_points(start: Sequence[float], end: Sequence[float], count: int) -> Float[np.ndarray, "n 3"]:
    """Return evenly spaced points (z, y, x) on a straight line, both ends included.

    Args:
        start: [m] First point.
        end: [m] Last point.
        count: Number of points, at least 2.
    """
    return np.linspace(np.asarray(start, np.float64), np.asarray(end, np.float64), max(count, 2))


def write_values(
    path: Path,
    points: Float[np.ndarray, "n 3"],
    values: Float[np.ndarray, "n q"],
    result: Sampled,
    names: Sequence[str] = (),
) -> None:
    """Write points and the values of a result there, whole or not at all.

    Args:
        path: The file; its extension selects the format.
        points: [m] Points (z, y, x).
        values: Values of ``result.at(points, names)``.
        result: The model or volume.
        names: Names of the quantities; all real ones by default.
    """
    quantities = [result.quantity(name) for name in names] or result.real_quantities
    columns = [*(Quantity(axis, result.length_unit, f"coordinate {axis}") for axis in "zyx"), *quantities]
    arrays = [*points.T, *values.T]
    writer = _WRITERS.get(require_extension(path), _write_text)
    with write_atomically(path) as temporary:
        writer(temporary, columns, arrays, result.kind)


def require_extension(path: Path) -> str:
    """Return the extension of a table's name.

    Raises:
        ConfigError: If it is not a known one.
    """
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        raise ConfigError(
            Diagnostic(str(path), "has no extension of a table of points", f"use one of {', '.join(EXTENSIONS)}")
        )
    return extension


def _metres(unit: str) -> float:
    """Return the metres in one ``unit``.

    Raises:
        ValueError: If the unit is unknown, or measures no length.
    """
    if dimension_of(unit) != "length":
        what = "unknown" if dimension_of(unit) is None else "no length"
        raise ValueError(f"the unit {unit!r} is {what}; coordinates are in m, mm, um, nm")
    return si_factor(unit)


def _read_text(path: Path, factor: float) -> np.ndarray:
    """Read columns of text; lines that start with # are comments, unless the last of them is a header."""
    text = read_text(path)
    lines = list(islice(StringIO(text), 200))
    head, skip = "", 0
    for number, line in enumerate(lines):
        bare = line.strip().lstrip("#").strip()
        if bare and not is_number(_split(bare)[0]):
            head, skip = bare, number + 1
        elif bare and not line.lstrip().startswith("#"):
            break
    sample = next((line for line in lines[skip:] if line.strip() and not line.lstrip().startswith("#")), "")
    delimiter = next((d for d in _DELIMITERS if d in sample), None)
    columns, factors = _columns(head, len(_split(sample.strip())), factor)
    table = np.loadtxt(StringIO(text), delimiter=delimiter, skiprows=skip, usecols=columns, ndmin=2)
    return table * factors


def _columns(head: str, count: int, factor: float) -> tuple[list[int], list[float]]:
    """Find the columns z, y, x and the length that each number is in."""
    matches = _matches(_split(head)) if head else []
    named = {m[1].lower(): (i, _metres(m[2]) if m[2] else factor) for i, m in enumerate(matches) if m}
    if set(named) == set("zyx"):
        return [named[axis][0] for axis in "zyx"], [named[axis][1] for axis in "zyx"]
    if any(matches):
        raise ValueError(f"the header {head!r} does not name all of z, y, x")
    if count != 3:
        raise ValueError(f"{count} columns, and no header that names z, y, x")
    return [0, 1, 2], [factor] * 3


def _matches(names: list[str]) -> list[re.Match[str] | None]:
    """Recognise columns of coordinates; a unit without brackets counts where it cannot be another word.

    It counts if it is a length, or if all of z, y, x are named only with it: ``z px`` is then refused for its unit, and
    not read as metres, while a remark such as ``# x_ray of a bead`` is no header.
    """
    matches = [_COLUMN.fullmatch(name) for name in names]
    loose = [None if m else _LOOSE.fullmatch(name) for m, name in zip(matches, names, strict=True)]
    sure = [m or (f if f and dimension_of(f[2]) == "length" else None) for m, f in zip(matches, loose, strict=True)]
    named = {m[1].lower() for m in sure if m}
    rest = [f if f and f[1].lower() not in named else None for f in loose]
    if named | {f[1].lower() for f in rest if f} != set("zyx"):
        return sure
    return [m or f for m, f in zip(sure, rest, strict=True)]


def _split(line: str) -> list[str]:
    """Split a line at the first kind of delimiter that it has, else at blanks outside brackets."""
    delimiter = next((d for d in _DELIMITERS if d in line), None)
    return line.split(delimiter) if delimiter else re.split(r"\s+(?![\[(])(?![^\[(]*[\])])", line)


def _read_npy(path: Path, factor: float) -> np.ndarray:
    array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        return _stack({axis: array[axis] for axis in "zyx" if axis in array.dtype.names}) * factor
    return _real(array) * factor


def _stack(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Join the coordinates z, y, x.

    Raises:
        ValueError: If one is absent, or they differ in length.
    """
    if missing := [axis for axis in "zyx" if axis not in columns]:
        raise ValueError(f"there are neither points nor coordinates named z, y, x: {', '.join(missing)} is missing")
    shapes = {axis: columns[axis].shape for axis in "zyx"}
    if len(set(shapes.values())) > 1:
        raise ValueError("its coordinates differ in shape: " + ", ".join(f"{a} {s}" for a, s in shapes.items()))
    return np.stack([_real(columns[axis]) for axis in "zyx"], axis=-1)


def _real(array: np.ndarray) -> np.ndarray:
    """Return coordinates as floats.

    Raises:
        ValueError: If they are no real numbers.
    """
    if array.dtype.kind not in "iuf":
        raise ValueError(f"its coordinates are {array.dtype}, and no real numbers")
    return np.asarray(array, float)


def _read_npz(path: Path, factor: float) -> np.ndarray:
    with load_archive(path) as archive:
        if "points" in archive:
            return _real(archive["points"]) * factor
        return _stack({axis: archive[axis] for axis in "zyx" if axis in archive}) * factor


def _read_hdf5(path: Path, factor: float) -> np.ndarray:
    with open_checked(path) as file:

        def metres(name: str) -> np.ndarray:
            unit = file[name].attrs.get("units")
            try:
                scaled: np.ndarray = read_numbers(file, name) * (_metres(text_of(unit)) if unit else factor)
            except ValueError as error:
                raise DataError(Diagnostic(f"{path}:/{name}", str(error), "write them in metres")) from error
            return scaled

        try:
            return metres("points") if "points" in file else _stack({a: metres(a) for a in "zyx" if a in file})
        except ValueError as error:
            raise DataError(Diagnostic(str(path), f"cannot be read as points: {error}", _REMEDY)) from error


def _write_text(path: Path, columns: list[Quantity], arrays: list[np.ndarray], kind: str) -> None:
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    header = delimiter.join(f"{c.name} [{c.unit}]" for c in columns)
    np.savetxt(path, np.stack(arrays, axis=-1), fmt="%.12g", delimiter=delimiter, header=header, comments="")


def _write_npy(path: Path, columns: list[Quantity], arrays: list[np.ndarray], kind: str) -> None:
    # A field's title is a second name for it: table["z"] and table["z [m]"] are the same column.
    records = np.empty(len(arrays[0]), np.dtype([((f"{c.name} [{c.unit}]", c.name), "<f8") for c in columns]))
    for column, array in zip(columns, arrays, strict=True):
        records[column.name] = array
    with open_for_arrays(path) as file:
        np.save(file, records, allow_pickle=False)


def _write_npz(path: Path, columns: list[Quantity], arrays: list[np.ndarray], kind: str) -> None:
    named = {c.name: array for c, array in zip(columns, arrays, strict=True)}
    units = np.array([f"{c.name} [{c.unit}]" for c in columns])
    np.savez_compressed(path, allow_pickle=False, units=units, **named)


def _write_hdf5(path: Path, columns: list[Quantity], arrays: list[np.ndarray], kind: str) -> None:
    with new_hdf5(path) as file:
        write_root_attributes(file, FORMAT, kind, "/")
        file.attrs.update({"signal": columns[3].name, "axes": ["."]})
        for column, array in zip(columns, arrays, strict=True):
            file.create_dataset(column.name, data=array).attrs.update(
                {"units": column.unit, "long_name": column.meaning or column.name}
            )


_READERS: dict[str, Callable[[Path, float], np.ndarray]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}
_WRITERS: dict[str, Callable[[Path, list[Quantity], list[np.ndarray], str], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
}
