"""Snakemake workflow that reconstructs a folder of scans, from the template that comes with unflat."""

from importlib.resources import files

from .base import Experiment

TEMPLATE = "Snakefile"


def workflow_text(experiment: Experiment) -> str:
    """Write the workflow for a kind, by the method that a demonstration of it runs.

    Args:
        experiment: Kind of the scans.
    """
    template = (files(f"{__name__.partition('.')[0]}.configs") / TEMPLATE).read_text("utf-8")
    return template.replace("@KIND@", experiment.name).replace("@METHOD@", experiment.default_method)
