"""Parts and cells of section files by their names: folders of images and masks, and masks named by programs.

Segmentation programs write masks beside their images, or in a folder below them, under names of their own:
``plate_cp_masks.png`` of cellpose belongs to ``plate.tif``, as does ``Count Masks of plate.tif`` of Fiji.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

VOLUME_FOLDERS = ("obj", "objs", "object", "objects")
"""Names of folders of volumes."""
_FOLDERS = {"image": ("image", "images"), "mask": ("mask", "masks"), "obj": VOLUME_FOLDERS}
_MORE_FOLDERS = {
    "image": ("img", "imgs", "raw"),
    "mask": ("label", "labels", "segmentation", "segmentations", "seg", "cp_masks", "cellpose", "stardist"),
}
"""Further names of folders, which count where files in them belong together."""
_LABEL_NAMES = re.compile(
    r"(?P<stem>.+?)[ _-](?:cp[_-]?masks|labels?|labelled|label[ _-]?image|object[ _]identities|"
    r"simple[ _]segmentation|stardist|instances?)"
    r"|(?:count masks of|lblimg[ _-]?|labels? of|labels?[_-])[ _]?(?P<rest>.+)",
    re.IGNORECASE,
)
"""Names of label images by cellpose, StarDist, ilastik, Fiji, TrackMate."""
_MASK_NAMES = re.compile(
    r"(?P<stem>.+?)[ _-](?:masks?|seg|segmentation|segmented|binary)|masks?(?: of |[_-])(?P<rest>.+)",
    re.IGNORECASE,
)
_IMAGE_NAMES = re.compile(r"(?P<stem>.+?)[ _-](?:image|img|im|raw)|(?:image|img)[_-](?P<rest>.+)", re.IGNORECASE)
_BY_PRODUCTS = re.compile(
    r".+[ _-](?:cp_output|cp_flows?|flows?|cp_outlines|outlines|overlay|probabilities|uncertainty)", re.IGNORECASE
)
"""Names of further files of such programs, which are neither image nor mask."""
_FURTHER = re.compile(r"section[ _-]?(?P<number>\d{1,3})", re.IGNORECASE)
"""Names of folders with the images and masks of a further section."""
_PICKLES = re.compile(r"(?P<stem>.+)_seg\.npy")
"""Names of the files of cellpose's window."""
_EXTENSION = re.compile(r"(?:\.ome)?\.(?:tiff?|png|jpe?g|bmp|gif|czi|nd2|lif|lsm|oib|oif)$", re.IGNORECASE)
Key = tuple[str, str]
"""Folder of the folders of images and masks, or of both kinds of files; and the name that the files of a cell share."""


