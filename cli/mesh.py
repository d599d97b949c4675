"""``unflat mesh``: the surface of a model or a volume as a mesh."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..recon.errors import ConfigError, Diagnostic
from ..recon.io.file_names import distinct_file_names
from ..recon.volume import Volume
from . import console
from .options import PATH, output_options
from .sampling import members_of, spacing_option
from .specimen_options import specimen_options

if TYPE_CHECKING:
    from ..recon.experiments.specimens import SpecimenOptions
    from ..recon.io.volume_stack import Member


@click.command()
@click.argument("model", type=PATH)
@output_options
@click.option(
    "--level",
    type=float,
    help="Value on the surface; by default that of 'unflat measure', or else the middle of the range.",
)
@spacing_option
@click.option("--cell", type=click.IntRange(0), help="Number of the cell, if there are many.")
@click.option("--draw", type=click.IntRange(0), help="Number of the draw, if there are many.")
@click.option("--consensus", is_flag=True, help="The consensus of all draws: the default, which a script may name.")
@specimen_options
def command(
    model: Path,
    output: Path,
    force: bool,
    level: float | None,
    opening: "SpecimenOptions",
    cell: int | None,
    draw: int | None,
    consensus: bool,
) -> None:
    """Write the surface of MODEL: a model file, a run folder, or a volume. The output ends in .stl, .ply or .obj.

    By default it is the surface of a signed distance, if there is one, or else of the main quantity. Each body of a
    stack of labels, and each volume of a folder, gets a file of its own: cell-7.stl for the label 7. Of a shape with
    several draws it is their consensus, the one shape to take, unless --draw chooses one.

    The surface is closed, also at the box, and is interpolated between the samples. Coordinates are x, y, z in
    micrometres, or in voxels of unknown size. STL files have no unit, and viewers assume millimetres: the header names
    the unit.

    \b
    Examples:
      unflat mesh RUN -o cell.ply
      unflat mesh RUN/model.h5 -o fine.stl --spacing '50 nm' --level 1.36
      unflat mesh CRYSTAL -o crystal.obj --quantity amplitude
      unflat mesh SHAPES/models/NAME.h5 -o cell.stl
      unflat mesh SHAPES/volume.h5 -o draw.stl --cell 3 --draw 1
      unflat mesh labels.tif -o cell.stl --spacing '0.3um,0.1um,0.1um' --label 7
    """
    from ..recon.io.mesh import require_extension

    require_extension(output)
    console.refuse_to_overwrite(output, force=force)
    _require_one_specimen(model, cell, draw, consensus)
    specimens = _one_of_each(model, members_of(model, opening, cell=cell, draw=draw))
    files = [output] if len(specimens) == 1 else _own_files(output, specimens)
    for file in files:
        console.refuse_to_overwrite(file, force=force)
    for file, member in zip(files, specimens, strict=True):
        _write_surface(member.volume, file, opening.volume.quantity, level)


def _one_of_each(path: Path, specimens: "Iterator[Member]") -> "list[Member]":
    """Combine the draws of each cell to their consensus; a single specimen of a cell stays as it is."""
    from ..recon.io.result import is_result
    from ..recon.io.volume_stack import consensus_of

    first = list(islice(specimens, 1))
    if first and first[0].draw is None and (path.suffix == ".h5" or is_result(path)):
        return first  # The draws, of this one cell, need not be sampled.
    cells = _by_cell(chain(first, specimens))
    return [consensus_of(own) if len(own) > 1 else own[0] for own in cells]


def _by_cell(specimens: "Iterator[Member]") -> "Iterator[list[Member]]":
    """Group the draws of each cell, which follow one another and have different numbers."""
    own: list[Member] = []
    for member in specimens:
        is_other = any((one.name, one.cell, one.label) != (member.name, member.cell, member.label) for one in own)
        if is_other or member.draw in [one.draw for one in own]:
            yield own
            own = []
        own.append(member)
    if own:
        yield own


def _own_files(output: Path, specimens: "Sequence[Member]") -> list[Path]:
    """Name the file of each of several specimens: ``cell-7.stl``."""
    words = ["-".join(word for word in (one.name, one.label) if word) or str(one.cell) for one in specimens]
    return [output.with_name(f"{output.stem}-{word}{output.suffix}") for word in distinct_file_names(words)]


def _write_surface(volume: Volume, output: Path, quantity: str | None, level: float | None) -> None:
    """Write the surface of a volume."""
    from ..recon.experiments.specimens import choose_surface
    from ..recon.io.mesh import save_mesh
    from ..recon.metrics.morphology.volume_surface import Scale, extract_volume_surface

    scale = Scale.of(volume)
    # The only quantity of another program's volume has the name that it has in its kind.
    name, own_level = choose_surface(volume, quantity if quantity in volume.values else None)
    surface = extract_volume_surface(volume, scale, name, own_level if level is None else level)
    save_mesh(surface.mesh, output, scale.unit)
    mesh = surface.mesh
    console.print_line(
        f"{len(mesh.faces):,} triangles, lengths in {scale.unit}: area {mesh.area:.4g} {scale.unit}2, "
        f"volume {mesh.volume:.4g} {scale.unit}3"
    )
    if surface.box_faces:
        console.warn(f"{output}: the specimen reaches {surface.box_faces} faces of its box, and is closed there")
    if not mesh.is_watertight:
        console.warn("the surface is not closed; take a finer --spacing or another --level")
    console.report_file(output)


def _require_one_specimen(path: Path, cell: int | None, draw: int | None, consensus: bool) -> None:
    """Refuse a result of many cells of which none is chosen."""
    if consensus and draw is not None:
        raise ConfigError(
            Diagnostic("--consensus", f"is of all draws, and --draw {draw} of one", "leave out one of them")
        )
    from ..recon.io.volume_stack import counts

    file = path / "volume.h5" if path.is_dir() and not (path / "model.h5").is_file() else path
    cells, _ = counts(file) or (1, 1)
    if cells > 1 and cell is None:
        remedy = f"choose one: --cell 0 … {cells - 1}"
        raise ConfigError(Diagnostic(str(path), f"holds {cells} cells, and a mesh is of one", remedy))
