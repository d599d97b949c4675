"""Names of a part of a file on the command line: ``scans.h5:/2.1``, as a config writes them."""

from pathlib import Path


def split_entry(path: Path) -> tuple[Path, str]:
    """Split ``FILE:/PART`` into the file and the path in it.

    Args:
        path: Name of a file, a folder or a pattern, or of a part of a file.

    Returns:
        The file and the part; the whole path and no part where it names an existing file, or no file before the colon.
    """
    file, colon, part = path.as_posix().rpartition(":/")
    if not colon or not part.strip("/") or path.exists() or not Path(file).is_file():
        return path, ""
    return Path(file), f"/{part.strip('/')}"
