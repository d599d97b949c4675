"""JSON of damaged files."""

from pathlib import Path

import pytest

from unflat.recon.io.json_text import json_object, json_records, parse_json


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000, b"\xff\xfe\x00", "nul"])
def test_a_text_that_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)


def test_lines_that_are_no_object_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n[2]\n\xff\xff\n' + b"[" * 100_000 + b'\n{"step": 3}\n{"st')
    assert json_records(path) == [{"step": 1}, {"step": 3}]


@pytest.mark.parametrize(
    ("content", "expected"), [(b'{"a": 1}', {"a": 1}), (b"[1]", {}), (b'{"a"', {}), (b"\xff\xfe{", {}), (None, {})]
)
def test_a_file_without_a_whole_object_has_no_entries(
    tmp_path: Path, content: bytes | None, expected: dict[str, int]
) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_bytes(content)
    assert json_object(path) == expected
