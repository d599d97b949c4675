"""Files of a detector that writes a measurement into several: the master (``x_master.h5``) and its data.

The names of the data are numbered (``x_data_000001.h5``), and the master links to them.
"""

import re
from pathlib import Path

_DATA = re.compile(r"(.+)_data_\d+(\.\w+)")
_MASTER = re.compile(r"(.+)_master(\.\w+)", re.IGNORECASE)


def master_of(path: Path) -> Path | None:
    """Path of the master, in small letters, of a file that is named as a detector's data; None for another."""
    match = _DATA.fullmatch(path.name.lower())
    return path.with_name(f"{match[1]}_master{match[2]}") if match else None


def data_files_of(path: Path) -> list[Path]:
    """List the data that lie beside a master, in the order of their names; empty for another file."""
    match = _MASTER.fullmatch(path.name)
    if match is None:
        return []
    own = path.with_name(path.name.lower())
    return sorted(file for file in path.parent.iterdir() if file.name.startswith(match[1]) and master_of(file) == own)
