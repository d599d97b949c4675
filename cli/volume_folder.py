"""Volumes of all specimens of a result as a folder of OME-TIFF files, with a table of their names and places."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..recon.errors import ConfigError, Diagnostic
from ..recon.io.file_names import distinct_file_names
from ..recon.io.volume_formats import find_format, save
from ..recon.io.volume_stack import counts, names_and_labels
from ..recon.volume import Volume
from . import console
from .sampling import members_of

if TYPE_CHECKING:
    from ..recon.experiments.specimens import SpecimenOptions
    from ..recon.io.table import Cell
    from ..recon.io.volume_stack import Member

EXTENSION = ".ome.tif"
TABLE = "volumes.csv"


def is_folder(output: Path) -> bool:
    """Whether an output names a folder: one that exists, or a name without an extension."""
    return find_format(output) is None and (output.is_dir() or not output.suffix)


def write_folder(
    model: Path,
    output: Path,
    opening: "SpecimenOptions",
    draw: int | None,
    select: Callable[[Volume], Volume],
    *,
    force: bool,
) -> None:
    """Write consensus and draws of each specimen as files of their own, and a table of all.

    Args:
        model: Model, volume or run folder.
        output: Folder, made if it is absent.
        opening: Options for files of other programs.
        draw: Number of the only draw to write.
        select: Function that selects the quantities to write.
        force: Whether files may be replaced.

    Raises:
        ConfigError: If the folder holds files and ``force`` is not given, or is that of the run.
        DataError: If the result cannot be read, or the disk refuses.
    """
    from ..recon.io.table import Column, Table

    _require_room(model, output, force=force)
    stack = model / "volume.h5" if model.is_dir() else model
    source = stack if counts(stack) is not None else model  # A run of one cell has its draws sampled beside its model.
    names = _file_names(source)
    output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Cell]] = []
    total = _total(source, draw)
    with console.progress("writing") as progress:
        for member in members_of(source, opening, draw=draw):
            stem = names[member.cell] if member.cell < len(names) else f"cell-{member.cell}"
            own = member.draw_name
            path = output / f"{stem}_{own if member.draw is None else f'draw-{own}'}{EXTENSION}"
            save(select(_named(member)), path)
            rows.append({"file": path.name, "cell": member.cell, "draw": member.draw_name, **_labels(member)})
            progress(len(rows), max(total, len(rows)))
    columns = tuple(Column(name) for name in dict.fromkeys(name for row in rows for name in row))
    Table(columns, tuple(rows)).save(output / TABLE)
    console.print_line(f"{len(rows)} volumes, and their names and places in {TABLE}")
    console.report_file(output)


def _require_room(model: Path, output: Path, *, force: bool) -> None:
    """Refuse a folder in which something else may be replaced.

    Raises:
        ConfigError: If it is that of the result, a file, or holds files and ``force`` is not given.
    """
    if output.exists() and model.resolve().is_relative_to(output.resolve()):
        raise ConfigError(Diagnostic(str(output), "holds the result that is read", "name another folder with -o"))
    if output.is_dir() and any(output.iterdir()) and not force:
        raise ConfigError(
            Diagnostic(str(output), "holds files already", "name another folder, or add to it with --force")
        )
    if output.exists() and not output.is_dir():
        raise ConfigError(Diagnostic(str(output), "is a file", "name a folder, or a file with an extension"))


def _file_names(source: Path) -> list[str]:
    """Names of the files of each cell, as far as the result names its cells."""
    names, _ = names_and_labels(source) if source.is_file() else ([], [])
    return distinct_file_names([name or f"cell-{i}" for i, name in enumerate(names)])


def _total(source: Path, draw: int | None) -> int:
    """Number of volumes; 0 if unknown."""
    cells, draws = (counts(source) or (0, 0)) if source.is_file() else (0, 0)
    return cells * (draws if draw is None else 1)


def _named(member: "Member") -> Volume:
    """Return the volume of a specimen with its name and draw among its metadata."""
    draw = member.draw_name if member.draw is None else float(member.draw)
    own: dict[str, float | str] = {"name": member.name, "label": member.label, "draw": draw}
    return replace(member.volume, attributes={**own, **member.volume.attributes})


def _labels(member: "Member") -> "dict[str, Cell]":
    """Name, class and further metadata of a specimen, for the table."""
    row: dict[str, Cell] = {"name": member.name, "label": member.label}
    for name, value in member.volume.attributes.items():
        row.setdefault(name, value if isinstance(value, str) else int(value) if float(value).is_integer() else value)
    return row
