"""Folders of images, one view each or several, and of tables, as named arrays.

The numbers in the names of the images are arrays too, if a pattern names them: with ``img_y{row}_x{column}.tif`` they
stand at ``/name/row`` and ``/name/column``, and as the LED of each view at ``/led_row_col``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .file_names import natural_order
from .guard import guard
from .image_files import is_image, read_image_file, stack_files, without_members
from .lazy_arrays import IMAGES, NAMES, LazyArray
from .name_pattern import (
    NamePattern,
    Numbers,
    family,
    has_fields,
    missing_numbers,
    missing_of,
    suggest_pattern,
    with_fields,
)
from .text_table import open_table

_TABLES = (".csv", ".txt", ".npy")
CONTAINERS = (".h5", ".hdf5", ".nxs", ".cxi", ".npz", ".mat")
"""Endings of files that hold a whole measurement."""
_ROLES = {("row", "column"): "/led_row_col", ("row", "col"): "/led_row_col"}
"""Paths of our own files for numbers in names that have a role by their names."""


def open_folder(folder: Path, pattern: str = "") -> "Folder":
    """Open a folder of images, in the order of the numbers in their names.

    Args:
        folder: The folder.
        pattern: Pattern of the images' names (``image_*.tif``, ``img_{row}_{column}.tif``); all images if empty.

    Raises:
        DataError: If no image is there, or the pattern is no pattern.
    """
    if not folder.is_dir():
        raise DataError(Diagnostic(str(folder), "there is no such folder", "check the name"))
    with guard(folder, "the folder"):
        entries = sorted(folder.iterdir(), key=lambda entry: natural_order(entry.name))
    names = tuple(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    tree = Folder(folder, names, pattern)
    if not tree.images:
        problem = f"no file matches {pattern!r}" if pattern else "the folder holds no image"
        content = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
        message = f"{problem}; it holds {', '.join(content[:4]) or 'no file'}"
        remedy = (
            "name a folder of TIFF, PNG, JPEG or BMP files, or a pattern; a folder of subfolders needs the kind that "
            "reads it (--kind)"
        )
        if file := _main_file(names):
            remedy = f"name the file itself: {folder / file}"
        raise DataError(Diagnostic(str(folder), message, remedy))
    return tree


def _main_file(names: Sequence[str]) -> str:
    """Find the file of a folder that holds a measurement: its master, or the only one; empty if there is none."""
    files = [name for name in names if name.lower().endswith(CONTAINERS)]
    masters = [name for name in files if "master" in name.lower()] or files
    return masters[0] if len(masters) == 1 else ""


def pattern_of_folder(folder: Path, fields: Sequence[str]) -> str:
    """Write the names of a folder's images as a pattern that names their numbers; empty if they have others."""
    if not folder.is_dir():
        return ""
    with guard(folder, "the folder"):
        names = sorted((entry.name for entry in folder.iterdir() if is_image(entry.name)), key=natural_order)
    return suggest_pattern(names, fields) if names else ""


def tables_of_folder(folder: Path) -> list[str]:
    """List the text tables among the files of a folder of images."""
    if not folder.is_dir():
        return []
    with guard(folder, "the folder"):
        names = [entry.name for entry in folder.iterdir() if entry.name.lower().endswith((".csv", ".txt"))]
    return sorted((name for name in names if not name.startswith(".")), key=natural_order)


