"""Facts about a run that its result keeps: what went in, and what it took."""

import resource
import sys
from pathlib import Path
from typing import Any


def peak_memory() -> int:
    """[bytes] Most memory that this process has used on its host."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe_input(path: Path) -> dict[str, Any]:
    """Name and checksum of an input, as provenance has it: of a file, of all files of a pattern or below a folder."""
    from hashlib import file_digest, sha256

    def checksum(file: Path) -> str:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()

    if path.is_file():
        return {"input": path.name, "sha256": checksum(path)}
    root, among = (path, path.rglob("*")) if path.is_dir() else (path.parent, path.parent.glob(path.name))
    files = sorted(file for file in among if file.is_file())
    lines = "".join(f"{checksum(file)}  {file.relative_to(root).as_posix()}\n" for file in files)
    return {"input": path.name, "files": len(files), "sha256": sha256(lines.encode()).hexdigest()}
