"""Sections of cells and their volumes: folders ``image/``, ``mask/`` and ``obj/`` whose files have one name for a cell.

    cells/image/discocyte_01.tif  cells/mask/discocyte_01.tif  cells/obj/discocyte_01.tif

They may lie in ``train/`` and ``test/`` trees, or in a zip archive of any of these. Files are PNG, TIFF or NPY. The
class of a cell is the text before the number in its name.
"""

import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ....physics.phantoms.red_blood_cells.cell import CLASSES
from ...errors import DataError, Diagnostic
from ...io.guard import guard
from ...io.image_stack import read_image
from ...io.tiff import natural_order

EXTENSIONS = (".tif", ".tiff", ".png", ".npy")
VOLUME_FOLDERS = ("obj", "objs", "object", "objects")
"""Names of folders of volumes."""
_PARTS = {"image": ("image", "images"), "mask": ("mask", "masks"), "obj": VOLUME_FOLDERS}
_PLAIN = (
    "image",
    "img",
    "im",
    "cell",
    "cells",
    "mask",
    "crop",
    "sample",
    "field",
    "scan",
    "stack",
    "frame",
    "rbc",
    "c",
)
"""Words that name no class."""
_INDEX = re.compile(r"^(?:[A-Za-z]|-?\d+(?:\.\d+)?)_(?=[A-Za-z])")
_NUMBER = re.compile(r"[\s_.-]*+(?:\(?\d++\)?[a-z]?[\s_.-]*+)*+$")
"""Numbers at the end. Possessive: backtracking would try every partition of a name of many digits."""


@dataclass(frozen=True)
class SectionFile:
    """Files of one cell.

    Args:
        name: Name of the cell, after that of its tree if there are several: ``train/discocyte_01``, or
            ``a/train/discocyte_01`` beside ``b/train/discocyte_01``.
        parts: Paths of the files by ``image``, ``mask``, ``obj``.
    """

    name: str
    parts: Mapping[str, str]

    @property
    def label(self) -> str:
        """Class of the cell."""
        return class_of(self.name)


@dataclass(frozen=True)
class Sections:
    """Open folder or archive.

    Args:
        path: The folder or the archive.
        files: Files of each cell, in the order of the names.
        read: Function that returns the bytes of a file.
    """

    path: Path
    files: Sequence[SectionFile]
    read: Callable[[str], bytes]

    def place(self, name: str) -> str:
        """Return the place of a file, for messages."""
        return str(self.path / name) if self.path.is_dir() else f"{self.path}:{name}"


@dataclass(frozen=True)
class FolderImage:
    """Image or volume as it is stored in its file.

    Args:
        values: Numbers of any type.
        voxel: [m] Size of a voxel (z, y, x), with NaN for an unknown z; empty if all are unknown.
    """

    values: np.ndarray
    voxel: tuple[float, ...] = field(default=())

    @property
    def largest(self) -> float | None:
        """Largest number of the integer type; None for floating point."""
        dtype = self.values.dtype
        return 1.0 if dtype.kind == "b" else float(np.iinfo(dtype).max) if dtype.kind in "iu" else None


def class_of(name: str) -> str:
    """Parse the class of a cell from its name; empty if the name has none.

    Numbers after it and an index before it are removed (``A_cell_clusters000604``, ``-0.33_stomatocyte_I-12``), and a
    plural becomes a singular if that is a known class.
    """
    stem = PurePosixPath(name).name
    stem = _NUMBER.sub("", _INDEX.sub("", stem))
    if not re.search(r"[A-Za-z]", stem) or stem.lower() in _PLAIN:
        return ""
    known = {c.lower(): c for c in CLASSES}
    plain = re.sub(r"[\s-]+", "_", stem).lower()
    return next((known[form] for form in (plain, plain.removesuffix("s")) if form in known), stem)


def is_sections(path: Path) -> bool:
    """Whether a folder or a zip archive has an ``image`` beside a ``mask`` folder, or only one of them."""
    try:
        with guard(path):
            names = list(_names(path))
    except DataError:
        return False
    return any(_part(PurePosixPath(name)) for name in names)


@contextmanager
def open_sections(path: Path) -> Iterator[Sections]:
    """Open a folder or an archive.

    Raises:
        DataError: If it is damaged, a file has no partner, or two have one name.
    """
    with ExitStack() as stack:
        with guard(path):
            files = _group_by_cell(path, sorted(_names(path), key=natural_order))
            archive = None if path.is_dir() else stack.enter_context(zipfile.ZipFile(path))
        yield Sections(path, files, archive.read if archive is not None else lambda name: (path / name).read_bytes())


