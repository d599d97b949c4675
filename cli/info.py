"""``unflat info``: what a file contains."""

from pathlib import Path

import click

from ..recon.acquisition import describe
from . import console
from .options import PATH


@click.command()
@click.argument("file", type=PATH)
def command(file: Path) -> None:
    """Show what a FILE contains: shapes, types, units, attributes, and the range of small arrays.

    FILE is any file of unflat's own (acquisition, model, volume), a foreign HDF5, CXI, TIFF, OME-TIFF, MATLAB or NPZ
    file, a folder of TIFFs, or a pattern in quotes.

    \b
    Examples:
      unflat info scan.h5
      unflat info RUN/model.h5
      unflat info 'raw/image_*.tif'
    """
    for line in describe(file):
        console.say(line)
