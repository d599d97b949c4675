"""Where the arrays of an acquisition stand, as messages name it."""

from ...acquisition.acquisition import Acquisition
from .schema import PATHS


def place(acquisition: Acquisition, name: str) -> str:
    """Say where an array stands, for messages."""
    return acquisition.places.get(name) or f"{acquisition.source}:{PATHS.get(name, name)}"
