"""Position of an acquisition in a series, as its file gives it."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import DataError, Diagnostic
from ..series_axis import ORDER, convert_position, parse_position
from .hdf5_common import text_of
from .lazy_arrays import ArrayTree
from .open import Reader, open_tree

GROUP = "/series"
"""Group of the positions in an acquisition of ours; an attribute at the root serves as well."""


def read_position(path: Path, name: str, readers: Sequence[Reader] = ()) -> tuple[float, str] | None:
    """Read the position of an acquisition.

    Args:
        path: The acquisition.
        name: Name of the coordinate, of an array in `GROUP` or an attribute at the root (``12.5 s``); or the path of an
            array, ``/entry/sample/temperature``. The array may hold a text, too.
        readers: Readers of further formats.

    Returns:
        The position in SI, and its unit; None if the file does not give it.

    Raises:
        DataError: If it is no finite number, or the file cannot be opened.
    """
    with open_tree(path, readers) as tree:
        place = f"/{name.lstrip('/')}" if "/" in name else f"{GROUP}/{name}"
        try:
            return _of_array(tree, place) or _of_attribute(tree, name)
        except ValueError as error:
            remedy = f"give the positions of all: --series {Path(name).name}=0,10,20"
            raise DataError(Diagnostic(f"{path}:{place}", f"the position {error}", remedy)) from None


def list_coordinates(path: Path, readers: Sequence[Reader] = ()) -> tuple[str, ...]:
    """List the names of the coordinates at which an acquisition gives its position.

    Args:
        path: The acquisition.
        readers: Readers of further formats.

    Raises:
        DataError: If the file cannot be opened.
    """
    with open_tree(path, readers) as tree:
        places = [name for name in tree.names() if name.startswith(f"{GROUP}/") and _is_position(tree, name)]
        attributes = _attributes_with_unit(tree)
    return (*(place.removeprefix(f"{GROUP}/") for place in places), *attributes)


def _attributes_with_unit(tree: ArrayTree) -> list[str]:
    """List the attributes at the root of a file of ours that are a number with a unit, as a simulation writes them."""
    attributes = tree.attributes("/") or {}
    names = []
    for name, value in attributes.items() if "format" in attributes else ():
        with suppress(ValueError):
            if isinstance(value, str) and parse_position(value)[1] != ORDER:
                names.append(name)
    return names


def _is_position(tree: ArrayTree, place: str) -> bool:
    """Whether an array holds a position: such a group of a foreign file may hold images."""
    try:
        array = tree.array(place)
        return array is not None and int(np.prod(array.shape)) == 1 and _of_array(tree, place) is not None
    except (ValueError, DataError):
        return False


def _of_array(tree: ArrayTree, place: str) -> tuple[float, str] | None:
    array = tree.array(place)
    if array is None:
        return None
    values, unit = np.ravel(np.asarray(array.read())), str(array.attributes.get("units", ""))
    if values.size == 1 and isinstance(values[0], str | bytes):
        return _of_text(f"{text_of(values[0])} {unit}")
    if values.size != 1 or values.dtype.kind not in "iuf":
        raise ValueError(f"is an array of shape {array.shape}, and no number")
    return convert_position(float(values[0]), unit)


def _of_attribute(tree: ArrayTree, name: str) -> tuple[float, str] | None:
    value = (tree.attributes("/") or {}).get(name)
    if isinstance(value, str):
        return _of_text(value)
    return convert_position(float(value), "") if isinstance(value, int | float | np.number) else None


def _of_text(text: str) -> tuple[float, str]:
    try:
        return parse_position(text)
    except ValueError as error:
        raise ValueError(f"is {text.strip()!r}: {error}") from None
