"""Sets of OME-TIFF files of which one holds the metadata of all: a companion in XML, or the first TIFF.

Every other file of the set says only where its metadata stand (``BinaryOnly``). Whichever file is named, the set is
read as a whole: from a companion the first of its TIFFs that is here, with the XML of the companion.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..errors import DataError, Diagnostic
from .confinement import Confinement
from .guard import COPY_AGAIN
from .tiff_chain import require_chain

COMPANION = ".companion.ome"
"""End of the name of a file of metadata alone."""
_LARGEST = 1 << 28
"""[bytes] Largest file of metadata."""
_MOST_NAMES = 4


@dataclass(frozen=True)
class OmeSet:
    """File of a set to open, and the metadata of the set.

    Args:
        path: The TIFF.
        xml: OME-XML in place of its own.
    """

    path: Path
    xml: str


def is_ome_xml(head: bytes) -> bool:
    """Whether a file is OME-XML by its first bytes."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<OME", b"<ome:OME", b"<!--")) and b"OME" in head


def open_companion(path: Path) -> OmeSet:
    """Find the first TIFF of a companion.

    Raises:
        DataError: If it is no OME-XML, holds its images itself, or none of its files is here.
    """
    root = _parse(path, str(path))
    names = list(dict.fromkeys(name for _, name in file_names(root)))
    if not names:
        message = "holds metadata only, and names no TIFF"
        if next(elements(root, "BinData"), None) is not None:
            message = "holds its images as text within OME-XML, which is not read"
        raise DataError(Diagnostic(str(path), message, "export the images as OME-TIFF"))
    here = next((name for name in names if (path.parent / name).is_file()), None)
    if here is None:
        message = f"none of the {len(names)} files that it names is here: {shown(names)}"
        raise DataError(Diagnostic(str(path), message, f"copy them into {path.parent}"))
    tiff = Confinement.around(path).locate(here, path, str(path), "takes images from")
    return OmeSet(tiff, _with_identity(root, next(uuid for uuid, name in file_names(root) if name == here)))


def metadata_elsewhere(tiff: Any, path: Path) -> OmeSet | None:
    """Find the metadata of a TIFF that says that they stand in another file; None for any other TIFF.

    Args:
        tiff: The open file.
        path: Path of the file.

    Raises:
        DataError: If the other file is absent, outside the folder, damaged, or about other images.
    """
    if not tiff.is_ome or "BinaryOnly" not in (tiff.ome_metadata or ""):
        return None
    try:
        own = ElementTree.fromstring(tiff.ome_metadata)
    except ElementTree.ParseError:
        return None
    reference = next(elements(own, "BinaryOnly"), None)
    name = "" if reference is None else reference.get("MetadataFile", "")
    if reference is None:
        return None
    try:
        return _follow(name, own.get("UUID", ""), path)
    except DataError:
        if tiff.is_mmstack:  # Micro-Manager's files have an index and a summary each.
            return None
        raise


def elements(parent: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of a tag below another, whatever their namespace."""
    return (element for element in parent.iter() if element.tag.rpartition("}")[2] == tag)


def file_names(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Yield the identity and the name of each file of images in OME-XML."""
    for element in elements(root, "UUID"):
        if element.get("FileName"):
            yield (element.text or "").strip(), str(element.get("FileName"))


def missing_files(xml: str | None, path: Path) -> list[str]:
    """Return the names of the files in OME-XML that are not beside a file of the set.

    Args:
        xml: The XML; None or invalid XML gives none.
        path: File of the set, which may have been renamed.
    """
    try:
        root = ElementTree.fromstring(xml or "")
    except ElementTree.ParseError:
        return []
    names = dict.fromkeys(name for uuid, name in file_names(root) if not uuid or uuid != root.get("UUID"))
    return [name for name in names if not (path.parent / name).is_file()]


def shown(names: Sequence[str]) -> str:
    """List the first of many names."""
    return ", ".join(names[:_MOST_NAMES]) + (f", … ({len(names)} in all)" if len(names) > _MOST_NAMES else "")


def _follow(name: str, uuid: str, path: Path) -> OmeSet:
    """Read the metadata of a TIFF from the file in which they stand."""
    place = str(path)
    if not name:
        message = "its OME-XML says that its metadata stand in another file, and does not name it"
        raise DataError(Diagnostic(place, message, "export it again, or save its images as a plain TIFF"))
    other = Confinement.around(path).locate(name, path, place, "takes its metadata from")
    root = _parse(other, place)
    if next(elements(root, "BinaryOnly"), None) is not None:
        message = f"takes its metadata from {name}, which has none either"
        raise DataError(Diagnostic(place, message, COPY_AGAIN))
    own = [identity for identity, file in file_names(root) if file == path.name or (uuid and identity == uuid)]
    if not own:
        message = f"takes its metadata from {name}, which does not name it: {name} is of another acquisition"
        remedy = f"copy the {name} of this acquisition into {path.parent}"
        raise DataError(Diagnostic(place, message, remedy))
    return OmeSet(path, _with_identity(root, own[0])) if not _is_tiff(other) else OmeSet(other, _text(root))


def _parse(path: Path, place: str) -> ElementTree.Element:
    """Parse the OME-XML of a companion, or of a TIFF.

    Raises:
        DataError: If it is damaged.
    """
    import tifffile

    try:
        if _is_tiff(path):
            require_chain(path)
            with tifffile.TiffFile(path) as tiff:
                return ElementTree.fromstring(tiff.ome_metadata or "")
        if path.stat().st_size > _LARGEST:
            raise DataError(Diagnostic(place, f"{path.name} is too large for OME-XML", COPY_AGAIN))
        return ElementTree.fromstring(path.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        message = f"{path.name} is damaged, or holds no OME-XML: {error}"
        raise DataError(Diagnostic(place, message, COPY_AGAIN)) from error


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) in (b"II", b"MM")


def _with_identity(root: ElementTree.Element, uuid: str) -> str:
    """Write the XML of a set as that of one of its TIFFs, so that this one is known even by another name."""
    root.attrib.pop("UUID", None)
    if uuid:
        root.set("UUID", uuid)
    return _text(root)


def _text(root: ElementTree.Element) -> str:
    return ElementTree.tostring(root, encoding="unicode")
