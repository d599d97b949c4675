"""Sampling of models for commands: options, estimates, progress, and selection of specimens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np

from ..recon.config.units import format_quantity, parse_with_unit
from ..recon.errors import ConfigError, DataError, DeviceError, Diagnostic, UnflatError
from ..recon.grid import Grid
from ..recon.memory import available_memory
from ..recon.model import TILE, Model
from ..recon.runs.estimate import Estimate
from ..recon.volume import Volume
from . import console

if TYPE_CHECKING:
    from ..recon.experiments.specimens import SpecimenOptions
    from ..recon.io.volume_stack import Member

F = TypeVar("F", bound=Callable[..., Any])
PROGRESS_SECONDS = 2.0
"""[s] Estimated time from which progress is shown."""
# [s] Measured on one core of 2.5 GHz, on a pyramid of five levels. A rotated grid is evaluated point by point.
_SECONDS_ON_GRID = 3e-7
_SECONDS_AT_POINT = 8e-6


def parse_length(text: str) -> float:
    """Parse a length [m]."""
    value, dimension = parse_with_unit(text)
    if dimension not in ("length", None):
        raise click.BadParameter(f"{text.strip()!r} is a {dimension}; a length such as '0.1 um' is needed")
    return value


def parse_spacing(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Parse one length, or three along z, y and x [m]: ``0.1 um``, ``0.3um,0.1um,0.1um``."""
    if value is None:
        return None
    try:
        lengths = tuple(map(parse_length, value.split(",")))
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it as '0.1 um'") from None
    if len(lengths) not in (1, 3) or not all(0 < d < float("inf") for d in lengths):
        raise click.BadParameter(f"{value!r} is not one positive length, or three: z,y,x")
    return lengths * 3 if len(lengths) == 1 else lengths


def _spacing_option(help_text: str) -> Callable[[F], F]:
    return click.option("--spacing", callback=parse_spacing, metavar="LENGTH", help=help_text)


spacing_option = _spacing_option(
    "Distance of samples, of a model or of another program's volume: '0.1 um', or z,y,x: '0.3um,0.1um,0.1um'."
)
"""Adds ``--spacing``: an argument ``spacing`` [m], z, y, x."""
volume_spacing_option = _spacing_option(
    "Distance of the samples of another program's volume: '0.1 um', or z,y,x: '0.3um,0.1um,0.1um'."
)
"""Adds ``--spacing`` to a command that takes no spacing for models."""


def require_within_box(model: Model, spacing: tuple[float, ...]) -> None:
    """Refuse a spacing larger than the box of the model: most often its unit is missing."""
    for axis, step, low, high in zip("zyx", spacing, *model.bounds, strict=True):
        extent = float(high - low)
        if step > extent * (1 + 1e-6):  # The corners of the box are rounded numbers.
            if model.length_unit == "voxel":
                message = (
                    f"--spacing of {step:.4g} voxels along {axis} is larger than the model's box, {extent:.4g} voxels"
                )
                raise ConfigError(message)
            raise ConfigError(
                f"--spacing of {format_quantity(step, 'length')} along {axis} is larger than the model's box, "
                f"{extent * 1e6:.4g} um; a plain number is metres: write '0.3 um'"
            )


def estimate(model: Model, grid: Grid, quantities: int) -> Estimate:
    """Estimate the memory and time of sampling a model: the arrays of the volume, and one tile in progress."""
    brick = int(np.prod(TILE)) * 8 * (len(model.members) * len(model.quantities) + 64)
    # Formats with channels copy the quantities into a new layout before they are written.
    memory = grid.size * 4 * quantities * (2 if quantities > 1 else 1) + brick + 12 * model.size
    each = _SECONDS_AT_POINT if model.is_pointwise or grid.rotation is not None else _SECONDS_ON_GRID
    return Estimate(memory, grid.size * each * len(model.members))


def sample_model(model: Model, grid: Grid, names: tuple[str, ...]) -> Any:
    """Sample a model on a grid, with progress if it takes long.

    Raises:
        DeviceError: If the memory does not suffice.
    """
    estimated = estimate(model, grid, len(names or model.quantities))
    try:
        estimated.require_fit(available_memory(), "take a larger --spacing, a smaller --region, or one --quantity")
    except DeviceError as error:
        where = " x ".join(map(str, grid.shape)) + " samples"
        raise DeviceError(*(Diagnostic(where, fault.message, fault.remedy) for fault in error.faults)) from error
    if estimated.seconds < PROGRESS_SECONDS:
        return model.volume(grid, names)
    with console.progress("sampling") as progress:
        return model.volume(grid, names, progress)


