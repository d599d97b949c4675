"""``unflat init``: a commented config to start from."""

from pathlib import Path

import click

from ..recon.config import dump_commented, json_schema, with_overrides
from ..recon.errors import ConfigError, Diagnostic
from ..recon.experiments import NAMES, get_experiment
from ..recon.io.atomic import write_atomically
from . import console
from .options import KIND, PATH, config_options


@click.command()
@click.argument("kind", metavar=f"{{{'|'.join(NAMES)}}}", **KIND)
@click.option("-o", "--output", type=PATH, help="What to write; without it the text goes to stdout.")
@click.option("--force", is_flag=True, help="Replace the output where it already exists.")
@click.option("--schema", is_flag=True, help="Write the JSON schema that editors check and complete configs by.")
@config_options
def command(kind: str, output: Path | None, force: bool, schema: bool, overrides: list[str]) -> None:
    """Write a config of a KIND of experiment, every value with its default and what it means.

    A value that you delete keeps its default: keep the lines you care about.

    \b
    Examples:
      unflat init cell -o run.yaml
      unflat init cell --set volume.depth='9 um' -o run.yaml
      unflat init cell --schema -o cell.schema.json
    """
    if schema and overrides:
        raise ConfigError(Diagnostic("--schema", "is the same whatever the values are", "leave out --set"))
    config_class = get_experiment(kind).settings
    text = json_schema(config_class) if schema else dump_commented(with_overrides(config_class(), overrides))
    if output is None:
        click.echo(text, nl=False)
        return
    console.refuse_to_overwrite(output, force=force)
    with write_atomically(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    console.report_file(output)