@dataclass
class NamedSections:
    """Files of sections, matched by their names.

    Args:
        cells: Path of each part (``image``, ``mask``, ``obj``; ``pickle`` for a mask that cannot be read).
        labelled: Keys of the cells whose mask has the name of a label image.
        doubled: Part, name and paths of two files that are one part of a cell.
        unmasked: Images without a mask, where others have one by the name of a program.
        further: Parts of the further sections of a cell, by the number in the name of their folder.
    """

    cells: dict[Key, dict[str, str]] = field(default_factory=dict)
    labelled: set[Key] = field(default_factory=set)
    doubled: list[tuple[str, str, str, str]] = field(default_factory=list)
    unmasked: list[str] = field(default_factory=list)
    further: dict[Key, dict[int, dict[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Name:
    """Name of a file.

    Args:
        path: The file.
        tree: Folder of the folders of images and masks, or of the file itself where it lies in neither.
        folder: Part by the name of its folder; empty for other folders.
        stem: Name without extensions.
        subject: Name of the image that a mask's name refers to; empty for other names.
        has_labels: Whether that is the name of a label image.
    """

    path: str
    tree: str
    folder: str
    stem: str
    subject: str = ""
    has_labels: bool = False


def in_section_folder(name: str) -> bool:
    """Whether a file lies in a folder of images, masks or volumes."""
    return bool(_folder_part(PurePosixPath(name), _FOLDERS))


def match_files(names: Iterable[str]) -> NamedSections:
    """Match images, masks and volumes of each cell.

    A file whose name refers to an image is its mask, wherever that image is; any other file is what its folder says.
    """
    sections = NamedSections()
    parsed = [_parse(name) for name in names]
    images = {
        (own.tree, own.stem) for own in parsed if own.folder in ("image", "") and not own.subject and _is_file(own)
    }
    plain = {(tree, _plain_image(stem)): stem for tree, stem in images}
    for own in parsed:
        _assign(own, images, plain, sections)
    _take_further(sections)
    _drop_others(sections)
    return sections


def _folder_part(path: PurePosixPath, words: Mapping[str, Sequence[str]]) -> str:
    folder = path.parent.name.lower()
    return next((part for part, names in words.items() if folder in names), "")


def _parse(name: str) -> _Name:
    path = PurePosixPath(name)
    folder = _folder_part(path, _FOLDERS) or _folder_part(path, _MORE_FOLDERS)
    tree = (path.parent.parent if folder else path.parent).as_posix()
    stem = re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE)
    for pattern in (_LABEL_NAMES, _MASK_NAMES):
        match = None if folder == "obj" else pattern.fullmatch(stem)
        if match is not None:
            subject = _EXTENSION.sub("", match["stem"] or match["rest"])
            return _Name(name, tree, folder, stem, subject, pattern is _LABEL_NAMES)
    return _Name(name, tree, folder, stem)


def _is_file(own: _Name) -> bool:
    """Whether a file may be an image: no by-product of a program."""
    return bool(own.folder) or not _BY_PRODUCTS.fullmatch(own.stem)


def _plain_image(stem: str) -> str:
    """Name of an image without words that say that it is one: ``plate`` for ``plate_image``."""
    match = _IMAGE_NAMES.fullmatch(stem)
    return stem if match is None else match["stem"] or match["rest"]


def _assign(own: _Name, images: set[Key], plain: Mapping[Key, str], sections: NamedSections) -> None:
    """Add a file to the parts of its cell."""
    pickle = _PICKLES.fullmatch(PurePosixPath(own.path).name)
    if pickle is not None:
        sections.cells.setdefault((own.tree, pickle["stem"]), {}).setdefault("pickle", own.path)
        return
    part, key = own.folder or "image", (own.tree, own.stem)
    if own.subject:
        subject = (own.tree, own.subject)
        if subject not in images and subject in plain:
            subject = (own.tree, plain[subject])
        if subject in images:
            part, key = "mask", subject
    elif part == "mask" and key not in images and key in plain:
        key = (own.tree, plain[key])
    if not own.folder and part == "image" and not _is_file(own):
        return
    parts = sections.cells.setdefault(key, {})
    if part in parts:
        sections.doubled.append((part, key[1], own.path, parts[part]))
    elif part == "mask" and own.subject and own.has_labels:
        sections.labelled.add(key)
    parts.setdefault(part, own.path)


def _take_further(sections: NamedSections) -> None:
    """Move the cells of folders of further sections, beside those of the first, to the sections of their cells."""
    trees = {tree for tree, _ in sections.cells}
    for key in list(sections.cells):
        folder = PurePosixPath(key[0])
        match, tree = _FURTHER.fullmatch(folder.name), folder.parent.as_posix()
        if match is not None and tree in trees:
            own = sections.further.setdefault((tree, key[1]), {})
            own[int(match["number"])] = sections.cells.pop(key)


def _drop_others(sections: NamedSections) -> None:
    """Leave out files that are no sections, and images without a mask where a program names the masks."""
    with_masks = {tree for (tree, _), parts in sections.cells.items() if {"mask", "pickle"} & set(parts)}
    by_program = {tree for tree, _ in sections.labelled}
    in_folders = {tree for (tree, _), parts in sections.cells.items() if in_section_folder(parts.get("image", ""))}
    for key, parts in list(sections.cells.items()):
        tree = key[0]
        lies_free = not any(in_section_folder(name) for name in parts.values())
        is_image = set(parts) == {"image"}
        if (
            (lies_free and tree in in_folders)
            or (is_image and lies_free and tree not in with_masks)
            or (is_image and _BY_PRODUCTS.fullmatch(key[1]))
        ):
            del sections.cells[key]
        elif is_image and (lies_free or tree in by_program):
            sections.unmasked.append(sections.cells.pop(key)["image"])
        elif set(parts) == {"pickle"}:
            del sections.cells[key]