def read_file(sections: Sections, name: str) -> FolderImage:
    """Read one image or volume.

    Raises:
        DataError: If the file is damaged.
    """
    with guard(sections.place(name)):
        data, extension = io.BytesIO(sections.read(name)), PurePosixPath(name).suffix.lower()
        if extension == ".npy":
            return FolderImage(np.load(data, allow_pickle=False))
        if extension == ".png":
            import imageio.v3 as imageio

            return FolderImage(np.asarray(imageio.imread(data, extension=".png")))
        values, metadata = read_image(data, place=sections.place(name))
        return FolderImage(values, metadata.size if metadata.has_pixel_size else ())


def describe_folder(path: Path) -> list[str] | None:
    """Describe the cells of a folder or an archive in lines of text; None for any other path.

    Raises:
        DataError: If it is damaged.
    """
    if not is_sections(path):
        return None
    with open_sections(path) as sections:
        counts = Counter(file.label or "no class in the name" for file in sections.files)
        lines = [f"{path}: sections of {len(sections.files)} cells, for the kind shape"]
        lines += [f"  {count} of {label}" for label, count in sorted(counts.items())]
        for part, name in sections.files[0].parts.items():
            image = read_file(sections, name)
            size = f", voxel {' x '.join(f'{1e9 * v:.4g}' for v in image.voxel)} nm" if image.voxel else ""
            lines.append(f"  {name}: {part}, {' x '.join(map(str, image.values.shape))} {image.values.dtype}{size}")
    return lines


def _names(path: Path) -> Iterator[str]:
    """Yield the paths of all images below a folder or in an archive."""
    if path.is_dir():
        # No deeper than train/image/file: a search through a home folder would take long.
        files = (f for depth in ("*/*", "*/*/*", "*/*/*/*") for f in path.glob(depth) if f.is_file())
        yield from (f.relative_to(path).as_posix() for f in files if _readable(f.name))
    elif path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (n for n in archive.namelist() if _readable(PurePosixPath(n).name) and "__MACOSX" not in n)


def _readable(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def _part(path: PurePosixPath) -> str:
    """Return ``image``, ``mask`` or ``obj`` by the folder of a file; empty for other folders."""
    folder = path.parent.name.lower()
    return next((part for part, words in _PARTS.items() if folder in words), "")


def _group_by_cell(path: Path, names: Sequence[str]) -> list[SectionFile]:
    """Group the files of each cell.

    Raises:
        DataError: With every file that lacks its partner, or has two.
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    faults = []
    for name in names:
        place = PurePosixPath(name)
        part = _part(place)
        if not part:
            continue
        stem = re.sub(r"\.ome$", "", place.stem)
        parts = cells.setdefault((place.parent.parent.as_posix(), stem), {})
        if part in parts:
            message = f"two files are the {part} of {stem!r}: this one and {parts[part]}"
            faults.append(Diagnostic(f"{path}:{name}", message, "keep one of them"))
        parts.setdefault(part, name)
    faults += _missing_parts(path, cells)
    if faults:
        raise DataError(*_limit(path, faults))
    if not cells:
        raise DataError(Diagnostic(str(path), "holds no images", "put PNG, TIFF or NPY files into image and mask"))
    prefixes = tree_prefixes({tree for tree, _ in cells})
    return [SectionFile((prefixes[tree] / stem).as_posix(), parts) for (tree, stem), parts in cells.items()]


def _missing_parts(path: Path, cells: Mapping[tuple[str, str], Mapping[str, str]]) -> list[Diagnostic]:
    """List a fault for each cell that lacks its image, its mask, or, if others have one, its volume."""
    faults = []
    have_volumes = any("obj" in parts for parts in cells.values())
    for (_, stem), parts in cells.items():
        missing = [p for p in ("image", "mask", *(["obj"] if have_volumes else [])) if p not in parts]
        if missing:
            message = f"{stem!r} has no {' and no '.join(missing)} of this name"
            remedy = "files of one cell have one name in image, mask and obj: add it, or take this one away"
            faults.append(Diagnostic(f"{path}:{next(iter(parts.values()))}", message, remedy))
    return faults


def tree_prefixes(trees: set[str]) -> dict[str, PurePosixPath]:
    """Return the prefix of the names in each tree: none for a single tree, else its last folder if that is unique."""
    if len(trees) == 1:
        return dict.fromkeys(trees, PurePosixPath())
    last = [PurePosixPath(tree).name for tree in trees]
    is_unique = len(set(last)) == len(last)
    return {tree: PurePosixPath(PurePosixPath(tree).name if is_unique else tree) for tree in trees}


def _limit(path: Path, faults: list[Diagnostic], most: int = 20) -> list[Diagnostic]:
    """Return the first of many faults, and the number of the others."""
    more = len(faults) - most
    return faults if more <= 0 else [*faults[:most], Diagnostic(str(path), f"and {more} more files like these")]
