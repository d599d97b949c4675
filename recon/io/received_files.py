"""Names of the files of received scans: ``NAME.h5`` of a whole one, ``NAME.partial-0.h5`` of one that is under way."""

import re
from pathlib import Path

PARTIAL = re.compile(r"(?P<name>.+)\.partial-(?P<number>\d+)\.h5")
"""Name of the file of a scan that is under way."""


def name_of(path: Path) -> str:
    """Name of a scan by its file, whether it is under way or whole."""
    match = PARTIAL.fullmatch(path.name)
    return match["name"] if match else path.stem


def next_partial(folder: Path, name: str) -> Path:
    """File for a scan that is under way, with a number beyond those that it had before."""
    matches = (PARTIAL.fullmatch(path.name) for path in folder.iterdir())
    numbers = [int(match["number"]) for match in matches if match is not None and match["name"] == name]
    return folder / f"{name}.partial-{max(numbers, default=-1) + 1}.h5"


def free_name(folder: Path, name: str) -> str:
    """Name for a scan's files that is valid anywhere, and that no file in the folder has.

    Args:
        folder: The folder.
        name: Name that the sender gives.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_+") else "_" for c in name[:80]).strip("_")
    taken = {path.name.partition(".")[0].casefold() for path in folder.iterdir()}
    names = (plain or "scan", *(f"{plain or 'scan'}-{number}" for number in range(2, len(taken) + 3)))
    return next(each for each in names if each.casefold() not in taken)
