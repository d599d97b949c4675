"""Templates of HTML pages: ``page.html`` and those that extend it."""

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


def load_template(name: str) -> "Template":
    """Load a template of this package by the name of its file."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(load_text)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader
    )
    return environment.get_template(name)


def load_text(name: str) -> str:
    """Read a file of this package."""
    return (files(__package__) / name).read_text(encoding="utf-8")
