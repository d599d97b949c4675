"""Faults of names that a config gives and a file lacks: the content of the file, and the names like it."""

import re
from pathlib import Path

from ..config.advice import did_you_mean, quoted
from ..config.entries import Entry
from ..config.source import Source
from ..errors import DataError, Diagnostic
from .guard import guard
from .hdf5_common import ROOT_ATTRIBUTES
from .image_files import is_image
from .lazy_arrays import NAMES, ArrayTree
from .text_table import TABLE

_PLAIN_NAMES = (TABLE, "spec", "FIO")
"""Formats whose arrays are named without a slash before them."""


def plain_name(tree: ArrayTree, name: str) -> str:
    """Return the name of an array as a config gives it."""
    return name[1:] if tree.form in _PLAIN_NAMES else name


def absolute_path(path: str) -> str:
    """Return a path from the root of a file: a column ``row`` is ``/row``."""
    return path if path.startswith("/") else f"/{path}"


def missing_diagnostic(tree: ArrayTree, entry: Entry, *others: Entry) -> Diagnostic:
    """Return the fault of a file that lacks a required entry.

    Args:
        tree: The open file.
        entry: Required entry.
        others: Entries that would do instead.
    """
    required = " nor ".join(f"{e.path} ({e.meaning})" for e in (entry, *others))
    forms = "/path, or FILE:/path"
    if _may_be_number(entry):
        forms = (
            f"/path, /@attribute, FILE:/path, or a {'plain number' if entry.unit == '1' else 'number with its unit'}"
        )
    remedy = f"name it in the config (acquisition.{entry.name}: {forms}), {content_of(tree)}"
    if beside := _file_beside(tree.path, entry.name):
        remedy += f"; beside it lies acquisition.{entry.name}: {quoted(beside)}"
    return Diagnostic(str(tree.path), f"the file holds {'neither' if others else 'no'} {required}", remedy)


def _file_beside(path: Path, name: str) -> str:
    """Find the only image or array beside a file whose name has that of an entry as a word; empty if there is none.

    Of several, those whose names begin with the file's own come first.
    """
    if not path.is_file():
        return ""
    with guard(path.parent, "the folder"):
        others = [other.name for other in path.parent.iterdir() if is_image(other.name) or other.suffix == ".npy"]
    words = [other for other in others if {name, f"{name}s"} & set(re.split(r"[^a-z]+", other.lower()))]
    own = [other for other in words if other.startswith(path.stem) and other != path.name]
    return own[0] if len(own) == 1 else words[0] if len(words) == 1 and words[0] != path.name else ""


def unknown_name(tree: ArrayTree, entry: Entry, source: Source) -> Diagnostic:
    """Return the fault of a config that names an absent array or attribute."""
    path, attribute = absolute_path(source.path), source.attribute
    place = f"{tree.path}:{source.path}"
    if attribute:
        attributes = tree.attributes(path)
        if attributes is not None:
            shown = ", ".join(list(attributes)[:12]) or "none"
            message = f"there is no attribute {attribute!r} for acquisition.{entry.name}"
            remedy = f"its attributes are {shown}{_suggestion(attribute, list(attributes))}"
            return Diagnostic(place, message, remedy)
    message = f"there is nothing of that name, for acquisition.{entry.name}"
    names = [*tree.names(), *_root_attributes(tree)]
    prefix = f"{source.file}:" if source.file else ""
    suggestion = _suggestion(plain_name(tree, path), [plain_name(tree, name) for name in names], prefix)
    number = "; the config may give a plain number instead" if _may_be_number(entry) and not prefix else ""
    return Diagnostic(place, message, f"{content_of(tree)}{suggestion}{number}")


def _may_be_number(entry: Entry) -> bool:
    """Whether a single number suffices, which the config itself can give."""
    return any(axes in ((), ("1",), ("2",)) for axes in entry.axes) and entry.dtype != "text"


def _root_attributes(tree: ArrayTree) -> list[str]:
    """List the file's own attributes as the config names them, without those that every file of ours has."""
    return [f"/@{name}" for name in tree.attributes("/") or {} if name not in ROOT_ATTRIBUTES]


def _suggestion(name: str, names: list[str], prefix: str = "") -> str:
    """Suggest the nearest name, by the whole path or by its last part."""
    last = {path.rpartition("/")[2]: path for path in names}
    similar = did_you_mean(name, names, show=lambda near: f"{prefix}{near}") or did_you_mean(
        name.rpartition("/")[2], last, show=lambda near: f"{prefix}{last[near]}"
    )
    return f"; {similar}" if similar else ""


def content_of(tree: ArrayTree) -> str:
    """List the first arrays and attributes of a file, for messages."""
    shown, names = [], ""
    for name in tree.names()[:8]:
        try:
            array = tree.array(name)
        except DataError:
            array = None
        title = plain_name(tree, name)
        names = names if array is None else array.attributes.get(NAMES, names)
        shown.append(title if array is None else f"{title} {array.shape}")
    more = ", …" if len(tree.names()) > 8 else ""
    attributes = _root_attributes(tree)
    if attributes:
        more += f"; attributes {', '.join(attributes[:8])}{', …' if len(attributes) > 8 else ''}"
    if names:
        more += f"; names of the images: {names}"
    return f"it holds {', '.join(shown)}{more}" if shown else f"it holds no arrays{more}"
