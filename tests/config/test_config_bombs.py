"""Configs that are damaged, hostile, or written by an editor of its own mind: read rightly, or refused at once."""

from pathlib import Path

import pytest

from unflat.cli.main import run
from unflat.recon.config.text import MAX_BYTES
from unflat.recon.errors import ConfigError
from unflat.recon.experiments.configs import load_config, parse_config

HEAD = b"kind: cell\n"
LAUGHS = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 9)
)
LAUGHS_OF_MAPS = b"a0: &a0 {a: 1}\n" + b"".join(
    b"a%d: &a%d {%s}\n" % (i, i, b",".join(b"k%d: *a%d" % (k, i - 1) for k in range(8))) for i in range(1, 9)
)
CHAIN = b"a0: &a0 [1]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, 100))


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (LAUGHS + HEAD, "5:10", "the alias '*a3' stands for more than 20000 values"),
        (LAUGHS_OF_MAPS + HEAD, "6:22", "stands for more than 20000 values"),
        (CHAIN + HEAD, "40:12", "stands for lists too deep"),
        (HEAD + b"x: " + b"[" * 6000, "2:43", "more than 40 deep"),
        (HEAD + b"x: " + b"{a: " * 6000, "2:157", "more than 40 deep"),
        (HEAD + b"\n".join(b" " * i + b"a:" for i in range(900)), "41:40", "more than 40 deep"),
        (HEAD + b"\n" + b"- " * 6000, "3:1", "not valid YAML"),
        (HEAD + b"x:\n  " + b"- " * 6000, "3:81", "more than 40 deep"),
        (HEAD + b"x: [" + b"1," * 100_000 + b"]", "2:39", "more than 20000 values"),
        (HEAD + b"seed: " + b"9" * 5000, "2:7", "a number of 5000 digits"),
        (HEAD + b"seed: 0x" + b"f" * 5000, "2:7", "a number of 5002 digits"),
        (HEAD + b"seed: 99999999999999999999", "2:7", "too large for a whole number; for a real one write 1e+20"),
        (HEAD + b"volume: {depth: 1e999999}", "2:17", "larger than numbers can be"),
        (HEAD + b"volume: {depth: 1e-999999}", "2:17", "smaller than numbers can be"),
        (HEAD + b"volume: {depth: 1e999999999 um}", "2:10", "larger than numbers can be"),
        (HEAD + b"volume: {depth: 1e-999999999 um}", "2:10", "smaller than numbers can be"),
        (HEAD + b"volume: {depth: 1%s um}" % (b"0" * 5000), "2:10", "not a number with a unit"),
        (HEAD + b"volume: {depth: .nan}", "2:10", "must be a finite number, not nan"),
        (HEAD + b"acquisition: {pixel_size: [.nan, 1e-7]}", "2:15", "nan is not a finite number"),
        (HEAD + b"seed: true", "2:1", "is true where a number is due"),
        (HEAD + b"fit: {steps: [yes, true]}", "2:7", "is true where a number is due"),
        (HEAD + b"seed: !!int abc", "2:7", "'abc' has the tag !!int"),
        (HEAD + b"volume: !!python/object:x {depth: 9 um}", "2:9", "is not allowed here"),
        (HEAD + b"a: &a {depth: 9 um}\nvolume: {<<: *a}", "3:10", "merge keys '<<'"),
        (b"%YAML " + b"1" * 5000 + b".2\n---\n" + HEAD, "1:7", "not valid YAML"),
        (HEAD + b'device: "\\UFFFFFFFF"', "2:12", "not valid YAML"),
        (HEAD + b"seed: 1\x07", "2:8", "the control character U+0007"),
        (HEAD + "volume: {depth: 9 µm}".encode("cp1252"), "2:19", "(in the encoding of Windows it is 'µ')"),
        (HEAD + "volume:\n\u00a0 depth: 9 um".encode(), "3:1", "type plain spaces"),
        (HEAD + b"acquisition: {ring.na: 1}", "2:15", "write it within its section, 'ring: {na: VALUE}'"),
        (HEAD + b"volume.depth: 9 um\nvolume: {depth: 8 um}", "2:1", "is set already in line 3"),
        (HEAD + b"seed.x: 9 um\nseed: 3", "2:1", "seed is a value, which holds no keys"),
        (b"kind:cell", "1:1", "put a space after the colon"),
        (HEAD + b"k" * 5000, "2:5001", "not valid YAML"),
        (HEAD + b"device: " + b"x" * 100_000, "2:1", "is none of auto, cpu"),
    ],
)
@pytest.mark.timeout(60)  # Without the limits it takes minutes.
def test_a_config_beyond_all_measure_is_refused_with_its_place(
    content: bytes, place: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    assert run(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"error: {path}:{place}" in said
    assert message in said
    assert len(said) < 2000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is no config but an HDF5 file; a config is a text of YAML, and comes"),
        (b"#" * (MAX_BYTES + 1), "is larger than a config may be"),
        (bytes(1000), "control character U+0000"),
        (bytes(range(256)), "not text: byte 0x80"),
    ],
)
def test_a_file_of_another_kind_is_no_config(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scan").write_bytes(content)
    assert run(["check", str(tmp_path / "scan")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_config_is_read_in_every_encoding_that_editors_write(encoding: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(ending.join(["kind: cell", "volume:", "  depth: 9 µm", ""]).encode(encoding))
    assert load_config(path).volume.depth == 9e-6  # type: ignore[attr-defined]


def test_an_alias_of_a_few_values_is_read() -> None:
    config = parse_config("kind: cell\nvolume: &v {depth: 9 um}\nsimulate: {shape: &s [96, 96]}\n")
    assert config.volume.depth == 9e-6  # type: ignore[attr-defined]
    config = parse_config("kind: cell\nacquisition: {pixel_size: &p 0.1 um}\nvolume: {depth: *p}\n")
    assert config.volume.depth == 1e-7  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seed=" + "9" * 5000, "a number of 5000 digits"),
        ("seed=" + "[" * 5000, "more than 40 deep"),
        (".".join("a" * 3000) + "=1", "within more than 40 sections"),
        ("seed=&a [*a]", "an alias that contains itself"),
        ("volume.depth=1e999999 um", "larger than numbers can be"),
        ("volume.depth=.inf", "must be a finite number"),
        ("seed=true", "is true where a number is due"),
        ("seed=1\ndevice: cpu", "sets more than one key"),
        ("device=#cpu", "'#' begins a comment; put quotes around the value"),
        ("device=" + "x" * 100_000, "is none of auto"),
    ],
)
def test_an_assignment_of_the_command_line_is_refused_as_a_config_is(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("kind: cell\n", [assignment])
    assert len(caught.value.faults) == 1
    said = str(caught.value)
    assert said.startswith("--set")
    assert message in said
    assert len(said) < 500


def test_a_key_may_be_a_path_as_messages_write_it() -> None:
    config = parse_config("kind: cell\nvolume.depth: 9 um\nvolume:\n  spacing: 0.1 um\n", ["fit.steps: 7"])
    assert (config.volume.depth, config.volume.spacing, config.fit.steps) == (9e-6, 1e-7, 7)  # type: ignore[attr-defined]


def test_an_assignment_mends_a_value_of_the_file() -> None:
    with pytest.raises(ConfigError):
        parse_config("kind: cell\nvolume: {depth: 1 foo}\n")
    assert parse_config("kind: cell\nvolume: {depth: 1 foo}\n", ["volume.depth=9 um"])
