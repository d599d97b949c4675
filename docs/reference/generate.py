"""Generate the reference of commands, settings and the Python API, as Markdown.

python docs/reference/generate.py FOLDER     writes the pages into a folder
mkdocs build                                 runs this file and takes its pages
"""

import inspect
import sys
from pathlib import Path
from typing import Any

import click

import unflat
from unflat.cli.main import COMMANDS, cli
from unflat.recon.config.base import Settings, section_of
from unflat.recon.experiments import BUILT_IN, get_experiment


def commands() -> str:
    """Page of the commands: their help."""
    pages = ["# Commands\n"]
    with click.Context(cli, info_name="unflat") as parent:
        for name in COMMANDS:
            command = cli.get_command(parent, name)
            if command is None:
                continue
            with click.Context(command, info_name=name, parent=parent) as context:
                pages.append(f"## unflat {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(pages)


def settings() -> str:
    """Page of the settings of each kind: key, default and description."""
    pages = ["# Settings\n\nEvery value of a config. `--set KEY=VALUE` sets any of them on the command line.\n"]
    for kind in BUILT_IN:
        rows = "\n".join(setting_rows(get_experiment(kind).Config, ""))
        pages.append(f"## {kind}\n\n| key | default | description |\n|---|---|---|\n{rows}\n")
    return "\n".join(pages)


def setting_rows(section: type[Settings], prefix: str) -> list[str]:
    """Rows of a section and of those within it."""
    rows = []
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        default = field.get_default(call_default_factory=True) if not field.is_required() else "required"
        shown = "" if isinstance(default, Settings) else f"`{default}`".replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {shown} | {(field.description or '').replace('|', chr(92) + '|')} |")
        if inner is not None:
            rows += setting_rows(inner, f"{prefix}{name}.")
    return rows


def api() -> str:
    """Page of the public API: signatures and docstrings."""
    pages = [f"# Python\n\n{inspect.getdoc(unflat)}\n"]
    for name in unflat.__all__:
        member = getattr(unflat, name)
        if not callable(member):
            continue
        pages.append(f"## unflat.{name}\n\n```python\n{name}{inspect.signature(member)}\n```\n\n{docstring(member)}")
        for attribute, value in vars(member).items() if inspect.isclass(member) else ():
            if not attribute.startswith("_") and (isinstance(value, property) or inspect.isfunction(value)):
                pages.append(f"### {name}.{attribute}\n\n{docstring(value)}")
    return "\n".join(pages)


def docstring(member: Any) -> str:
    """Docstring as Markdown: its sections as text blocks."""
    return f"```text\n{inspect.getdoc(member) or ''}\n```\n"


PAGES = {"commands.md": commands, "settings.md": settings, "api.md": api}


def main(folder: Path) -> None:
    """Write all pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
elif __name__ == "<run_path>":  # mkdocs-gen-files runs this file by its path.
    import mkdocs_gen_files

    for page_name, make in PAGES.items():
        with mkdocs_gen_files.open(f"reference/{page_name}", "w") as page_file:
            page_file.write(make())
