"""No command replaces a file that it reads, by whatever name the output is given, --force or not."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from unflat.cli.main import COMMANDS, cli, run

FILES = Path(__file__).resolve().parents[1] / "fixtures" / "before_0_2"
READ: dict[str, tuple[str, ...]] = {
    "convert": ("convert", "acquisition.h5", "--config", "cell.yaml"),
    "simulate": ("simulate", "cell.yaml"),
    "volume": ("volume", "model.h5", "--like", "like.h5"),
    "query": ("query", "model.h5", "points.csv"),
    "mesh": ("mesh", "model.h5"),
    "render": ("render", "model.h5"),
    "measure": ("measure", "model.h5", "like.h5"),
    "evaluate": ("evaluate", "model.h5", "like.h5"),
    "report": ("report", "RUN"),
    "fit": ("fit", "cell.yaml", "acquisition.h5"),
    "phase": ("phase", "crystal.yaml", "crystal.h5"),
    "predict": ("predict", "crystal.yaml", "crystal.h5"),
    "train": ("train", "crystal.yaml"),
    "plan": ("plan", "cell.yaml", "acquisition.h5"),
    "watch": ("watch", "cell.yaml", "IN"),
}
"""Words of each command that reads files, without its output."""
RUNS = ("fit", "phase", "predict", "train", "watch")
SUFFIXES = {"query": ".csv", "mesh": ".ply", "render": ".png", "plan": ".png", "measure": ".csv", "evaluate": ".csv"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a file of each sort, which is the same in the end."""
    for source, name in (
        ("cell/config.yaml", "cell.yaml"),
        ("crystal/config.yaml", "crystal.yaml"),
        ("cell/acquisition.h5", "acquisition.h5"),
        ("crystal/acquisition.h5", "crystal.h5"),
        ("cell/run/model.h5", "model.h5"),
        ("cell/run/volume.h5", "like.h5"),
    ):
        shutil.copy(FILES / source, tmp_path / name)
    shutil.copytree(FILES / "cell" / "run", tmp_path / "RUN")
    (tmp_path / "IN").mkdir()
    (tmp_path / "points.csv").write_text("z,y,x\n0,0,0\n")
    np.save(tmp_path / "mask.npy", np.zeros((16, 16), np.uint8))
    monkeypatch.chdir(tmp_path)
    before = _checksums(tmp_path)
    yield tmp_path
    after = _checksums(tmp_path)
    assert {name: after.get(name) for name in before} == before


def _checksums(folder: Path) -> dict[str, str]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _symlink(file: Path, suffix: str) -> Path:
    link = file.with_name(f"symlink{suffix}")
    link.symlink_to(file)
    return link


def _hard_link(file: Path, suffix: str) -> Path:
    link = file.with_name(f"link{suffix}")
    os.link(file, link)
    return link


def _spelling(file: Path, suffix: str) -> Path:
    """Another spelling; with a suffix that the command takes, through a link of a folder."""
    (file.parent / "beside").symlink_to(file.parent)
    name = file.name if file.suffix == suffix else _symlink(file, suffix).name
    return Path("RUN") / ".." / "beside" / name


def test_every_command_with_an_output_is_looked_at() -> None:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in COMMANDS}
    writers = {name for name, c in commands.items() if c and any(p.name == "output" for p in c.params)}
    assert writers - {"init", "demo", "bench"} == set(READ)  # Those three read no file.
    for name in READ:
        command = commands[name]
        assert command is not None
        reads = [p for p in command.params if isinstance(p.type, click.Path) and p.name != "output"]
        assert all(type(p.type) is not click.Path for p in reads), f"{name}: a path that is read is of the type PATH"


@pytest.mark.parametrize("rename", [_symlink, _hard_link, _spelling])
@pytest.mark.parametrize("name", [name for name in READ if name not in (*RUNS, "report")])
def test_an_output_that_is_an_input_is_refused(
    name: str, rename: Callable[[Path, str], Path], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in READ[name][1:]:
        if word.startswith("--"):
            continue
        output = rename(place / word, SUFFIXES.get(name, (place / word).suffix))
        assert run([*READ[name], "-o", str(output), "--force"]) == 2
        said = capsys.readouterr().err
        assert "is read by this command" in said
        assert "would be replaced" in said
        assert run([*READ[name], "-o", str(output)]) == 2  # No "replace it with --force" either.
        assert "--force" not in capsys.readouterr().err
        for link in (place / "beside", *place.glob("symlink*"), *place.glob("link*")):
            link.unlink(missing_ok=True)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_not_written_into_a_folder_that_holds_its_inputs(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (word for word in READ[name][1:] if word != "IN"):
        folder = place / f"run-of-{file}"
        shutil.copytree(place / "RUN", folder)
        shutil.copy(file, folder / file)
        (place / f"link-{file}").symlink_to(folder, target_is_directory=True)
        os.link(folder / file, place / f"hard-{file}")
        for given in (folder / file, place / f"link-{file}" / file, place / f"hard-{file}"):
            words = [str(given) if word == file else word for word in READ[name]]
            before = _checksums(folder)
            assert run([*words, "-o", str(folder), "--force"]) == 2
            assert "write to another folder" in capsys.readouterr().err
            assert _checksums(folder) == before


@pytest.mark.usefixtures("no_figures")
def test_the_files_of_a_run_that_is_read_stay_and_its_report_is_replaced(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["volume", "RUN", "-o", "RUN/volume.h5", "--force"]) == 2
    assert run(["report", "RUN", "-o", "RUN/metrics.json", "--force"]) == 2
    assert "is read by this command" in capsys.readouterr().err
    (place / "RUN" / "report.html").write_text("old")
    assert run(["report", "RUN", "--force"]) == 0
    assert (place / "RUN" / "report.html").read_text() != "old"
    (place / "RUN" / "report.html").unlink()


def test_a_folder_of_images_and_a_pattern_of_them_stay(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = place / "images"
    images.mkdir()
    (images / "a_1.tif").write_bytes(b"II*\0")
    for source in ("images", "images/a_*.tif", "./images/../images"):
        assert run(["convert", source, "-o", "images/a_1.tif", "--force"]) == 2
        assert "is read by this command (SOURCE)" in capsys.readouterr().err


def test_a_file_that_only_the_config_names_stays_as_well(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", "acquisition.h5", "--set", "acquisition.mask=mask.npy", "-o"]
    assert run([*words, "whole.h5"]) == 0
    assert run([*words, "mask.npy", "--force"]) == 2
    assert "is read by this command (acquisition.mask)" in capsys.readouterr().err
    (place / "train.yaml").write_text("kind: shape\ntrain: {data: cells}\n")
    (place / "cells").mkdir()
    shutil.copytree(place / "RUN", place / "cells" / "run")
    assert run(["train", "train.yaml", "-o", "cells", "--force"]) == 2
    assert "train.data: 'cells' lies in 'cells'" in capsys.readouterr().err
