"""Folders of volumes, one file a specimen, and the matching of two such collections by name."""

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError, Diagnostic
from .file_names import natural_order
from .volume_formats import EXTENSIONS
from .volume_position import files_read_with

_READABLE = (*EXTENSIONS, ".npy")


def volume_files(folder: Path) -> dict[str, Path]:
    """List the volumes directly in a folder by their name without extension, in natural order.

    A volume in several files of a set is that of the first.

    Raises:
        DataError: If two have one name.
    """
    names: dict[str, Path] = {}
    parts: set[str] = set()
    for path in sorted(folder.iterdir(), key=lambda path: natural_order(path.name)):
        name = stem_of(path)
        if path.name.startswith(".") or not name or not path.is_file() or path.name in parts:
            continue
        if path.suffix.lower() in (".tif", ".tiff"):
            parts |= files_read_with(path)
        if name in names:
            message = f"holds two volumes of the name {name!r}: {names[name].name} and {path.name}"
            raise DataError(Diagnostic(str(folder), message, "move one of them to another folder"))
        names[name] = path
    return names


def stem_of(path: Path) -> str:
    """Return the name of a volume's file without its extension; empty if it has no extension of a volume."""
    extensions = sorted((e for e in _READABLE if path.name.lower().endswith(e)), key=len)
    return path.name[: -len(extensions[-1])] if extensions else ""


def match_names(own: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Match names with those of another collection: equal ones, else one that holds the other as whole words.

    ``cell_1`` matches ``cell_1_pred`` and ``pred-cell_1``, not ``cell_10``. A name that could match several is left
    out.

    Returns:
        The other name by each name that has one.
    """
    pairs = {name: name for name in own if name in set(others)}
    rest, free = [n for n in own if n not in pairs], [n for n in others if n not in pairs]
    candidates = {name: [other for other in free if _holds(name, other) or _holds(other, name)] for name in rest}
    for name, matches in candidates.items():
        longest = [m for m in matches if len(m) == max(map(len, matches))]
        rivals = [other for other in rest if longest and other != name and longest[0] in candidates[other]]
        if len(longest) == 1 and not rivals:
            pairs[name] = longest[0]
    return pairs


def _holds(name: str, part: str) -> bool:
    """Whether a name holds another one as whole words."""
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(part)}(?![0-9A-Za-z])", name) is not None