@dataclass(frozen=True)
class Folder:
    """Folder whose files are arrays: an `ArrayTree`.

    A path may be a pattern, ``/image_*.tif``: the stack of all files that match. Tables (``/leds.csv``, ``.txt``,
    ``.npy``) are arrays too.

    Args:
        path: The folder.
        files: Names of its files, in natural order.
        pattern: Pattern of the images' names; every image if empty.
        form: Format, for people.
    """

    path: Path
    files: tuple[str, ...]
    pattern: str = ""
    form: str = "folder"

    def names(self) -> list[str]:
        """List the stack of images with what belongs to it, and other files that are arrays by themselves."""
        others = [f for f in self.files if f.lower().endswith(_TABLES) or (is_image(f) and f not in self.images)]
        return [*self._arrays, *(f"/{name}" for name in others)]

    def array(self, name: str) -> LazyArray | None:
        """Return one file, the stack of those that match a pattern, or the numbers in their names.

        Raises:
            DataError: If the images are of several kinds by their names, or a file is damaged.
        """
        if name == IMAGES and not self.pattern:
            _require_one_kind(self.path, self.images)
        if name in self._arrays:
            return self._arrays[name]
        if name[1:] in self.files:
            return _read_file(self.path / name[1:])
        matching, _ = _matching(self.path, self.files, name[1:])
        return stack_files(self.path, matching)[IMAGES] if matching else None

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return no attributes for the folder and its arrays; None for anything else."""
        return {} if name == "/" or self.array(name) is not None else None

    @cached_property
    def images(self) -> list[str]:
        """Names of the images, in the order of the views."""
        return self._images[0]

    @cached_property
    def _images(self) -> tuple[list[str], list[Numbers]]:
        if self.pattern:
            names, numbers = _matching(self.path, self.files, self.pattern)
        else:
            names, numbers = [name for name in self.files if is_image(name)], []
        return (names, numbers) if numbers or not names else (without_members(self.path, names), [])

    @cached_property
    def _arrays(self) -> dict[str, LazyArray]:
        """The stack of images, what its first file gives beside it, and the numbers in the names."""
        names, numbers = self._images
        arrays = stack_files(self.path, names)
        images = arrays[IMAGES]
        described = {**images.attributes, NAMES: f"{names[0]} … {names[-1]}" if len(names) > 1 else names[0]}
        if not numbers and (pattern := suggest_pattern(names, ("row", "column")) or suggest_pattern(names, ("a",))):
            described[NAMES] = f"'{pattern}' as a pattern, {described[NAMES]}"
        remarks = (*images.remarks, *self._remarks(names, numbers))
        arrays[IMAGES] = replace(images, attributes=described, remarks=remarks)
        return arrays | (_named_numbers(NamePattern(self.pattern).fields, numbers) if numbers else {})

    def _remarks(self, names: Sequence[str], numbers: Sequence[Numbers]) -> list[str]:
        """Sentences about images that are missing, or left out."""
        remarks = []
        missing = missing_of(numbers) if numbers else missing_numbers(names)
        if missing:
            remarks.append(f"of the images {names[0]} to {names[-1]}, number {missing} is missing")
        others = [name for name in self.files if is_image(name) and name not in names]
        if numbers and others:
            shown = ", ".join(others[:4]) + (", …" if len(others) > 4 else "")
            remarks.append(f"{len(others)} images do not fit the pattern, and are not used: {shown}")
        fields = NamePattern(self.pattern).fields if numbers else {}
        for field, values in zip(fields, np.array(numbers).T, strict=True):
            if len(values) > 2 and (values < 0).all():
                remarks.append(f"every {field} is negative: a '-' between texts belongs into the pattern")
        return remarks


def _matching(folder: Path, files: Sequence[str], pattern: str) -> tuple[list[str], list[Numbers]]:
    """Return the files that match a pattern, and the numbers that it names in them, by which they are sorted.

    Raises:
        DataError: If the pattern is no pattern, or the numbers of two names are equal or can be read in several ways.
    """
    if not has_fields(pattern):
        return [name for name in files if fnmatch(name, pattern)], []
    names = NamePattern(pattern)
    place = str(folder / pattern)
    if fault := names.faults():
        raise DataError(
            Diagnostic(place, f"{pattern!r} is no pattern: {fault}", "write it as 'img_y{row}_x{column}.tif'")
        )
    matched = sorted((numbers, name) for name in files if (numbers := names.match(name)) is not None)
    for numbers, name in matched:
        if np.isnan(numbers).any():
            message = f"the numbers in {name!r} can be read in several ways"
            raise DataError(Diagnostic(place, message, "write the texts between the numbers into the pattern"))
    for (numbers, name), (others, other) in pairwise(matched):
        if numbers == others:
            message = f"{name!r} and {other!r} have the same numbers"
            raise DataError(Diagnostic(place, message, "move one of them away, or name its other numbers too"))
    return [name for _, name in matched], [numbers for numbers, _ in matched]


def _named_numbers(fields: Mapping[str, str], numbers: Sequence[Numbers]) -> dict[str, LazyArray]:
    """Present the numbers in the names as arrays: each by its name, and by its role."""
    table = np.array(numbers, float)
    names = list(fields)
    arrays = {
        f"/name/{name}": LazyArray.of(column, {"units": unit} if unit else {})
        for (name, unit), column in zip(fields.items(), table.T, strict=True)
    }
    for roles, path in _ROLES.items():
        if set(roles) <= set(names):
            arrays[path] = LazyArray.of(table[:, [names.index(role) for role in roles]], origin="/name")
    if fields.get("angle"):
        arrays["/angle"] = replace(arrays["/name/angle"], origin="/name/angle")
    return arrays


def _require_one_kind(folder: Path, images: Sequence[str]) -> None:
    """Refuse images whose names are of several kinds, beside those of a series: a dark frame is no view.

    Raises:
        DataError: With the kinds.
    """
    families = Counter(family(name) for name in images)
    kinds = families.most_common()
    if len(kinds) < 2 or kinds[0][1] < 2:
        return
    shown = ", ".join(f"{name} ({n})" for name, n in kinds[:6]) + (", …" if len(kinds) > 6 else "")
    example = next(name for name in images if family(name) == kinds[0][0])
    message = f"the names of its {len(images)} images are of {len(kinds)} kinds: {shown}"
    remedy = (
        f"name those to use by a pattern, '{folder / with_fields(example)}', or all of a format, "
        f"'{folder / '*'}{Path(example).suffix}'"
    )
    raise DataError(Diagnostic(str(folder), message, remedy))


def _read_file(path: Path) -> LazyArray:
    """Read one file of a folder."""
    if path.suffix.lower() == ".npy":
        with guard(path):
            return LazyArray.of(np.asarray(np.load(path, allow_pickle=False)))
    if path.suffix.lower() in _TABLES:
        return open_table(path).whole()
    return read_image_file(path)
