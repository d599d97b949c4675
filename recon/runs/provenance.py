"""Facts about a run that its result keeps: what went in, and what it took.

What decides a run's numbers, kept beside its checkpoints: a run goes on only as what it was.
"""

import json
import resource
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, Diagnostic
from ..io.atomic import write_atomically


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


def fingerprint_file(run: Path) -> Path:
    """Where the fingerprint of a run stands; the file also marks a folder as a run's."""
    return run / "checkpoint" / "fingerprint.json"


def flattened(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Write nested mappings as one, with dots in the names and values as JSON will give them back."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = json.loads(json.dumps(value, default=str))
    return flat


def write_fingerprint(run: Path, fingerprint: Mapping[str, Any]) -> None:
    """Write a flat fingerprint."""
    with write_atomically(fingerprint_file(run)) as temporary:
        temporary.write_text(json.dumps(fingerprint, indent=1, sort_keys=True), encoding="utf-8")


def require_same(run: Path, wanted: Mapping[str, Any], may_grow: Collection[str]) -> None:
    """Refuse to go on with a run that was asked for otherwise.

    Args:
        run: The folder.
        wanted: The flat fingerprint of what is asked for now.
        may_grow: Names, or ends of names after a dot, whose numbers may be larger now.

    Raises:
        ConfigError: With a fault for each difference, or if the fingerprint is torn.
    """
    remedy = "put it back, or start anew with --force"
    try:
        former = json.loads(fingerprint_file(run).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            Diagnostic(str(fingerprint_file(run)), "cannot go on with this run: the file is missing or torn", remedy)
        ) from error
    faults = []
    for name in sorted({*former, *wanted}):
        before, after = former.get(name), wanted.get(name)
        grown = any(f".{name}".endswith(f".{allowed}") for allowed in may_grow) and _is_larger(after, before)
        if before != after and not grown:
            faults.append(Diagnostic(str(run), f"{name} was {_shown(before)} and is now {_shown(after)}", remedy))
    if faults:
        raise ConfigError(*faults)


def _is_larger(after: object, before: object) -> bool:
    return isinstance(before, int | float) and isinstance(after, int | float) and after > before


def _shown(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
