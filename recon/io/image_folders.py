"""Folders of ``image/``, ``mask/`` and ``obj/`` whose files have one name: sections of cells, and their volumes.

    cells/image/discocyte_01.tif  cells/mask/discocyte_01.tif  cells/obj/discocyte_01.tif

They may lie in ``train/`` and ``test/`` trees, or in a zip archive of any of these. Files are PNG, TIFF or NPY. A
cell's class is what stands before the number in its name.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError, Diagnostic
from .file_units import factor
from .library_logs import silence

ENDINGS = (".tif", ".tiff", ".png", ".npy")
_PARTS = {
    "image": ("image", "images"),
    "mask": ("mask", "masks"),
    "obj": ("obj", "objs", "object", "objects"),
}
_AGAIN = "copy or acquire it again"
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
"""Numbers at the end. Nothing is taken back once matched: a name of many digits would be tried in every partition."""


@dataclass(frozen=True)
class SectionFile:
    """The files of one name.

    Args:
        name: Of the cell, with its tree before it where there are several: ``train/discocyte_01``, or
            ``a/train/discocyte_01`` beside ``b/train/discocyte_01``.
        parts: Paths of the files by ``image``, ``mask``, ``obj``.
    """

    name: str
    parts: Mapping[str, str]

    @property
    def label(self) -> str:
        """Its class."""
        return class_of(self.name)


@dataclass(frozen=True)
class Sections:
    """A folder or an archive, open for reading.

    Args:
        path: The folder or the archive.
        files: Of each name, in order.
        read: Gives the bytes of a file.
    """

    path: Path
    files: Sequence[SectionFile]
    read: Callable[[str], bytes]

    def where(self, name: str) -> str:
        """Say where a file stands, for messages."""
        return str(self.path / name) if self.path.is_dir() else f"{self.path}:{name}"


@dataclass(frozen=True)
class FolderImage:
    """An image or a volume as its file has it.

    Args:
        values: Numbers of any type.
        voxel: [m] (z, y, x), z NaN where the file does not tell it; empty if it tells none.
    """

    values: np.ndarray
    voxel: tuple[float, ...] = field(default=())

    @property
    def largest(self) -> float | None:
        """Largest number of its type; None for floating point."""
        kind = self.values.dtype
        return 1.0 if kind.kind == "b" else float(np.iinfo(kind).max) if kind.kind in "iu" else None


def class_of(name: str) -> str:
    """Read a cell's class out of its name; empty if there is none in it.

    Numbers behind it and an index before it are left out (``A_cell_clusters000604``, ``-0.33_stomatocyte_I-12``), and a
    plural is made a singular where that is a known class.
    """
    from ...physics.phantoms.red_blood_cells.cell import CLASSES

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
        names = list(_names(path))
    except (OSError, zipfile.BadZipFile):
        return False
    return any(_part(PurePosixPath(name)) for name in names)


@contextmanager
def open_sections(path: Path) -> Iterator[Sections]:
    """Open a folder or an archive.

    Raises:
        DataError: If it is damaged, or a file has no partner, or two have one name.
    """
    try:
        names = sorted(_names(path), key=_natural)
        found = _gathered(path, names)
        if path.is_dir():
            yield Sections(path, found, lambda name: (path / name).read_bytes())
        else:
            with zipfile.ZipFile(path) as archive:
                yield Sections(path, found, archive.read)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(Diagnostic(str(path), f"cannot be read: {error}", _AGAIN)) from error


def picture(sections: Sections, name: str) -> FolderImage:
    """Read one file.

    Raises:
        DataError: If it is damaged.
    """
    where, ending = sections.where(name), PurePosixPath(name).suffix.lower()
    try:
        data = sections.read(name)
        if ending == ".npy":
            return FolderImage(np.load(io.BytesIO(data), allow_pickle=False))
        if ending == ".png":
            import imageio.v3 as imageio

            return FolderImage(np.asarray(imageio.imread(data, extension=".png")))
        return _tiff(data)
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise DataError(Diagnostic(where, f"the file is damaged: {reason}", _AGAIN)) from error


def _tiff(data: bytes) -> FolderImage:
    import tifffile

    with silence("tifffile"), tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if not tiff.pages:
            raise ValueError("it holds no image")
        return FolderImage(np.asarray(tiff.asarray()), _ome_voxel(tiff.ome_metadata))


def _ome_voxel(xml: str | None) -> tuple[float, ...]:
    """Voxel (z, y, x) [m] of OME's metadata, z NaN if it is not told; nothing without any."""
    from xml.etree import ElementTree

    if not xml:
        return ()
    try:
        pixels = next(node for node in ElementTree.fromstring(xml).iter() if node.tag.rpartition("}")[2] == "Pixels")
        sizes = [
            float(pixels.get(f"PhysicalSize{axis}", "nan")) * factor(pixels.get(f"PhysicalSize{axis}Unit", "µm"), "m")
            for axis in "ZYX"
        ]
    except (ElementTree.ParseError, StopIteration, ValueError):
        return ()
    return tuple(sizes) if np.isfinite(sizes[1:]).all() else ()


