"""Sections of cells and their volumes: folders ``image/``, ``mask/`` and ``obj/`` whose files have one name for a cell.

    cells/image/discocyte_01.tif  cells/mask/discocyte_01.tif  cells/obj/discocyte_01.tif

They may lie in ``train/`` and ``test/`` trees, or in a zip archive of any of these. Files are TIFF, PNG, JPEG, BMP or
NPY. The class of a cell is the text before the number in its name. Further sections of the cells lie beside them, in
``section_0/image``, ``section_0/mask``, ``section_1/mask`` and so on, under the same names.

Masks of segmentation programs may also lie beside their images, or in a folder of masks below them, under the names
that these programs give: ``plate_cp_masks.png`` of cellpose for ``plate.tif``, ``Count Masks of plate.tif`` of Fiji.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ....physics.phantoms.red_blood_cells.cell import CLASSES
from ...errors import DataError, Diagnostic
from ...io.file_names import natural_order
from ...io.guard import guard
from .cell_crops import without_dark
from .config import ShapeAcquisition
from .labels import list_some
from .section_images import FolderImage, decode_image
from .section_names import Key, in_section_folder, match_files

EXTENSIONS = (".tif", ".tiff", ".png", ".npy", ".jpg", ".jpeg", ".bmp", ".gif")
_MOST_FAULTS = 20
_SIZES = {"image": "pixel", "mask": "pixel", "obj": "voxel"}
_REMEDY_PICKLE = (
    "save its masks as an image: in cellpose, File > Save masks as PNG/tif, or --save_tif on its command line; if you "
    "trust the file, in Python: masks = numpy.load('{name}', allow_pickle=True).item()['masks']; "
    "tifffile.imwrite('{stem}_cp_masks.tif', masks)"
)
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
    """Files of one cell, or of one image with many.

    Args:
        name: Name of the cell, after that of its tree if there are several: ``train/discocyte_01``, or
            ``a/train/discocyte_01`` beside ``b/train/discocyte_01``.
        parts: Paths of the files by ``image``, ``mask``, ``obj``.
        has_labels: Whether the name of the mask is that of a label image.
        further: Paths of the files of each further section, by its number.
    """

    name: str
    parts: Mapping[str, str]
    has_labels: bool = False
    further: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

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
        unmasked: Images without a mask among others that have one by the name of a program.
    """

    path: Path
    files: Sequence[SectionFile]
    read: Callable[[str], bytes]
    unmasked: Sequence[str] = ()

    def place(self, name: str) -> str:
        """Return the place of a file, for messages."""
        return str(self.path / name) if self.path.is_dir() else f"{self.path}:{name}"


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
    """Whether a folder or a zip archive holds sections: folders of images or masks, or masks beside their images."""
    try:
        with guard(path):
            names = list(_names(path))
    except DataError:
        return False
    if any(in_section_folder(name) for name in names):
        return True
    cells = match_files(names).cells
    return any("image" in parts and ("mask" in parts or "pickle" in parts) for parts in cells.values())


@contextmanager
def open_sections(path: Path) -> Iterator[Sections]:
    """Open a folder or an archive.

    Raises:
        DataError: If it is damaged, a file has no partner, or two have one name.
    """
    with ExitStack() as stack:
        with guard(path):
            files, unmasked = _group_by_cell(path, sorted(_names(path), key=natural_order))
            archive = None if path.is_dir() else stack.enter_context(zipfile.ZipFile(path))
        read = archive.read if archive is not None else lambda name: (path / name).read_bytes()
        yield Sections(path, files, read, unmasked)


def read_file(sections: Sections, name: str, part: str, settings: ShapeAcquisition) -> FolderImage:
    """Read one image or volume.

    Args:
        sections: Folder or archive of the file.
        name: Path of the file.
        part: ``image``, ``mask`` or ``obj``.
        settings: Section of the config, which chooses channel, plane, position and time.

    Raises:
        DataError: If the file is damaged, or holds several images of which none is chosen.
    """
    place = sections.place(name)
    with guard(place):
        read = decode_image(sections.read(name), PurePosixPath(name).suffix.lower(), place, part, settings)
    return replace(read, values=without_dark(read.values, settings.dark, place)) if part == "image" else read


