"""What decides a run's numbers, kept beside its checkpoints: a run goes on only as what it was."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, Fault
from .atomic import write_atomically


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
            Fault(str(fingerprint_file(run)), "cannot go on with this run: the file is missing or torn", remedy)
        ) from error
    faults = []
    for name in sorted({*former, *wanted}):
        before, after = former.get(name), wanted.get(name)
        grown = any(f".{name}".endswith(f".{allowed}") for allowed in may_grow) and _is_larger(after, before)
        if before != after and not grown:
            faults.append(Fault(str(run), f"{name} was {_shown(before)} and is now {_shown(after)}", remedy))
    if faults:
        raise ConfigError(*faults)


def _is_larger(after: object, before: object) -> bool:
    return isinstance(before, int | float) and isinstance(after, int | float) and after > before


def _shown(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
