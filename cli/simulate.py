"""``unflat simulate``: an acquisition with its truth inside."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..recon.devices import use
from ..recon.experiments import get_experiment
from ..recon.experiments.configs import load_config
from ..recon.io.write import write
from . import console
from .options import PATH, config_options, output_options

if TYPE_CHECKING:
    from ..recon.experiments.base import Experiment


@click.command()
@click.argument("config", type=PATH)
@output_options
@config_options
def command(config: Path, output: Path, force: bool, overrides: list[str]) -> None:
    """Make an acquisition of a simulated specimen, as the simulate: section of CONFIG says, with its truth inside.

    What is simulated is known at every point of space, and is seen more finely than the detector's pixels: light
    crosses a cell to a camera that counts photons, X-rays are diffracted by a crystal that is rocked, and a microscope
    focuses on a section of a shape. The same seed gives the same file.

    \b
    Examples:
      unflat init cell -o cell.yaml && unflat simulate cell.yaml -o scan.h5
      unflat simulate cell.yaml -o beads.h5 --set simulate.specimen=beads --seed 7
      unflat simulate cell.yaml -o stack.h5 --set simulate.defocus='[-2 um, 0 um, 2 um]'
      unflat simulate cell.yaml -o noiseless.h5 --set simulate.photons=null
      unflat simulate crystal.yaml -o rocking.h5 --set simulate.strains='[screw]' --set simulate.detector.counts=1e8
      unflat simulate shape.yaml -o cells.h5 --seed 7
    """
    console.refuse_to_overwrite(output, force=force)
    settings: Any = load_config(config, overrides)
    use(settings.device)
    kind = get_experiment(settings.kind)
    with console.progress("simulate") as progress:
        acquisition = kind.simulate(settings, progress)
    write(acquisition, kind.schema, output)
    measured = acquisition["images"]
    views, height, width = measured.shape
    console.print_line(f"{views} images of {height} × {width} pixels, mean {measured.mean():.4g}{_unit(kind)}")
    if acquisition.truth is not None:
        console.print_line(f"truth on {' × '.join(map(str, acquisition.truth.shape))} voxels")
    console.report_file(output)


def _unit(kind: "Experiment") -> str:
    """Unit of the images, where they have one."""
    unit = next(entry.unit for entry in kind.schema if entry.name == "images")
    return "" if unit == "1" else f" {unit}"
