"""``unflat mesh``: the surface of a model or a volume as a mesh."""

from pathlib import Path

import click

from ..recon.errors import ConfigError, Diagnostic
from . import console
from .options import PATH, output_options
from .sampling import members_of, parse_spacing


@click.command()
@click.argument("model", type=PATH)
@output_options
@click.option(
    "--quantity", help="Name of the quantity; by default a signed distance, if there is one, or else the main quantity."
)
@click.option(
    "--level",
    type=float,
    help="Value on the surface; by default 0 of a signed distance, and the middle of the range of others.",
)
@click.option("--spacing", callback=parse_spacing, metavar="LENGTH", help="Distance of a model's samples: '0.1 um'.")
@click.option("--cell", type=click.IntRange(0), help="Number of the cell, if there are many.")
@click.option("--draw", type=click.IntRange(0), help="Number of the draw, if there are many.")
@click.option("--consensus", is_flag=True, help="One surface around all points that more than half of the draws fill.")
def command(
    model: Path,
    output: Path,
    force: bool,
    quantity: str | None,
    level: float | None,
    spacing: tuple[float, ...] | None,
    cell: int | None,
    draw: int | None,
    consensus: bool,
) -> None:
    """Write the surface of MODEL: a model file, a run folder, or a volume. The output ends in .stl, .ply or .obj.

    The surface is closed, also at the box, and is interpolated between the samples. Coordinates are x, y, z in
    micrometres, or in voxels of unknown size. STL files have no unit, and viewers assume millimetres: the header names
    the unit.

    \b
    Examples:
      unflat mesh RUN -o cell.ply
      unflat mesh RUN/model.h5 -o fine.stl --spacing '50 nm' --level 1.36
      unflat mesh CRYSTAL -o crystal.obj --quantity amplitude
      unflat mesh SHAPES/volume.h5 -o draw.stl --cell 3 --draw 1
      unflat mesh SHAPES/models/NAME.h5 -o cell.stl --consensus
    """
    from ..recon.io.mesh import require_extension, save_mesh
    from ..recon.io.volume_stack import middle_of
    from ..recon.metrics.morphology.volume_surface import Scale, extract_volume_surface

    require_extension(output)
    console.refuse_to_overwrite(output, force=force)
    _require_one_specimen(model, cell, draw, consensus)
    drawn = list(members_of(model, spacing=spacing, cell=cell, draw=draw))
    volume = middle_of([member.volume for member in drawn]) if consensus else drawn[0].volume
    scale = Scale.of(volume)
    surface = extract_volume_surface(volume, scale, quantity, level)
    save_mesh(surface.mesh, output, scale.unit)
    mesh = surface.mesh
    console.print_line(
        f"{len(mesh.faces):,} triangles, lengths in {scale.unit}: area {mesh.area:.4g} {scale.unit}2, "
        f"volume {mesh.volume:.4g} {scale.unit}3"
    )
    if not mesh.is_watertight:
        console.warn("the surface is not closed; take a finer --spacing or another --level")
    console.report_file(output)


def _require_one_specimen(path: Path, cell: int | None, draw: int | None, consensus: bool) -> None:
    """Refuse a result of many cells or draws of which none is chosen."""
    if consensus and draw is not None:
        raise ConfigError(
            Diagnostic("--consensus", f"is of all draws, and --draw {draw} of one", "leave out one of them")
        )
    from ..recon.io.result import read_result
    from ..recon.io.volume_stack import counts

    file = path / "volume.h5" if path.is_dir() and not (path / "model.h5").is_file() else path
    numbers = counts(file) or (1, read_result(path).draws)
    for name, count, chosen in zip(("cell", "draw"), numbers, (cell, draw), strict=True):
        if count > 1 and chosen is None and not (name == "draw" and consensus):
            remedy = f"choose one: --{name} 0 … {count - 1}{', or --consensus' if name == 'draw' else ''}"
            raise ConfigError(Diagnostic(str(path), f"holds {count} {name}s, and a mesh is of one", remedy))