def describe_folder(path: Path) -> list[str] | None:
    """Describe the cells of a folder or an archive in lines of text; None for any other path.

    Raises:
        DataError: If it is damaged.
    """
    if not is_sections(path):
        return None
    with open_sections(path) as sections:
        counts = Counter(file.label or "no class in the name" for file in sections.files)
        labelled = any(file.has_labels for file in sections.files)
        total, content = len(sections.files), "label image" if labelled else "cell"
        lines = [f"{path}: sections of {total} {content}{'s' * (total > 1)}, for the kind shape"]
        lines += [f"  {count} of {label}" for label, count in sorted(counts.items())]
        further = Counter(number for file in sections.files for number in file.further)
        lines += [f"  section_{number}: a further section of {further[number]}" for number in sorted(further)]
        for part, name in sections.files[0].parts.items():
            lines += _describe_file(sections, name, part)
    return lines


def _describe_file(sections: Sections, name: str, part: str) -> list[str]:
    try:
        image = read_file(sections, name, part, ShapeAcquisition())
    except DataError as error:  # A choice is still to be made.
        return [f"  {name}: {part}, {fault.message}; {fault.remedy}" for fault in error.faults]
    known = image.voxel if part == "obj" else image.voxel[1:]
    size = f", {_SIZES[part]} {' x '.join(f'{1e9 * v:.4g}' for v in known)} nm" if known else ""
    return [f"  {name}: {part}, {' x '.join(map(str, image.values.shape))} {image.values.dtype}{size}"]


def _names(path: Path) -> Iterator[str]:
    """Yield the paths of all images below a folder or in an archive."""
    if path.is_dir():
        # No deeper than train/image/file: a search through a home folder would take long.
        files = (f for depth in ("*", "*/*", "*/*/*", "*/*/*/*") for f in path.glob(depth) if f.is_file())
        yield from (f.relative_to(path).as_posix() for f in files if _readable(f.name))
    elif path.is_file() and path.suffix.lower() != ".npz" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (n for n in archive.namelist() if _readable(PurePosixPath(n).name) and "__MACOSX" not in n)


def _readable(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def _group_by_cell(path: Path, names: Sequence[str]) -> tuple[list[SectionFile], list[str]]:
    """Group the files of each cell; list the images that a program left without a mask.

    Raises:
        DataError: With every file that lacks its partner, or has two.
    """
    sections = match_files(names)
    faults = [
        Diagnostic(f"{path}:{name}", f"two files are the {part} of {stem!r}: this one and {other}", "keep one of them")
        for part, stem, name, other in sections.doubled
    ]
    faults += _missing_parts(path, sections.cells)
    first = sorted({stem for _, stem in sections.cells}, key=natural_order)
    for (tree, stem), own in sections.further.items():
        if (tree, stem) not in sections.cells:
            name = next(iter(next(iter(own.values())).values()))
            message = f"is a further section of {stem!r}, which has no first section: those are of {list_some(first)}"
            faults.append(Diagnostic(f"{path}:{name}", message, "name it as the image and mask of its cell"))
    if faults:
        raise DataError(*limit_faults(faults, path))
    if not sections.cells:
        raise DataError(Diagnostic(str(path), "holds no images", "put PNG, TIFF or NPY files into image and mask"))
    prefixes = tree_prefixes({tree for tree, _ in sections.cells})
    files = [
        SectionFile(
            (prefixes[tree] / stem).as_posix(),
            {part: name for part, name in parts.items() if part != "pickle"},
            (tree, stem) in sections.labelled,
            sections.further.get((tree, stem), {}),
        )
        for (tree, stem), parts in sections.cells.items()
    ]
    return files, sections.unmasked


def _missing_parts(path: Path, cells: Mapping[Key, Mapping[str, str]]) -> list[Diagnostic]:
    """List a fault for each cell that lacks its image, its mask, or, if others have one, its volume."""
    faults = []
    have_volumes = any("obj" in parts for parts in cells.values())
    for (_, stem), parts in cells.items():
        missing = [p for p in ("image", "mask", *(["obj"] if have_volumes else [])) if p not in parts]
        if missing == ["mask"] and "pickle" in parts:
            name = parts["pickle"]
            message = "is a file of cellpose's window, which could run code when it is opened, and no mask is beside it"
            remedy = _REMEDY_PICKLE.format(stem=str((path / name).with_name(stem)), name=path / name)
            faults.append(Diagnostic(f"{path}:{name}", message, remedy))
        elif missing:
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


def limit_faults(faults: list[Diagnostic], path: Path) -> list[Diagnostic]:
    """Keep the first of many faults, without duplicates, and add the number of the others."""
    unique = list(dict.fromkeys(faults))
    more = len(unique) - _MOST_FAULTS
    if more <= 0:
        return unique
    return [*unique[:_MOST_FAULTS], Diagnostic(str(path), f"and {more} more faults like these")]
