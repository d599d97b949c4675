"""``unflat init``: a commented config with all defaults, with what the acquisition tells, and with answers."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from ..recon.config import dump_commented, json_schema, setting_line, with_overrides
from ..recon.config.base import KindSettings
from ..recon.errors import ConfigError, Diagnostic
from ..recon.experiments import BUILT_IN, get_experiment
from ..recon.experiments.questions import Question, answer_question, open_questions
from ..recon.experiments.workflow import workflow_text
from ..recon.io.atomic import write_atomically
from . import console
from .options import KIND, OUTPUT, PATH, config_options


@click.command()
@click.argument("kind", metavar=f"{{{'|'.join(BUILT_IN)}}}", **KIND)
@click.argument("acquisition", type=PATH, required=False)
@click.option("-o", "--output", type=OUTPUT, help="File to write; the text goes to stdout without it.")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@click.option("--ask/--no-ask", default=None, help="Ask for the settings that matter most; by default at a terminal.")
@click.option("--schema", is_flag=True, help="Write the JSON schema, by which editors check and complete configs.")
@click.option("--workflow", is_flag=True, help="Write a Snakemake workflow for a folder of scans.")
@config_options
def command(
    kind: str,
    acquisition: Path | None,
    output: Path | None,
    force: bool,
    ask: bool | None,
    schema: bool,
    workflow: bool,
    overrides: list[str],
) -> None:
    """Write a config for a KIND of experiment: every value with its default and a description.

    A line that is deleted keeps its default: keep only the lines that matter to you.

    Of an ACQUISITION, the places of its arrays are filled in as far as its names tell them. With -o at a terminal, the
    settings that matter most and that neither the acquisition nor --set gives are asked for; an empty answer leaves one
    open, and Ctrl-C writes nothing. Scripts are asked nothing.

    \b
    Examples:
      unflat init cell -o run.yaml
      unflat init cell scan.h5 -o run.yaml
      unflat init cell --set volume.depth='9 um' -o run.yaml
      unflat init cell --schema -o cell.schema.json
      unflat init crystal --workflow -o Snakefile
    """
    if workflow and (schema or overrides or acquisition or ask):
        remedy = "leave out --schema, --set, --ask and ACQUISITION; the workflow reads its settings from a config"
        raise ConfigError(Diagnostic("--workflow", "is the same whatever the values are", remedy))
    if schema and (overrides or acquisition or ask):
        remedy = "leave out --set, --ask and ACQUISITION"
        raise ConfigError(Diagnostic("--schema", "is the same whatever the values are", remedy))
    if output is not None:
        console.refuse_to_overwrite(output, force=force)
    experiment = get_experiment(kind)
    if workflow:
        text = workflow_text(experiment)
    elif schema:
        text = json_schema(experiment.Config)
    else:
        asks = (output is not None and _is_terminal()) if ask is None else ask
        text = dump_commented(_config(kind, acquisition, overrides, asks=asks))
    if output is None:
        click.echo(text, nl=False)
        return
    with write_atomically(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    console.report_file(output)


def _is_terminal() -> bool:
    """Whether a person sits there, who sees questions and types answers."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not console.is_quiet()


def _config(kind: str, acquisition: Path | None, overrides: list[str], *, asks: bool) -> KindSettings:
    """Build a config from the defaults, the acquisition, the options, and the answers."""
    from ..recon.experiments.fill_config import known_arrays

    experiment = get_experiment(kind)
    config = cast(KindSettings, with_overrides(experiment.default_config(), overrides))
    places: dict[str, str] = {}
    if acquisition is not None:
        known = known_arrays(experiment, config, acquisition)
        places = known.places
        for assignment in known.assignments:
            console.note(f"{acquisition}: {assignment.replace('=', ': ', 1)}")
        # Options go before what the names of a file suggest.
        config = cast(KindSettings, with_overrides(experiment.default_config(), [*known.assignments, *overrides]))
    questions = open_questions(experiment.questions, overrides, places)
    return _ask(config, questions) if asks and questions else config


def _ask(config: KindSettings, questions: Sequence[Question]) -> KindSettings:
    """Ask a person, each question until its answer is right or empty."""
    console.note("An empty answer leaves a setting open; Ctrl-C writes nothing.")
    for number, question in enumerate(questions, 1):
        text = f"{number}/{len(questions)} {question.text}, as {question.example} ({question.setting})"
        while True:
            answer = _answer_to(text)
            if not answer.strip():
                console.note(f"  left as it is: {setting_line(config, question.setting)}")
                break
            try:
                config = answer_question(config, question, answer)
            except ConfigError as error:
                for fault in error.faults:
                    console.error("; ".join(part for part in (fault.message, fault.remedy) if part))
                continue
            break
    return config


def _answer_to(text: str) -> str:
    """Read an answer.

    Raises:
        ConfigError: If the answers come from a file, which has ended.
    """
    try:
        return str(click.prompt(text, default="", show_default=False, err=True))
    except click.Abort:
        if sys.stdin.isatty():
            raise
        remedy = "give a line for each question, an empty one to leave it open; or use --set"
        raise ConfigError(Diagnostic("--ask", "the answers end before the last question", remedy)) from None
