"""Folders of TIFF images, one view each, and of tables, as named arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Diagnostic
from .guard import guard
from .image_stack import open_stack
from .lazy_arrays import IMAGES, Index, LazyArray, take
from .text_table import open_table
from .tiff import natural_order

_IMAGES = (".tif", ".tiff")
_TABLES = (".csv", ".txt", ".npy")


def open_folder(folder: Path, pattern: str = "") -> "Folder":
    """Open a folder of images, one view each, in the order of the numbers in their names.

    Args:
        folder: The folder.
        pattern: Pattern of the images' names (``image_*.tif``); every TIFF if empty.

    Raises:
        DataError: If no image is there.
    """
    if not folder.is_dir():
        raise DataError(Diagnostic(str(folder), "there is no such folder", "check the name"))
    with guard(folder, "the folder"):
        entries = sorted(folder.iterdir(), key=lambda entry: natural_order(entry.name))
    tree = Folder(folder, tuple(entry.name for entry in entries if entry.is_file()), pattern)
    if tree.array(IMAGES) is None:
        problem = f"no file matches {pattern!r}" if pattern else "the folder holds no TIFF"
        content = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
        message = f"{problem}; it holds {', '.join(content[:4]) or 'no file'}"
        remedy = "name a folder of TIFFs or a pattern; a folder of subfolders needs the kind that reads it (--kind)"
        raise DataError(Diagnostic(str(folder), message, remedy))
    return tree


@dataclass(frozen=True)
class Folder:
    """Folder whose files are arrays: an `ArrayTree`.

    A path may be a pattern, ``/image_*.tif``: the stack of all files that match. Tables (``/leds.csv``, ``.txt``,
    ``.npy``) are arrays too.

    Args:
        path: The folder.
        files: Names of its files, in natural order.
        pattern: Pattern of the images' names; every TIFF if empty.
        form: Format, for people.
    """

    path: Path
    files: tuple[str, ...]
    pattern: str = ""
    form: str = "folder"

    def names(self) -> list[str]:
        """List the stack of images, and every file that is an array by itself."""
        single = [f"/{name}" for name in self.files if name.lower().endswith(_IMAGES + _TABLES)]
        return [IMAGES, *single]

    def array(self, name: str) -> LazyArray | None:
        """Return one file, or the stack of those that match a pattern."""
        if name == IMAGES:
            return self._stack([f for f in self.files if self._is_image(f)])
        if name[1:] in self.files:
            return _read_file(self.path / name[1:])
        return self._stack([f for f in self.files if fnmatch(f, name[1:])])

    def attributes(self, name: str) -> Mapping[str, Any] | None:
        """Return no attributes for the folder and its arrays; None for anything else."""
        return {} if name == "/" or self.array(name) is not None else None

    def _is_image(self, name: str) -> bool:
        return fnmatch(name, self.pattern) if self.pattern else name.lower().endswith(_IMAGES)

    def _stack(self, files: list[str]) -> LazyArray | None:
        if not files:
            return None
        first = _read_file(self.path / files[0])

        def fetch(index: tuple[Index, ...]) -> np.ndarray:
            numbers = np.arange(len(files))[index[0]]
            return np.stack([take(self._image(files[i], first.shape), index[1:]) for i in numbers])

        return LazyArray((len(files), *first.shape), first.dtype, fetch)

    def _image(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        image = _read_file(self.path / name).read()
        if image.shape != shape:
            message = f"the image has the shape {image.shape}; the first of the folder has {shape}"
            remedy = "name the images that belong together by a pattern"
            raise DataError(Diagnostic(str(self.path / name), message, remedy))
        return image


def _read_file(path: Path) -> LazyArray:
    """Read one file of a folder."""
    if path.suffix.lower() == ".npy":
        with guard(path):
            return LazyArray.of(np.asarray(np.load(path, allow_pickle=False)))
    if path.suffix.lower() in _TABLES:
        return open_table(path).whole()
    with open_stack(path) as stack:
        return LazyArray.of(stack.arrays[IMAGES].read())
