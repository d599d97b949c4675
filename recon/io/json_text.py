"""JSON of files that may be damaged."""

import json
from pathlib import Path
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: If it is none, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists or objects within each other too deep") from None


def json_object(file: Path) -> dict[str, Any]:
    """Read the object of a file; empty where there is none that is whole."""
    try:
        content = parse_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def json_records(file: Path) -> list[dict[str, Any]]:
    """Read the objects of a file with one on each line; a line that is none, such as a truncated last one, is left out.

    Raises:
        OSError: If the file cannot be read.
    """
    records = []
    for line in file.read_text("utf-8", errors="replace").splitlines():
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records
