"""Files of images, one after the other, as one stack."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from .combine_arrays import concatenate, stack
from .guard import guard
from .image_stack import open_stack
from .lazy_arrays import IMAGES, PIXEL_SIZE, PLANE_Z, Index, LazyArray, LazyArrays
from .picture import EXTENSIONS as PICTURES
from .picture import open_picture, picture_form

EXTENSIONS = (".tif", ".tiff", *PICTURES)
"""Extensions of images."""
_REMEDY = "name the images that belong together by a pattern, such as 'folder/image_*.tif'"


def is_image(name: str) -> bool:
    """Whether a file is an image by its name; hidden files, such as those that macOS puts beside others, are none."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


@contextmanager
def open_image(path: Path) -> Iterator[LazyArrays]:
    """Open a TIFF or a picture by its first bytes.

    Raises:
        DataError: If it is damaged.
    """
    with guard(path):
        with path.open("rb") as stream:
            head = stream.read(8)
        opener = open_picture if picture_form(head) else open_stack
    with opener(path) as tree:
        yield tree


def read_image_file(path: Path) -> LazyArray:
    """Return the images of one file, which is opened when they are read."""
    with open_image(path) as tree:
        array = tree.array(IMAGES)
        if array is None:
            raise DataError(Diagnostic(str(path), "holds no image"))
        return replace(array, fetch=partial(_fetch, path, array))


def stack_files(folder: Path, names: Sequence[str]) -> dict[str, LazyArray]:
    """Stack the images of files.

    Args:
        folder: Folder of the files.
        names: Names of the files, at least one.

    Returns:
        The images; the pixel size and the planes of focus, if the first file gives them.

    Raises:
        DataError: If the first file is damaged.
    """
    first = folder / names[0]
    with open_image(first) as tree:
        beside = {name: array for name in (PIXEL_SIZE, PLANE_Z) if (array := tree.arrays.get(name)) is not None}
        known = {name: replace(array, fetch=LazyArray.of(array.read()).fetch) for name, array in beside.items()}
    images = read_image_file(first)
    if len(names) > 1:
        known.pop(PLANE_Z, None)
        images = _join(folder, names, images)
    return {IMAGES: images, **known}


def without_members(folder: Path, names: Sequence[str]) -> list[str]:
    """Leave out files that are read with the first, because all belong to one set."""
    with open_image(folder / names[0]) as tree:
        members = set(tree.files) - {names[0]}
    return [name for name in names if name not in members]


def _join(folder: Path, names: Sequence[str], first: LazyArray) -> LazyArray:
    """Join the images of files along the axis of the views; files of several planes of focus are positions."""
    inner = [axis for axis in first.axes if axis not in ("y", "x", "channel")]
    if len(inner) == 1 and inner[0] in ("view", "time") and first.axes[0] == inner[0]:
        chain = concatenate([_of_one_kind(folder / name, first) for name in names])
        return replace(chain, axes=("view", *first.axes[1:]))
    parts = [replace(first, fetch=partial(_fetch_alike, folder / name, first)) for name in names]
    if not inner:
        return stack(parts, "view")
    return replace(stack(parts, "position"), labels={**first.labels, "position": tuple(names)})


def _fetch_alike(path: Path, first: LazyArray, index: tuple[Index, ...]) -> np.ndarray:
    """Read a part of the images of a file, of which there must be as many as in the first."""
    return _of_one_kind(path, first, whole=True).fetch(index)


def _of_one_kind(path: Path, first: LazyArray, *, whole: bool = False) -> LazyArray:
    """Return the images of a file, which must be of the size and type of the first.

    Args:
        path: The file.
        first: Images of the first file.
        whole: Whether their number must be the same as well.

    Raises:
        DataError: If they differ.
    """
    image = read_image_file(path)
    start = 0 if whole else 1
    if image.shape[start:] != first.shape[start:] or image.axes[start:] != first.axes[start:]:
        message = f"the image has the shape {image.shape}; the first of the folder has {first.shape}"
        raise DataError(Diagnostic(str(path), message, _REMEDY))
    if image.dtype.newbyteorder("=") != first.dtype.newbyteorder("="):
        message = f"the image is {image.dtype.name}; the first of the folder is {first.dtype.name}"
        raise DataError(Diagnostic(str(path), message, _REMEDY))
    return image


def _fetch(path: Path, expected: LazyArray, index: tuple[Index, ...]) -> np.ndarray:
    """Open a file again and read a part of its images."""
    with open_image(path) as tree:
        array = tree.array(IMAGES)
        if array is None or array.shape != expected.shape:
            raise DataError(Diagnostic(str(path), "has changed since it was opened", "wait until it is written"))
        return array.fetch(index)
