"""Where things are."""

from pathlib import Path

from .ledger import Skipped

ROOT = Path(__file__).resolve().parents[1]


def shared(name: str) -> Path:
    """Find a file of the real data, which stand beside the repository.

    Raises:
        Skipped: If it is not there.
    """
    path = ROOT.parent / "shared" / "data" / name
    if not path.is_file():
        raise Skipped(f"skipped: no ../shared/data/{name} beside the repository")
    return path
