"""Other files to which a TIFF refers: those of a set in OME or NDTiff, which tifffile opens by their names in it."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..errors import DataError, Diagnostic
from .confinement import Confinement
from .guard import COPY_AGAIN
from .tiff_chain import require_chain

_MOST_PLANES = 10_000_000
"""Largest number of planes that OME-XML may declare: tifffile makes a list of as many."""


def require_own_files(tiff: Any, path: Path) -> None:
    """Refuse a set of files of which one lies outside the folder, or cannot be opened safely.

    A file of the set that is absent is no fault here: what it would hold is absent too, and is reported as such.

    Args:
        tiff: The open file.
        path: Path of the file.

    Raises:
        DataError: If it is such a set.
        ValueError: If the chain of pages of one is damaged.
    """
    confinement = Confinement.around(path)
    for name in dict.fromkeys([*_ome_names(tiff, path), *_ndtiff_names(tiff, path)]):
        if (path.parent / name).exists() and not (path.parent / name).samefile(path):
            require_chain(confinement.locate(name, path, str(path), "takes images from"))


def _ome_names(tiff: Any, path: Path) -> list[str]:
    """Return the names of files in OME-XML, after a look at the numbers of planes that it declares."""
    if not tiff.is_ome:
        return []
    try:
        root = ElementTree.fromstring(tiff.ome_metadata or "")
    except ElementTree.ParseError:
        return []
    names = []
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "UUID" and element.get("FileName"):
            names.append(str(element.get("FileName")))
        elif tag in ("Pixels", "TiffData"):
            _require_plausible(element, path)
    return names


def _require_plausible(element: ElementTree.Element, path: Path) -> None:
    planes = 1
    for name, text in element.attrib.items():
        if name in ("SizeZ", "SizeC", "SizeT", "NumPlanes", "PlaneCount", "IFD") or name.startswith("First"):
            number = int(text) if text.strip().isdigit() and len(text) < 20 else 0 if not text.strip() else _MOST_PLANES
            planes *= max(number, 1)
            if planes > _MOST_PLANES:
                message = f"the TIFF is damaged: its OME-XML declares {name}={text[:20]!r}, too many planes for a file"
                raise DataError(Diagnostic(str(path), message, COPY_AGAIN))


def _ndtiff_names(tiff: Any, path: Path) -> list[str]:
    """Return the names of files in the index of NDTiff."""
    index = path.with_name("NDTiff.index")
    if not tiff.is_ndtiff or not index.is_file():
        return []
    from tifffile import tifffile

    return [str(entry[1]) for entry in tifffile.read_ndtiff_index(index)]
