"""``unflat simulate``: an acquisition with its truth inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..recon.acquisition import Acquisition
from ..recon.config.entries import Entry
from ..recon.devices import use
from ..recon.experiments import get_experiment
from ..recon.experiments.configs import load_config
from ..recon.io.write import write
from . import console
from .options import PATH, config_options, output_options


@click.command()
@click.argument("config", type=PATH)
@output_options
@config_options
def command(config: Path, output: Path, force: bool, overrides: list[str]) -> None:
    """Simulate an acquisition with its truth, as the section simulate: of CONFIG describes.

    The specimen is defined at every point of space and sampled more finely than the detector's pixels: light crosses a
    cell to a camera that counts photons, X-rays are diffracted by a crystal on its rocking curve, or a microscope
    images one section of a shape. The same seed gives the same file.

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
    if description := _description(acquisition, kind.schema):
        console.print_line(description)
    if acquisition.truth is not None:
        console.print_line(f"truth on {' × '.join(map(str, acquisition.truth.shape))} voxels")
    console.report_file(output)


def _description(acquisition: Acquisition, schema: Sequence[Entry]) -> str:
    """Describe the main array, the first of the schema that the acquisition holds; empty where it holds none."""
    entry = next((entry for entry in schema if entry.name in acquisition), None)
    if entry is None:
        return ""
    measured = acquisition[entry.name]
    size = " × ".join(map(str, measured.shape))
    text = f"{entry.name}: {size} values" if size else f"{entry.name}: one value"
    if measured.ndim == 3:
        views, height, width = measured.shape
        text = f"{views} images of {height} × {width} pixels"
    if measured.dtype.kind not in "biufc" or not measured.size:
        return text
    return f"{text}, mean {measured.mean():.4g}{'' if entry.unit == '1' else f' {entry.unit}'}"
