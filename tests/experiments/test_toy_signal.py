"""A fourth kind of experiment costs one file, and goes through every command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

TOY = Path(__file__).with_name("toy_signal.py")


def install(folder: Path, source: str, name: str = "signal") -> Path:
    """Lay out a kind as an installed package would be: a module, and metadata with its entry point."""
    (folder / TOY.name).write_text(source, "utf-8")
    metadata = folder / "toy_signal-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-signal\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(f"[unflat.experiments]\n{name} = toy_signal:SignalExperiment\n", "utf-8")
    return folder


def toy_with(*changes: tuple[str, str]) -> str:
    """Source of the toy with some of its text replaced."""
    source = TOY.read_text("utf-8")
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy as an installed package."""
    return install(tmp_path_factory.mktemp("plugins"), TOY.read_text("utf-8"))


PROGRAM = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from unflat.cli.main import run
ends = []
for words in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = run(words)
    ends.append([words, status, out.getvalue(), err.getvalue()])
print(json.dumps(ends))
"""
"""Runs commands one after the other, as in a process of their own, but imports the toy and jax once."""


def unflat(plugins: Path, *commands: list[object]) -> list[subprocess.CompletedProcess[str]]:
    """Run commands in one process that has the toy on its path."""
    path = os.pathsep.join(filter(None, [str(plugins), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-c", PROGRAM, json.dumps(commands, default=str)]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return [subprocess.CompletedProcess(*end) for end in json.loads(done.stdout)]


def require_done(ended: list[subprocess.CompletedProcess[str]]) -> None:
    for one in ended:
        assert one.returncode == 0, (one.args, one.stderr)


def test_a_fourth_kind_goes_through_every_command(plugins: Path, tmp_path: Path) -> None:
    config, scan, run = tmp_path / "s.yaml", tmp_path / "scan.h5", tmp_path / "RUN"
    *before, evaluated = unflat(
        plugins,
        ["init", "signal", "-o", config],
        ["simulate", config, "-o", scan],
        ["check", config, scan],
        ["fit", config, scan, "-o", run],
        ["volume", run, "-o", tmp_path / "signal.npz"],
        ["report", run, "-o", tmp_path / "report.html"],
        ["info", scan],
        ["info", run],
        ["evaluate", run, scan, "--json"],
    )
    require_done([*before, evaluated])
    accuracy = json.loads(evaluated.stdout)
    numbers = json.loads((run / "metrics.json").read_text("utf-8"))
    assert accuracy["ncc"] == pytest.approx(numbers["ncc"], abs=1e-6)
    assert accuracy["ncc"] > 0.95
    assert numbers["misfit_withheld"] < 0.1
    assert "misfit of withheld samples" in (run / "DONE").read_text("utf-8")
    assert "Measured and modelled images" in (tmp_path / "report.html").read_text("utf-8")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_a_method_that_the_kind_does_not_offer_is_refused(plugins: Path, tmp_path: Path) -> None:
    config = tmp_path / "s.yaml"
    phase = ["phase", config, tmp_path / "none.h5", "-o", tmp_path / "RUN"]
    made, refused = unflat(plugins, ["init", "signal", "-o", config], phase)
    require_done([made])
    assert refused.returncode == 2
    assert "unflat fit" in refused.stderr
    assert not (tmp_path / "RUN").exists()


def test_a_kind_without_an_estimate_says_so(plugins: Path, tmp_path: Path) -> None:
    config, scan = tmp_path / "s.yaml", tmp_path / "scan.h5"
    commands: list[list[object]] = [["init", "signal", "-o", config], ["simulate", config, "-o", scan]]
    *before, checked = unflat(plugins, *commands, ["check", config, scan])
    require_done([*before, checked])
    assert "no estimate" in checked.stdout
    assert "name it" not in checked.stdout
    assert "memory about" not in checked.stdout


def test_arrays_need_neither_three_axes_nor_a_pixel_of_two_numbers(tmp_path: Path) -> None:
    source = toy_with(
        ('"view y x"', '"view x"'),
        ('"/instrument/pixel_size", "2"', '"/instrument/pixel_size", ""'),
        ('"images": blurred[None, None]', '"lines": blurred[None]'),
        ("    images: AnySource", "    lines: AnySource"),
        ("np.full(2, pixel)}", "np.array(pixel)}"),
    ).replace("/measurement/images", "/measurement/lines")
    folder, config, scan = install(tmp_path, source), tmp_path / "s.yaml", tmp_path / "scan.h5"
    made, simulated = unflat(folder, ["init", "signal", "-o", config], ["simulate", config, "-o", scan])
    require_done([made, simulated])
    assert "lines: 1 × 96 values" in simulated.stdout
    with h5py.File(scan) as file:
        assert file["measurement/x"].shape == (96,)
        assert "measurement/y" not in file
        assert list(file["measurement"].attrs["axes"].astype(str)) == [".", "x"]


@pytest.mark.parametrize(
    ("source", "name", "fault"),
    [
        ("import a_module_that_is_absent\n", "signal", "a_module_that_is_absent"),
        ("class SignalExperiment: pass\n", "signal", "no subclass of Experiment"),
        (TOY.read_text("utf-8"), "wave", "'signal'"),
        (toy_with(('Metric("misfit_fitted", "Misfit', 'Metric("ncc", "Misfit')), "signal", "'ncc'"),
    ],
)
def test_a_kind_that_cannot_be_loaded_is_named_with_its_package(
    tmp_path: Path, source: str, name: str, fault: str
) -> None:
    folder = install(tmp_path, source, name)
    np.savez(tmp_path / "array.npz", a=np.zeros(3))
    refused, shown = unflat(folder, ["init", name], ["info", tmp_path / "array.npz"])
    assert refused.returncode == 2
    for text in (f"{name!r}", "'toy-signal'", "cannot be loaded", fault):
        assert text in refused.stderr
    assert shown.returncode == 0
    assert "warning" in shown.stderr
    assert fault in shown.stderr
    assert "array.npz" in shown.stdout


def test_an_error_in_a_package_of_a_kind_names_its_line(tmp_path: Path) -> None:
    source = toy_with(("        progress(1, 1)\n", '        __import__("json").loads("")\n'))
    folder, config = install(tmp_path, source), tmp_path / "s.yaml"
    words = ["simulate", config, "-o", tmp_path / "scan.h5"]
    made, failed, loud = unflat(folder, ["init", "signal", "-o", config], words, [*words, "-vv"])
    require_done([made])
    line = next(n for n, text in enumerate(source.splitlines(), 1) if "__import__" in text)
    assert failed.returncode == loud.returncode == 1
    assert f"toy_signal.py:{line}" in failed.stderr
    assert "JSONDecodeError" in failed.stderr
    assert "bug in unflat" not in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "Traceback" in loud.stderr


def test_losses_of_another_shape_are_refused(tmp_path: Path) -> None:
    source = toy_with((").sum(-1) / (", ").sum() / ("), ("        ).sum(-1)", "        ).sum()"))
    folder, config, scan = install(tmp_path, source), tmp_path / "s.yaml", tmp_path / "scan.h5"
    commands: list[list[object]] = [["init", "signal", "-o", config], ["simulate", config, "-o", scan]]
    *before, refused = unflat(folder, *commands, ["fit", config, scan, "-o", tmp_path / "RUN"])
    require_done(before)
    assert refused.returncode == 2
    for text in ("SignalLikelihood.losses", "shape ()", "(views,)"):
        assert text in refused.stderr


def test_a_faulty_summary_does_not_make_a_finished_run_fail(tmp_path: Path) -> None:
    folder = install(tmp_path, toy_with(("numbers['misfit_withheld']", "numbers['absent']")))
    config, scan, run = tmp_path / "s.yaml", tmp_path / "scan.h5", tmp_path / "RUN"
    commands: list[list[object]] = [["init", "signal", "-o", config], ["simulate", config, "-o", scan]]
    *before, done = unflat(folder, *commands, ["fit", config, scan, "-o", run, "--set", "fit.steps=3"])
    require_done([*before, done])
    assert "summary_line" in done.stderr
    assert "absent" in done.stderr
    assert "after 3 steps" in (run / "DONE").read_text("utf-8")


def test_the_toy_is_one_short_file() -> None:
    assert len(TOY.read_text("utf-8").splitlines()) < 200
