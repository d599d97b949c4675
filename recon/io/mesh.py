"""Meshes as STL, PLY and OBJ files that name the unit of their lengths.

Coordinates are (x, y, z). STL knows no units, and viewers assume millimetres: its header of 80 bytes names the unit, as
comments do in PLY and OBJ.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, Diagnostic
from .atomic import write_atomically

if TYPE_CHECKING:
    import trimesh

EXTENSIONS = (".stl", ".ply", ".obj")
_STL_HEADER = 80


def require_extension(path: Path) -> str:
    """Return the extension of a mesh file.

    Raises:
        ConfigError: If the extension is not that of a mesh.
    """
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        raise ConfigError(Diagnostic(str(path), "has no extension of a mesh", f"use one of {', '.join(EXTENSIONS)}"))
    return extension


def save_mesh(mesh: "trimesh.Trimesh", path: Path, unit: str) -> None:
    """Write a mesh; the file appears whole or not at all.

    Args:
        mesh: The mesh.
        path: The file.
        unit: Unit of its lengths.

    Raises:
        ConfigError: If the extension is unknown.
        DataError: If the disk refuses.
    """
    extension = require_extension(path)
    exported = mesh.export(file_type=extension[1:])
    content = exported.encode() if isinstance(exported, str) else bytes(exported)
    with write_atomically(path) as temporary:
        temporary.write_bytes(_with_unit(content, extension, f"unflat, lengths in {unit}"))


def _with_unit(content: bytes, extension: str, words: str) -> bytes:
    """Insert a comment that names the unit."""
    if extension == ".stl":
        return words.encode().ljust(_STL_HEADER) + content[_STL_HEADER:]
    if extension == ".obj":
        return f"# {words}\n".encode() + content
    first, second, rest = content.split(b"\n", 2)
    return b"\n".join([first, second, f"comment {words}".encode(), rest])
