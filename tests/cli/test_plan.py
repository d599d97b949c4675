"""``unflat plan``: pictures, JSON, refusals and exit statuses."""

import json
from pathlib import Path

import pytest

from unflat.cli.main import run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text("kind: crystal\nsimulate: {shape: [32, 32, 32]}\n")
    return path


def test_the_picture_is_written_once(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "plan.svg"
    assert run(["plan", str(config), "-o", str(picture)]) == 0
    first = picture.read_bytes()
    assert first.startswith(b"<?xml")
    assert "finest period, two voxels" in capsys.readouterr().out
    assert run(["plan", str(config), "-o", str(picture)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(["plan", str(config), "-o", str(picture), "--force"]) == 0
    assert picture.read_bytes() == first


def test_json_is_all_that_is_on_stdout(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", str(config), "--json", "-o", str(tmp_path / "plan.png")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "crystal"
    assert document["numbers"]["resolution"]["unit"] == "m"
    assert document["seconds"] > 0
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["-o", "plan.pdf"], 2, "let its name end in .png or .svg"),
        (["-o", "absent/plan.png"], 3, "absent"),
        (["--set", "simulate.wavelength=9 mm"], 2, "simulate.wavelength"),
        (["--set", "simulate.pixel_size=55 s"], 2, "55 s"),
        (["--set", "simulate.pixel_size=55 mm"], 2, "simulate.pixel_size"),
        (["none.h5"], 3, "none.h5"),
        (["--set", "acquisition.reciprocal_basis=[[1, 0, 0], [0, 1, 0], [1, 1, 0]]"], 2, "lie in one plane"),
    ],
)
def test_wrong_input_is_refused(
    words: list[str],
    status: int,
    message: str,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(config.parent)
    assert run(["plan", config.name, *words]) == status
    assert message in capsys.readouterr().err


def test_a_shape_has_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shape.yaml").write_text("kind: shape\n")
    assert run(["plan", str(tmp_path / "shape.yaml"), "-o", str(tmp_path / "plan.png")]) == 2
    assert "has no picture" in capsys.readouterr().err
