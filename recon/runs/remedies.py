"""Advice on a machine: a problem, and the command that mends it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """A problem of the machine or of the installation.

    Args:
        problem: Problem in one sentence, with the value that shows it.
        remedy: Command or setting that mends it.
    """

    problem: str
    remedy: str
