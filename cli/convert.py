"""``unflat convert``: from instrument files to an acquisition."""

from pathlib import Path
from typing import Any

import click

from ..recon.experiments import BUILT_IN, get_experiment
from ..recon.experiments.configs import load_config, parse_config
from . import console
from .options import KIND, PATH, config_options, output_options


@click.command()
@click.argument("source", type=PATH, nargs=-1, required=True)
@click.option("--config", type=PATH, help="Config whose section acquisition: names the arrays to read.")
@click.option(
    "--kind",
    default=next(iter(BUILT_IN)),
    metavar="KIND",
    show_default=True,
    help="Kind, without a config.",
    **KIND,
)
@output_options
@config_options
def command(
    source: tuple[Path, ...], config: Path | None, kind: str, output: Path, force: bool, overrides: list[str]
) -> None:
    """Convert instrument files to an acquisition in SI units; all faults are reported at once.

    SOURCE is an HDF5, CXI, TIFF, OME-TIFF, MATLAB or NPZ file, a folder of TIFFs, or a pattern in quotes. The
    section acquisition: of the config gives names, units, illumination, and the views and pixels to read.

    Several scans of one peak of a crystal are aligned and summed; FILE:/2.1 is one scan of a file that holds several.

    \b
    Examples:
      unflat convert raw.mat -o scan.h5 --config run.yaml
      unflat convert 'raw/image_*.tif' -o scan.h5 --config run.yaml --set acquisition.pixel_size='0.1 um'
      unflat convert scan.h5 -o small.h5 --set acquisition.crop='[256, 256]'
      unflat convert cells.zip -o cells.h5 --kind shape --set acquisition.voxel_size='0.17 um'
      unflat convert bliss.h5:/1.1 bliss.h5:/2.1 -o sum.h5 --config run.yaml
    """
    console.refuse_to_overwrite(output, force=force)
    settings: Any = load_config(config, overrides) if config else parse_config(f"kind: {kind}\n", overrides)
    chosen = get_experiment(settings.kind)
    if len(source) == 1:
        chosen.convert(settings, source[0], output)
    else:
        with console.progress("read") as progress:
            lines = chosen.combine(settings, source, output, progress)
        for line in lines:
            console.print_line(line)
    console.report_file(output)
