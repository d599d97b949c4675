"""``unflat plan``: the limits of an experiment from its geometry alone."""

import json
from pathlib import Path
from typing import Any

import click

from ..recon.errors import ConfigError, DataError, Diagnostic
from ..recon.experiments import get_experiment
from ..recon.experiments.configs import load_config
from . import console
from .options import OUTPUT, PATH, config_options

_PICTURES = (".png", ".svg")


@click.command()
@click.argument("config", type=PATH)
@click.argument("acquisition", type=PATH, required=False)
@click.option("-o", "--output", type=OUTPUT, help="Picture of the measured part of Fourier space: .png or .svg.")
@click.option("--force", is_flag=True, help="Replace an existing picture.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, all numbers in SI.")
@config_options
def command(
    config: Path, acquisition: Path | None, output: Path | None, force: bool, as_json: bool, overrides: list[str]
) -> None:
    """Plan an experiment from its geometry alone: nothing is reconstructed.

    The geometry is that of the ACQUISITION, or else of the CONFIG: its section simulate, and all that its section
    acquisition states itself. Printed are the resolution along each axis, the missing part of Fourier space, the
    sampling, the counts that are needed, the error that they leave, memory and time, and what one more view, focus or
    frame would bring. The formulas and assumptions are in docs/explanation/planning.md.

    \b
    Examples:
      unflat plan run.yaml
      unflat plan run.yaml scan.h5 -o plan.png
      unflat plan run.yaml --set simulate.numerical_aperture=0.9 --set simulate.illumination.na=0.8
      unflat plan run.yaml --json | jq .numbers.resolution
    """
    if output is not None:
        if output.suffix.lower() not in _PICTURES:
            raise ConfigError(Diagnostic("--output", f"{output} is no picture", "let its name end in .png or .svg"))
        console.refuse_to_overwrite(output, force=force)
    settings: Any = load_config(config, overrides)
    kind = get_experiment(settings.kind)
    measured = kind.read(settings, acquisition) if acquisition else None
    if measured is not None and (faults := kind.validate(measured)):
        raise DataError(*faults)
    plan = kind.plan(settings, measured)
    if output is not None and not plan.pictures:
        raise ConfigError(Diagnostic("--output", f"a plan of a {kind.name} has no picture", "leave it out"))
    for warning in plan.warnings:
        console.warn(warning)
    if output is not None:  # Before the text, which may go into a pipe that is closed early.
        from ..recon.visualization import save_figure
        from ..recon.visualization.fourier_section import draw_sections

        save_figure(draw_sections(plan.pictures, f"Spatial frequencies measured, {plan.source}"), output)
    if as_json:
        click.echo(json.dumps(plan.as_json(), indent=2))
        return
    for line in plan.lines():
        console.print_line(line)
    if output is not None:
        console.report_file(output)
