"""Paths of the repository and of the measured data beside it."""

from pathlib import Path

from .ledger import Skipped

ROOT = Path(__file__).resolve().parents[1]


def shared(name: str) -> Path:
    """Return the path of a file of measured data.

    Raises:
        Skipped: If the file is missing.
    """
    path = ROOT.parent / "shared" / "data" / name
    if not path.is_file():
        raise Skipped(f"skipped: no ../shared/data/{name} beside the repository")
    return path
