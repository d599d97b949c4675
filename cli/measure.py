"""``unflat measure``: a table of numbers of specimens."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..recon.errors import ConfigError, DataError, DeviceError, Diagnostic, UnflatError
from ..recon.io.volume_hdf5 import CONSENSUS
from ..recon.metrics.morphology.features import SETS, STANDARD
from . import console
from .options import PATH, output_options
from .sampling import members_of, spacing_option
from .specimen_options import specimen_options

if TYPE_CHECKING:
    from ..recon.experiments.specimens import SpecimenOptions
    from ..recon.io.table import Cell, Table
    from ..recon.io.volume_stack import Member


_ALL_FACES = 6
_SHOWN = 5
"""Most names in a warning."""
_MOST_REASONS = 3
"""Most reasons in a warning."""


@click.command()
@click.argument("models", type=PATH, nargs=-1, required=True)
@output_options
@click.option("--level", type=float, help="Value of the main quantity on the specimen's surface.")
@spacing_option
@click.option(
    "--features",
    type=click.Choice(SETS),
    default=STANDARD,
    show_default=True,
    help="Set of features of shapes; shapr has the 126 of SHAPR.",
)
@specimen_options
def command(
    models: tuple[Path, ...],
    output: Path,
    force: bool,
    level: float | None,
    opening: "SpecimenOptions",
    features: str,
) -> None:
    """Measure MODELS (model files, run folders, volumes): a CSV table with a row for each specimen, cell and draw.

    Of a shape with several draws the first row is their consensus, the one shape to take, with the draw "consensus".

    Volumes may be of other programs: a stack of labels has a row for each label, a folder one for each file in it (or
    in its obj/). A volume that does not give the distance of its samples is measured in voxels.

    Cells: volume, surface, mean index, dry mass. Crystals: volume, strain, edge width. Shapes: volume, surface,
    roughness, curvature, moments, inertia, texture of the projection. The header gives the units. Specimens that cannot
    be measured are reported, and the others are written.

    \b
    Examples:
      unflat measure RUN -o cell.csv
      unflat measure RUNS/*/model.h5 -o cells.csv --level 1.35
      unflat measure CRYSTAL/volume.h5 -o crystal.csv
      unflat measure SHAPES/volume.h5 -o shapes.csv --features shapr
      unflat measure labels.ome.tif -o labels.csv
      unflat measure mask.tif -o mask.csv --spacing '0.3um,0.1um,0.1um'
    """
    from ..recon.io.table import concatenate

    if output.suffix.lower() != ".csv":
        raise ConfigError(Diagnostic(str(output), "is not the name of a table", "use .csv"))
    console.refuse_to_overwrite(output, force=force)
    failed: list[UnflatError] = []
    tables = list(_measure(models, opening, level, features, failed))
    if tables:
        table = concatenate(tables)
        table.save(output)
        _warn_of_box(table)
        console.print_line(f"{len(table.rows)} rows of {len(table.columns)} columns{_count_draws(table)}")
        console.report_file(output)
    if failed:
        types = {type(error) for error in failed}
        error_class = types.pop() if len(types) == 1 else DataError
        raise error_class(*(fault for error in failed for fault in error.faults))


def _measure(
    paths: tuple[Path, ...],
    opening: "SpecimenOptions",
    level: float | None,
    features: str,
    failed: list[UnflatError],
) -> "Iterator[Table]":
    """Measure the specimens of each path; errors are appended to ``failed``."""
    from ..recon.experiments import get_experiment

    with console.progress("measuring") as progress:
        for done, path in enumerate(paths):
            progress(done, len(paths))
            try:
                _warn_of_doubts(path)
                for member in members_of(path, opening, features=features, failed=failed):
                    try:
                        table = get_experiment(member.volume.kind).measure(
                            member.volume, level=level, features=features
                        )
                    except DataError as error:
                        failed.append(DataError(*(_with_member(fault, path, member) for fault in error.faults)))
                    else:
                        yield _with_names(table, path, member)
            except (ConfigError, DataError, DeviceError) as error:
                failed.append(type(error)(*(_with_path(fault, path) for fault in error.faults)))
        progress(len(paths), len(paths))


def _warn_of_doubts(path: Path) -> None:
    """Warn of a result whose verdict was not sound: numbers measured in it may be as wrong as it is."""
    from ..recon.io.result import reasons_to_doubt

    if reasons := reasons_to_doubt(path):
        more = "; …" if len(reasons) > _MOST_REASONS else ""
        console.warn(f"{path}: the verdict on this result was not sound: {'; '.join(reasons[:_MOST_REASONS])}{more}")


def _warn_of_box(table: "Table") -> None:
    """Warn of specimens that are cut by their box, or fill it."""
    reached = [row for row in table.rows if float(row.get("box_faces", 0) or 0) > 0]
    if not reached:
        return
    rows = Counter((row["file"], row["cell"]) for row in table.rows)
    names = [_name_of(row, is_one_of_several=rows[row["file"], row["cell"]] > 1) for row in reached]
    whole = any(float(row["box_faces"]) == _ALL_FACES for row in reached)
    hint = "; one that reaches all six fills its box, or its mask is inverted" if whole else ""
    console.warn(
        f"{len(reached)} of {len(table.rows)} reach faces of their box (column box_faces) and are closed there: "
        f"{', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}{hint}"
    )


def _name_of(row: "Mapping[str, Cell]", *, is_one_of_several: bool) -> str:
    """Name of a row's specimen, with its draw where a specimen has several rows."""
    words = [str(row[key]) for key in ("file", "name", "label") if row[key] != ""]
    draw = str(row["draw"])
    if draw and is_one_of_several:
        words.append(draw if draw == CONSENSUS else f"draw {draw}")
    return " ".join(words)


def _count_draws(table: "Table") -> str:
    """Count the specimens that stand in several rows, their consensus and draws."""
    draws = [row for row in table.rows if row["draw"] not in ("", CONSENSUS)]
    if len(draws) == len({(row["file"], row["cell"]) for row in draws}):
        return ""
    cells = len({(row["file"], row["cell"]) for row in table.rows})
    consensus = " the consensus and" if any(row["draw"] == CONSENSUS for row in table.rows) else ""
    return f":{consensus} the draws of {cells} specimen{'' if cells == 1 else 's'}, told apart by the column draw"


def _with_path(fault: Diagnostic, path: Path) -> Diagnostic:
    """Add the path to a fault that does not name it."""
    if fault.where.startswith(str(path)):
        return fault
    return Diagnostic(f"{path}: {fault.where}" if fault.where else str(path), fault.message, fault.remedy)


def _with_member(fault: Diagnostic, path: Path, member: "Member") -> Diagnostic:
    """Name the specimen of a fault, and the consequence for the table."""
    where = (
        f"{path}: cell {member.cell}, {_of_cell(member)}" if member.name or member.cell or member.draw else str(path)
    )
    return Diagnostic(where, str(fault), "it has no row; the others are written")


def _of_cell(member: "Member") -> str:
    return CONSENSUS if member.draw is None else f"draw {member.draw}"


def _with_names(table: "Table", path: Path, member: "Member") -> "Table":
    """Insert columns with the names of the specimen before the numbers."""
    from ..recon.io.table import Column, Table

    names = ("file", "cell", "draw", "name", "label")
    values: dict[str, Cell] = dict(
        zip(names, (str(path), member.cell, member.draw_name, member.name, member.label), strict=True)
    )
    columns = tuple(Column(name) for name in names)
    return Table((*columns, *table.columns), tuple({**values, **row} for row in table.rows))
