"""Scans on the command line: ``scan.h5``, or ``bliss.h5:/2.1`` for an entry of a file that holds several."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...config.source import Source
from ...io.entry_name import split_entry
from ...io.name_pattern import as_wildcard
from .config import CrystalSettings
from .schema import PATHS


@dataclass(frozen=True)
class ScanName:
    """Scan as the command line names it.

    Args:
        text: Name, for people.
        path: File or folder.
        entry: Path of the scan in the file; empty for the one that the config names, or the only one.
    """

    text: str
    path: Path
    entry: str

    @classmethod
    def of(cls, path: Path) -> "ScanName":
        """Split the name of a scan into file and entry."""
        file, entry = split_entry(path)
        return cls(str(path), file, entry)

    @property
    def exists(self) -> bool:
        """Whether there is such a file or folder, or files of such names."""
        if self.path.exists():
            return True
        with suppress(ValueError, OSError):  # Not a pattern either.
            return any(self.path.parent.glob(as_wildcard(self.path.name)))
        return False

    def is_same(self, other: "ScanName") -> bool:
        """Whether another name stands for the same scan."""
        if self.path.exists() and other.path.exists():
            return self.entry == other.entry and self.path.samefile(other.path)
        return (self.path, self.entry) == (other.path, other.entry)

    @property
    def root(self) -> str:
        """Group at the root of the file that holds the scan."""
        return _root(self.entry)


def settings_of_scan(settings: CrystalSettings, name: ScanName, others: Sequence[ScanName] = ()) -> CrystalSettings:
    """Adapt settings that name the arrays of one entry of a file to another entry.

    Args:
        settings: Settings of the run. Paths in them that begin with the entry of their images, or with that of any
            scan of the command, are read in this scan's entry.
        name: The scan.
        others: Other scans of the command.
    """
    if not name.entry:
        return settings
    section = settings.acquisition
    own = section.images
    is_named = isinstance(own, Source) and not own.is_literal and not own.is_default(PATHS["images"])
    roots = {other.root for other in (name, *others) if other.entry}
    roots |= {_root(own.path)} if is_named and isinstance(own, Source) else set()
    changes: dict[str, Any] = {
        key: _moved(value, roots, name.root) for key, value in section if isinstance(value, Source)
    }
    stored = changes["images"].path if is_named else ""
    is_deeper = stored.startswith(f"{name.entry}/")
    changes["images"] = changes["images"] if is_deeper else Source.parse(name.entry)
    if section.goniometer is not None:
        angles = {key: _moved(value, roots, name.root) for key, value in section.goniometer.angles.items()}
        changes["goniometer"] = section.goniometer.model_copy(update={"angles": angles})
    return settings.model_copy(update={"acquisition": section.model_copy(update=changes)})


def _root(path: str) -> str:
    return f"/{path.strip('/').split('/')[0]}" if path.strip("/") else ""


def _moved(source: Source, roots: Iterable[str], root: str) -> Source:
    """Read a path that lies in one of some entries in another one."""
    if source.file or source.is_literal or source.parts or _root(source.path) not in roots:
        return source
    path = root + source.path.strip("/").removeprefix(_root(source.path).strip("/")).rstrip("/")
    return replace(source, path=path, text=str(source.text).replace(source.path, path, 1))
