"""``unflat info``: contents of a file."""

from pathlib import Path

import click

from ..recon.errors import ConfigError
from ..recon.experiments import experiment_names, get_experiment
from ..recon.experiments.base import Experiment
from ..recon.io.inspect import describe
from ..recon.runs.contents import read_ending
from . import console
from .options import PATH

_RESULTS = ("model.h5", "volume.h5")


@click.command()
@click.argument("file", type=PATH)
def command(file: Path) -> None:
    """Show what a FILE contains: shapes, types, units, attributes, and the range of small arrays.

    FILE is a file of unflat (acquisition, model, volume), any other HDF5, CXI, TIFF, OME-TIFF, MATLAB or NPZ file, a
    volume in MRC or VTI, a folder of TIFFs, a run folder, or a pattern in quotes.

    \b
    Examples:
      unflat info scan.h5
      unflat info RUN/model.h5
      unflat info cell.mrc
      unflat info 'raw/image_*.tif'
    """
    experiments = _experiments()
    readers = [reader for experiment in experiments for reader in experiment.readers()]
    describers = [describer for experiment in experiments for describer in experiment.describers()]
    for line in _describe_run(file) if _is_run(file) else describe(file, readers, describers):
        console.print_line(line)


def _experiments() -> list[Experiment]:
    """All kinds, since a file may name none; a kind of another package that cannot be loaded is left out."""
    experiments = []
    for name in experiment_names():
        try:
            experiments.append(get_experiment(name))
        except ConfigError as error:
            console.warn(str(error))
    return experiments


def _is_run(path: Path) -> bool:
    """Whether a path is a run folder: unlike a folder of TIFFs, it has a sentinel, a model or a volume."""
    return path.is_dir() and (read_ending(path) is not None or any((path / name).is_file() for name in _RESULTS))


def _describe_run(path: Path) -> list[str]:
    """Describe the outcome of a run, its model and its volume."""
    ending = read_ending(path)
    lines = [f"{path}: run, " + (f"{ending[0]}: {ending[1]}" if ending else "in progress, or killed")]
    for name in _RESULTS:
        if (path / name).is_file():
            lines += describe(path / name)
    return lines
