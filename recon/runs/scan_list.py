"""Lists of acquisitions: those of several paths, of a folder, or of a pattern, each with a name for its run."""

import glob
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, Diagnostic
from ..io.completeness import is_temporary
from ..io.detector_files import master_of
from ..io.file_names import natural_order
from ..io.image_files import is_image
from ..io.image_folder import CONTAINERS
from ..io.zarr_store import is_zarr
from .batch_files import BATCH_FILES
from .batch_record import BATCH
from .contents import is_run

_BESIDE = (".yaml", ".yml", ".json", ".html", ".md", ".log", ".csv", ".txt", ".py", ".sh", ".slurm")
"""Endings of files and folders that lie beside scans."""
_LONG = (".ome.tif", ".ome.tiff", ".ome.zarr", ".zarr.zip")
"""Endings of two parts."""
_RESERVED = {
    *BATCH_FILES,
    *("con", "prn", "aux", "nul"),
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)),
}
"""Names that no run has: those of the batch's own files, and of the devices of Windows."""


@dataclass(frozen=True)
class ScanFile:
    """One of several acquisitions.

    Args:
        name: Name of its run, different from all others.
        path: File, folder or archive.
    """

    name: str
    path: Path

    @property
    def is_renamed(self) -> bool:
        """Whether its run is not named after the file alone, as others have that name."""
        return self.name != _split_name(self.path)[0]


def is_several(paths: Sequence[Path]) -> bool:
    """Whether paths stand for several acquisitions.

    Several paths do, and so does a folder, or a pattern, of files that hold a whole measurement each, such as HDF5.
    Images do not: a folder or a pattern of them is one acquisition. A folder with one master file of a detector, and
    the files of its data, is one acquisition too.
    """
    if len(paths) != 1:
        return True
    (path,) = paths
    if path.is_dir():
        if is_zarr(path) or is_run(path) or _has_images(path):
            return False
        files = list(filter(_is_container, path.iterdir()))
        scans = _without_parts(files)
        return bool(scans) and (len(scans) > 1 or scans == files)
    matches = _matches(path)
    return bool(matches) and all(map(_is_container, matches))


def list_scans(paths: Sequence[Path], *, each: bool = False, known: Mapping[Path, str] | None = None) -> list[ScanFile]:
    """List acquisitions in the order of the paths, and those of a folder or a pattern in the order of their names.

    Args:
        paths: Acquisitions, folders of them, and patterns.
        each: Whether every image and folder inside a folder is an acquisition, and not only files such as HDF5.
        known: Names that acquisitions have already, by their resolved paths.

    Raises:
        DataError: If a folder or a pattern holds none.
    """
    listed: dict[Path, Path] = {}
    for scan in _without_parts([scan for path in paths for scan in _expand(path, each=each)]):
        listed.setdefault(scan.resolve(), scan)
    names = _distinct_names(list(listed), known or {})
    return [ScanFile(names[place], path) for place, path in listed.items()]


def list_arriving(folder: Path, pattern: str | None = None) -> list[Path]:
    """List the acquisitions in a folder into which they are written one after the other, by the present moment.

    Args:
        folder: The folder.
        pattern: Pattern inside it of the files, or folders, that are an acquisition each; None for all files that hold
            a whole measurement, such as HDF5.

    Raises:
        OSError: If it cannot be read.
    """
    if pattern is None:
        paths = [entry for entry in folder.iterdir() if _is_container(entry)]
    else:
        next(folder.iterdir(), None)  # A folder that cannot be read has no matches.
        paths = [path for path in folder.glob(pattern) if _may_be_scan(path)]
    return _without_parts(_sorted(path for path in paths if not is_temporary(path.name)))


def name_scan(path: Path, known: Mapping[Path, str]) -> ScanFile:
    """Name an acquisition that is added to others.

    Args:
        path: File or folder.
        known: Names that acquisitions have already, by their resolved paths.
    """
    resolved = path.resolve()
    return ScanFile(_distinct_names([resolved], known)[resolved], path)


def _expand(path: Path, *, each: bool) -> list[Path]:
    """List the acquisitions that one path stands for."""
    if path.is_dir() and not is_zarr(path):
        if each:
            inside = _sorted(entry for entry in path.iterdir() if _may_be_scan(entry))
        else:
            inside = [] if _has_images(path) else _sorted(filter(_is_container, path.iterdir()))
        if each and not inside:
            raise DataError(Diagnostic(str(path), "the folder holds no acquisition", "check the name"))
        return inside or [path]
    matches = _matches(path)
    if not matches and not path.exists() and set("*?[") & set(str(path)):
        raise DataError(Diagnostic(str(path), "no file matches", "check the folder and the pattern"))
    return matches or [path]


def _matches(path: Path) -> list[Path]:
    """List the files that a pattern matches; empty for a path that is none."""
    if path.exists() or not set("*?[") & set(str(path)):
        return []
    return _sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - of any folder


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: (natural_order(str(path.parent)), natural_order(path.name)))


def _is_container(path: Path) -> bool:
    return path.name.lower().endswith(CONTAINERS) and not path.name.startswith(".") and path.is_file()


def _without_parts(paths: Sequence[Path]) -> list[Path]:
    """Leave out the files of a detector's data (``x_data_000001.h5``) whose master (``x_master.h5``) is listed too."""
    listed = {path.with_name(path.name.lower()) for path in paths}
    return [path for path in paths if master_of(path) not in listed]


def _has_images(folder: Path) -> bool:
    return any(is_image(entry.name) for entry in folder.iterdir())


def _may_be_scan(path: Path) -> bool:
    """Whether an entry of a folder may be an acquisition: neither hidden, nor a result, nor a text beside the scans."""
    if path.name.startswith(".") or path.name.lower().endswith(_BESIDE):
        return False
    return not path.is_dir() or is_zarr(path) or not (is_run(path) or (path / BATCH).exists())


def _distinct_names(paths: Sequence[Path], known: Mapping[Path, str]) -> dict[Path, str]:
    """Name each path after its file; those of one name also after their folders or endings, or by a number."""
    names = {path: known[path] for path in paths if path in known}
    used = {name.casefold() for name in known.values()}  # Some file systems ignore case.
    new = [path for path in paths if path not in names]
    stems = Counter(_split_name(path)[0].casefold() for path in new)
    folders = Counter((path.parent.name, _split_name(path)[0].casefold()) for path in new)
    for path in new:
        plain, ending = _split_name(path)
        is_single = stems[plain.casefold()] == 1
        is_alone = folders[path.parent.name, plain.casefold()] == 1
        candidates = [plain] if is_single else []
        candidates += [f"{path.parent.name}-{plain}"] if is_alone and path.parent.name else []
        candidates += [f"{plain}-{ending}"] if ending else []
        numbered = (f"{plain}-{number}" for number in range(1, len(paths) + len(used) + 2))
        name = next(each for each in (*candidates, *numbered) if each.casefold() not in used)
        used.add(name.casefold())
        names[path] = name
    return names


def _split_name(path: Path) -> tuple[str, str]:
    """Split a name into its stem, as a name that suits a folder on any system, and its ending."""
    ending = next((each for each in _LONG if path.name.lower().endswith(each)), "" if path.is_dir() else path.suffix)
    stem = path.name[: len(path.name) - len(ending)]
    name = "".join(c if c.isalnum() or c in "-_.+ " else "_" for c in stem).strip(". ") or "scan"
    is_reserved = name.lower() in _RESERVED or name.lower().partition(".")[0].strip() in _RESERVED
    return f"_{name}" if is_reserved else name, ending.strip(".")
