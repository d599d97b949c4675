"""``unflat init``: a commented config with all defaults."""

from pathlib import Path

import click

from ..recon.config import dump_commented, json_schema, with_overrides
from ..recon.errors import ConfigError, Diagnostic
from ..recon.experiments import BUILT_IN, get_experiment
from ..recon.experiments.workflow import workflow_text
from ..recon.io.atomic import write_atomically
from . import console
from .options import KIND, OUTPUT, config_options


@click.command()
@click.argument("kind", metavar=f"{{{'|'.join(BUILT_IN)}}}", **KIND)
@click.option("-o", "--output", type=OUTPUT, help="File to write; the text goes to stdout without it.")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@click.option("--schema", is_flag=True, help="Write the JSON schema, by which editors check and complete configs.")
@click.option("--workflow", is_flag=True, help="Write a Snakemake workflow for a folder of scans.")
@config_options
def command(kind: str, output: Path | None, force: bool, schema: bool, workflow: bool, overrides: list[str]) -> None:
    """Write a config for a KIND of experiment: every value with its default and a description.

    A line that is deleted keeps its default: keep only the lines that matter to you.

    \b
    Examples:
      unflat init cell -o run.yaml
      unflat init cell --set volume.depth='9 um' -o run.yaml
      unflat init cell --schema -o cell.schema.json
      unflat init crystal --workflow -o Snakefile
    """
    if workflow and (schema or overrides):
        remedy = "leave out --schema and --set; the workflow reads its settings from a config"
        raise ConfigError(Diagnostic("--workflow", "is the same whatever the values are", remedy))
    if schema and overrides:
        raise ConfigError(Diagnostic("--schema", "is the same whatever the values are", "leave out --set"))
    experiment = get_experiment(kind)
    if workflow:
        text = workflow_text(experiment)
    elif schema:
        text = json_schema(experiment.Config)
    else:
        text = dump_commented(with_overrides(experiment.default_config(), overrides))
    if output is None:
        click.echo(text, nl=False)
        return
    console.refuse_to_overwrite(output, force=force)
    with write_atomically(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    console.report_file(output)
