"""Volumes of known shapes: the files in ``obj/``, of a folder or an archive, one a cell, read as they are."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ...errors import DataError, Diagnostic
from ...io.file_names import natural_order
from ...io.volume_folder import stem_of
from .section_files import is_sections, tree_prefixes
from .section_names import VOLUME_FOLDERS


@contextmanager
def open_volumes(path: Path) -> Iterator[Mapping[str, Path] | None]:
    """Open the volumes of a folder or a zip archive.

    Yields:
        File of each cell by the cell's name; None where there is neither ``obj/`` nor images and masks.

    Raises:
        DataError: If there are images and masks without volumes, or two volumes of one name.
    """
    if path.is_dir():
        # No deeper than train/obj/file, as in folders of images and masks.
        depths = ("*/*", "*/*/*", "*/*/*/*")
        names = [file.relative_to(path).as_posix() for depth in depths for file in path.glob(depth) if file.is_file()]
        yield _require_any(path, _by_name(path, {name: path / name for name in names if _is_volume(name)}))
    elif path.is_file() and path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            files = {name: Path(folder, str(i)) for i, name in enumerate(filter(_is_volume, archive.namelist()))}
            extracted = {name: _extract(archive, name, place) for name, place in files.items()}
            yield _require_any(path, _by_name(path, extracted))
    else:
        yield None


def _is_volume(name: str) -> bool:
    """Whether a file lies in a folder of volumes, and has the extension of one."""
    place = PurePosixPath(name)
    is_hidden = place.name.startswith(".") or "__MACOSX" in place.parts
    return place.parent.name.lower() in VOLUME_FOLDERS and not is_hidden and bool(stem_of(Path(place.name)))


def _extract(archive: zipfile.ZipFile, name: str, folder: Path) -> Path:
    """Extract one file, under its own name, to a folder of its own."""
    folder.mkdir()
    target = folder / PurePosixPath(name).name
    with archive.open(name) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    return target


def _by_name(path: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """Return files by the name of their cell, which begins with its tree where there are several.

    Raises:
        DataError: If two have one name.
    """
    prefixes = tree_prefixes({PurePosixPath(name).parent.parent.as_posix() for name in files})
    cells: dict[str, Path] = {}
    for name in sorted(files, key=natural_order):
        tree = PurePosixPath(name).parent.parent.as_posix()
        cell = (prefixes[tree] / stem_of(files[name])).as_posix()
        if cell in cells:
            raise DataError(Diagnostic(f"{path}:{name}", f"is a second volume of {cell!r}", "keep one of them"))
        cells[cell] = files[name]
    return cells


def _require_any(path: Path, files: dict[str, Path]) -> dict[str, Path] | None:
    """Return the files, or None if there are none.

    Raises:
        DataError: If there are images and masks, and no volumes.
    """
    if not files and is_sections(path):
        remedy = "put the volumes into obj/, one of each name; or predict shapes: unflat predict"
        raise DataError(Diagnostic(str(path), "holds images and masks, and no volumes", remedy))
    return files or None
