"""Provenance of a run: its inputs, its memory, and the fingerprint by which it may be continued.

The fingerprint holds everything that determines a run's numbers, and is stored beside the checkpoints.
"""

import json
import platform
import resource
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ConfigError, DataError, Diagnostic
from ..io.atomic import write_atomically
from ..io.guard import guard
from ..io.json_text import parse_json
from ..io.name_pattern import as_wildcard
from ..version import __version__

_NUMERICS = ("numpy", "jax")
"""Packages that compute a run's numbers."""


def peak_memory() -> int:
    """Return the largest amount of host memory that this process has used [bytes]."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def software_versions() -> dict[str, str]:
    """Return the versions of unflat, Python, NumPy and jax, which is not imported for it."""
    return {"unflat": __version__, "python": platform.python_version(), **{name: version(name) for name in _NUMERICS}}


def describe_input(path: Path) -> dict[str, Any]:
    """Compute the name and the SHA-256 checksum of an input.

    Args:
        path: A file, a folder (all files below it count), or a path whose name is a pattern of files.

    Returns:
        ``input`` and ``sha256``; for a folder or a pattern also ``files``, their number.
    """
    from hashlib import file_digest, sha256

    def checksum(file: Path) -> str:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()

    if path.is_file():
        return {"input": path.name, "sha256": checksum(path)}
    root = path if path.is_dir() else path.parent
    entries = path.rglob("*") if path.is_dir() else root.glob(as_wildcard(path.name))
    files = sorted(file for file in entries if file.is_file())
    lines = "".join(f"{checksum(file)}  {file.relative_to(root).as_posix()}\n" for file in files)
    return {"input": path.name, "files": len(files), "sha256": sha256(lines.encode()).hexdigest()}


def fingerprint_path(run: Path) -> Path:
    """Return the path of a run's fingerprint; the file also marks a folder as a run's."""
    return run / "checkpoint" / "fingerprint.json"


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings: names are joined by dots, and values are as JSON returns them."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = json.loads(json.dumps(value, default=str))
    return flat


def write_fingerprint(run: Path, fingerprint: Mapping[str, Any]) -> None:
    """Write a flat fingerprint to a run folder."""
    with write_atomically(fingerprint_path(run)) as temporary:
        temporary.write_text(json.dumps(fingerprint, indent=1, sort_keys=True), encoding="utf-8")


def require_same_fingerprint(
    run: Path,
    fingerprint: Mapping[str, Any],
    may_grow: Collection[str],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Refuse to continue a run with another fingerprint.

    Args:
        run: The run folder.
        fingerprint: Flat fingerprint of the requested run.
        may_grow: Names, or ends of names after a dot, of numbers that may be larger than before.
        defaults: Flat defaults: a name that the run does not know, because it is older, stands for its default.

    Raises:
        ConfigError: With a fault for each difference, or if the stored fingerprint cannot be read.
    """
    remedy = "put it back, or start anew with --force"
    if changes := changed_entries(_read_fingerprint(run, remedy), fingerprint, may_grow, defaults):
        raise ConfigError(*(Diagnostic(str(run), change, remedy) for change in changes))


def changed_entries(
    former: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
    may_grow: Collection[str],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> list[str]:
    """Describe the differences of two flat fingerprints that `require_same_fingerprint` refuses."""
    changes = []
    for name in sorted({*former, *fingerprint}):
        before, after = former.get(name, defaults.get(name)), fingerprint.get(name)
        has_grown = any(f".{name}".endswith(f".{allowed}") for allowed in may_grow) and _is_larger(after, before)
        if before != after and not has_grown:
            changes.append(f"{name} was {_describe(before)} and is now {_describe(after)}")
    return changes


def _read_fingerprint(run: Path, remedy: str) -> dict[str, Any]:
    """Read the fingerprint of a run.

    Raises:
        ConfigError: If it is missing or damaged.
    """
    try:
        with guard(fingerprint_path(run)):
            former = parse_json(fingerprint_path(run).read_bytes())
            return dict(former.items())
    except DataError as error:
        message = "cannot go on with this run: the file is missing or damaged"
        raise ConfigError(Diagnostic(str(fingerprint_path(run)), message, remedy)) from error


def _is_larger(after: object, before: object) -> bool:
    return isinstance(before, int | float) and isinstance(after, int | float) and after > before


def _describe(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
