"""Confinement of what a file refers to: files of its own folder are read, others only if that is allowed.

A file of measurements may say that its numbers stand in another file. Of a stranger's file this could be any file of
this machine. Names that lie in the folder of the file, or below it, are followed; a symbolic link there has been made
by the user, and is followed too.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from ..errors import DataError, Diagnostic

VARIABLE = "UNFLAT_EXTERNAL_FILES"
"""Variable of the environment that allows files outside the folder, by the value ``read``."""
_REMEDY = "move it into the folder, or allow it: --external-files read"


class UnreadReferenceError(DataError, KeyError):
    """A reference to another file that is not followed: that file is absent, or outside the folder.

    A `KeyError`, so that a search among all names of a file goes on without this one.
    """

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


_allowed: bool | None = None


def allow_external_files(allowed: bool | None) -> None:
    """Allow or forbid files outside the folder in this process; None leaves it to the environment, the default."""
    global _allowed
    _allowed = allowed


def external_files_are_allowed() -> bool:
    """Whether files outside the folder may be read."""
    return os.environ.get(VARIABLE, "").strip().lower() == "read" if _allowed is None else _allowed


@dataclass(frozen=True)
class Confinement:
    """Folders in which the files must lie to which a file refers.

    Args:
        folders: The folder of the file that was named, and that of the file itself where the name is a symbolic link.
    """

    folders: tuple[Path, ...]

    @classmethod
    def around(cls, path: str | Path) -> "Confinement":
        """Confine the references of a file to its folder."""
        named = Path(os.path.abspath(path)).parent  # noqa: PTH100 - without following symbolic links
        return cls(tuple(dict.fromkeys((named, Path(os.path.realpath(named)), Path(os.path.realpath(path)).parent))))

    def locate(self, name: str, referrer: str | Path, place: str, what: str = "is a link to", inside: str = "") -> Path:
        """Find the file that another one refers to.

        Args:
            name: Name in the referring file: absolute, or relative to the folder of the file.
            referrer: The file that refers to it.
            place: Place of the reference, for messages.
            what: Beginning of the message: ``is a link to``.
            inside: Path within that file, for messages.

        Raises:
            UnreadReferenceError: If it is absent, or outside the folders and not allowed.
        """
        places = candidates(name, Path(referrer))
        for path in places:
            if not path.is_file():
                continue
            if external_files_are_allowed() or any(path.is_relative_to(folder) for folder in self.folders):
                return path
            raise UnreadReferenceError(Diagnostic(place, f"{what} {path}, outside the folder of the file", _REMEDY))
        message = f"cannot be opened: it {what} {name}{f':{inside}' if inside else ''}, and that file is not there"
        raise UnreadReferenceError(Diagnostic(place, message, f"copy {Path(name).name} into {places[0].parent}"))


def candidates(name: str, referrer: Path) -> list[Path]:
    """List the paths that a name may stand for, the first preferred; none contains ``..``."""
    last = PureWindowsPath(name).name or "."
    folders = dict.fromkeys((Path(os.path.abspath(referrer)).parent, Path(os.path.realpath(referrer)).parent))  # noqa: PTH100
    paths = [folder / name for folder in folders] + [folder / last for folder in folders]
    plain = dict.fromkeys(Path(os.path.normpath(path)) for path in paths)
    # A path with ".." that is another one through a symbolic link is none of ours.
    return [path for path in plain if ".." not in name or os.path.realpath(path) in map(os.path.realpath, paths)]