def _names(path: Path) -> Iterator[str]:
    """All images below a folder or in an archive."""
    if path.is_dir():
        # Not deeper than train/image/file: a home folder is not searched through.
        files = (f for depth in ("*/*", "*/*/*", "*/*/*/*") for f in path.glob(depth) if f.is_file())
        yield from (f.relative_to(path).as_posix() for f in files if _readable(f.name))
    elif path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (n for n in archive.namelist() if _readable(PurePosixPath(n).name) and "__MACOSX" not in n)


def _readable(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _part(path: PurePosixPath) -> str:
    """Which of image, mask, obj a file is, by the folder it lies in; empty for none."""
    folder = path.parent.name.lower()
    return next((part for part, words in _PARTS.items() if folder in words), "")


def _gathered(path: Path, names: Sequence[str]) -> list[SectionFile]:
    """Bring the files of one name together.

    Raises:
        DataError: With every file that lacks its partner, or has two.
    """
    parts: dict[tuple[str, str], dict[str, str]] = {}
    faults = []
    for name in names:
        place = PurePosixPath(name)
        part = _part(place)
        if not part:
            continue
        stem = re.sub(r"\.ome$", "", place.stem)
        mine = parts.setdefault((place.parent.parent.as_posix(), stem), {})
        if part in mine:
            message = f"two files are the {part} of {stem!r}: this one and {mine[part]}"
            faults.append(Diagnostic(f"{path}:{name}", message, "keep one of them"))
        mine.setdefault(part, name)
    shown = _shown({tree for tree, _ in parts})
    volumes = any("obj" in mine for mine in parts.values())
    for (_, stem), mine in parts.items():
        lacking = [p for p in ("image", "mask", *(["obj"] if volumes else [])) if p not in mine]
        if lacking:
            here = next(iter(mine.values()))
            message = f"{stem!r} has no {' and no '.join(lacking)} of this name"
            remedy = "files of one cell have one name in image, mask and obj: add it, or take this one away"
            faults.append(Diagnostic(f"{path}:{here}", message, remedy))
    if faults:
        raise DataError(*_few(path, faults))
    if not parts:
        raise DataError(Diagnostic(str(path), "holds no images", "put PNG, TIFF or NPY files into image and mask"))
    return [SectionFile((shown[tree] / stem).as_posix(), mine) for (tree, stem), mine in parts.items()]


def _shown(trees: set[str]) -> dict[str, PurePosixPath]:
    """What stands before the names of each tree: nothing of a single one, else its last folder, or all that differ."""
    if len(trees) == 1:
        return dict.fromkeys(trees, PurePosixPath())
    last = [PurePosixPath(tree).name for tree in trees]
    alone = len(set(last)) == len(last)
    return {tree: PurePosixPath(PurePosixPath(tree).name if alone else tree) for tree in trees}


def _few(path: Path, faults: list[Diagnostic], most: int = 20) -> list[Diagnostic]:
    """The first of many faults, and how many more there are."""
    more = len(faults) - most
    return faults if more <= 0 else [*faults[:most], Diagnostic(str(path), f"and {more} more files like these")]


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names by the numbers in them: cell_2 before cell_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