def members_of(
    path: Path,
    opening: "SpecimenOptions",
    *,
    cell: int | None = None,
    draw: int | None = None,
    features: str = "standard",
    failed: list[UnflatError] | None = None,
) -> Iterator["Member"]:
    """Iterate over the specimens of a file: shapes of each cell, labelled bodies, files of a folder, or the only one.

    Args:
        path: A model, a volume, a run folder, or a folder of volumes.
        opening: Options for files of other programs; their spacing is also that of the samples of a model.
        cell: Number of the only cell to return.
        draw: Number of the only draw to return; the consensus is then left out.
        features: Set of features to be measured; some need a grid of their own.
        failed: List to which the faults of single files of a folder are appended; without it they are raised.

    Yields:
        Sampled specimens.

    Raises:
        ConfigError: If there is no such cell or draw, or a spacing is given for a volume of ours.
        DataError: If the file cannot be opened.
    """
    from ..recon.experiments.specimens import read_specimens
    from ..recon.io.result import model_of
    from ..recon.io.volume_stack import counts

    file = path / "volume.h5" if path.is_dir() and not (path / "model.h5").is_file() else path
    model = model_of(path, opening.volume)
    if model is not None:
        yield from _draws(model, path, opening, cell, draw, features)
    elif counts(file) is not None:
        yield from read_specimens(file, opening, cell, draw)
    else:
        yield from _selected(read_specimens(path, opening, failed=failed), path, cell, draw)


def _selected(specimens: Iterator["Member"], path: Path, cell: int | None, draw: int | None) -> Iterator["Member"]:
    """Select the specimens of a number.

    Raises:
        ConfigError: If there is none.
    """
    numbers = []
    for member in specimens:
        numbers.append(member.cell)
        if cell in (None, member.cell) and draw in (None, member.draw):
            yield member
    for what, number, known in (("cell", cell, numbers), ("draw", draw, [0])):
        if number is not None and number not in known:
            remedy = f"leave out --{what}" if len(known) == 1 else f"there are {', '.join(map(str, known[:8]))}"
            raise ConfigError(Diagnostic(str(path), f"has no {what} {number}", remedy))


def _draws(
    model: Model, path: Path, opening: "SpecimenOptions", cell: int | None, draw: int | None, features: str
) -> Iterator["Member"]:
    """Sample the consensus of a model, if it holds one, and its draws.

    Raises:
        ConfigError: If there is no such draw, or several cells are asked for.
    """
    from ..recon.experiments import get_experiment
    from ..recon.io.volume_stack import Member

    has_draws = model.draws > 1
    for what, number in (("cell", cell), ("draw", None if has_draws else draw)):
        if number:
            raise ConfigError(
                Diagnostic(str(path), f"has no {what} {number}: it holds one specimen", f"leave out --{what}")
            )
    spacing, quantity = opening.volume.spacing, opening.volume.quantity
    if spacing is not None:
        require_within_box(model, spacing)
    if quantity is not None:
        model.real_quantity(quantity)
    name, label = (texts[0] if texts else "" for texts in (model.names, model.labels))
    consensus = model.consensus if draw is None else None
    specimens: list[tuple[int | None, Model]] = [] if consensus is None else [(None, consensus)]
    specimens += [(number, model.draw(number)) for number in (range(model.draws) if draw is None else (draw,))]
    for number, own in specimens:
        grid = get_experiment(own.kind).feature_grid(own, features) if spacing is None else None
        yield Member(0, number, name, label, sample_model(own, grid or own.grid(spacing=spacing), ()))


def open_for_drawing(path: Path, opening: "SpecimenOptions") -> Model | Volume:
    """Open a result whose samples the command chooses itself.

    Raises:
        ConfigError: If a spacing is given for a model.
        DataError: If the file cannot be read.
    """
    from ..recon.experiments.specimens import open_result

    result = open_result(path, opening)
    if isinstance(result, Model) and opening.volume.spacing is not None:
        raise ConfigError(Diagnostic("--spacing", f"{path} is a model, which has no samples", "leave out --spacing"))
    return result


def quantity_names(result: Model | Volume, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of quantities that are given by number, or in another case.

    Raises:
        ConfigError: If there is none of a name or number.
    """
    from ..recon.io.metadata import find_quantity

    return tuple(find_quantity([q.name for q in result.quantities], name) for name in names)


def one_specimen(
    result: Model | Volume, path: Path, draw: int | None = None, cell: int | None = None
) -> Model | Volume:
    """Select one specimen of a result: a draw, or the consensus of a cell's draws, their mean where there is none.

    Args:
        result: Result read from ``path``.
        path: File or folder, for messages.
        draw: Number of the draw.
        cell: Number of the cell, of a result of many.

    Raises:
        ConfigError: If there is no such draw or cell.
        DataError: If the result has many cells, and none is chosen.
    """
    if result.cells is None:
        if cell:
            raise ConfigError(Diagnostic("--cell", f"{path} holds one specimen and no cell {cell}", "leave out --cell"))
        if draw and result.draws == 1:
            raise ConfigError(Diagnostic("--draw", f"{path} holds one specimen and no draws", "leave out --draw"))
        return result if draw is None else result.draw(draw)
    if cell is None:
        models = f"name one of the models in {path}/models; unflat volume {path} -o FOLDER writes all volumes"
        message = f"holds {result.cells} cells with {result.draws} draws of each, and one is needed"
        remedy = models if path.is_dir() else "take its cells apart: unflat mesh"
        raise DataError(Diagnostic(str(path), message, remedy))
    for what, number, count in (("cell", cell, result.cells), ("draw", draw or 0, result.draws)):
        if not 0 <= number < count:
            remedy = f"they are numbered 0 to {count - 1}"
            raise ConfigError(Diagnostic(f"--{what}", f"{path} holds no {what} {number}", remedy))
    return result.cell(cell, draw)
