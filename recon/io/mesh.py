"""Surfaces as files that others open: STL, PLY, OBJ, with the word for their unit where the format has a place for it.

Coordinates are (x, y, z). STL knows no units, and viewers take a millimetre: its header of 80 bytes names the unit, and
so do comments in PLY and OBJ.
"""

from pathlib import Path

from ..errors import ConfigError, Diagnostic
from ..metrics.morphology.surface import Surface
from .atomic import write_atomically

ENDINGS = (".stl", ".ply", ".obj")
_STL_HEADER = 80


def require_ending(path: Path) -> str:
    """Tell the format from a name.

    Raises:
        ConfigError: If its ending is not that of a mesh.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(Diagnostic(str(path), "has no ending of a mesh", f"use one of {', '.join(ENDINGS)}"))
    return ending


def save_mesh(surface: Surface, path: Path, unit: str) -> None:
    """Write a surface, whole or not at all.

    Args:
        surface: The surface.
        path: The file.
        unit: Of its lengths.

    Raises:
        ConfigError: If the ending is unknown.
        DataError: If the disk refuses.
    """
    ending = require_ending(path)
    exported = surface.mesh.export(file_type=ending[1:])
    content = exported.encode() if isinstance(exported, str) else bytes(exported)
    with write_atomically(path) as temporary:
        temporary.write_bytes(_with_unit(content, ending, f"unflat, lengths in {unit}"))


def _with_unit(content: bytes, ending: str, words: str) -> bytes:
    if ending == ".stl":
        return words.encode().ljust(_STL_HEADER) + content[_STL_HEADER:]
    if ending == ".obj":
        return f"# {words}\n".encode() + content
    first, second, rest = content.split(b"\n", 2)
    return b"\n".join([first, second, f"comment {words}".encode(), rest])
