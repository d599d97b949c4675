"""Files written before version 0.2 open with the values that the code of that time gave.

``tests/fixtures/before_0_2`` holds a small run of each kind, two runs that stopped with a checkpoint, a network, and
volumes in all formats; ``expected.json`` holds the values, recorded by :func:`values_of`. The wrapped phases among them
are recorded anew: between samples, they have since been interpolated on the circle.
"""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unflat.cli.main import run

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "before_0_2"
KINDS = ("cell", "crystal", "shape")
VOLUMES = ("cell.h5", "cell.tif", "cell.mrc", "cell.vti", "cell.npz", "crystal.cxi")
RESULTS = {
    "cell/run": "um",
    "cell/run/volume.h5": "um",
    "crystal/run": "nm",
    "shape/run": "um",
    **{f"volumes/{name}": "nm" if name.startswith("crystal") else "um" for name in VOLUMES},
}
"""Results, and the unit of the ends of a line through each."""
Run = Callable[[list[str]], int]


def columns_of(path: Path) -> dict[str, list[float]]:
    """Numbers of a table by column; columns of text are left out."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns: dict[str, list[float]] = {}
    for name in rows[0]:
        try:
            columns[name] = [float(row[name]) for row in rows]
        except ValueError:
            continue
    return columns


def queried(run: Run, result: Path, unit: str, work: Path) -> dict[str, list[float]]:
    """Values of all quantities on a line through a result."""
    reach, table = {"um": 0.7, "nm": 60.0}[unit], work / "line.csv"
    start, end = (",".join(f"{sign * share * reach}{unit}" for share in (0.5, 0.7, 0.9)) for sign in (-1, 1))
    line = ["--line", start, end, "--samples", "7"]
    assert run(["query", str(result), "-o", str(table), "--force", *line]) == 0
    return columns_of(table)


def evaluated(run: Run, folder: Path, work: Path) -> dict[str, list[float]]:
    """Accuracy of a run against the truth in its acquisition."""
    table = work / "accuracy.csv"
    assert run(["evaluate", str(folder / "run"), str(folder / "acquisition.h5"), "-o", str(table), "--force"]) == 0
    return columns_of(table)


def values_of(run: Run, fixtures: Path, work: Path) -> dict[str, Any]:
    """All values that are compared."""
    lines = {name: queried(run, fixtures / name, unit, work) for name, unit in RESULTS.items()}
    return {"query": lines, "evaluate": {kind: evaluated(run, fixtures / kind, work) for kind in KINDS}}


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    values: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
    return values


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the fixtures that commands may write into."""
    folder = tmp_path_factory.mktemp("before") / "files"
    shutil.copytree(FIXTURES, folder)
    return folder


def assert_close(values: dict[str, list[float]], reference: dict[str, list[float]], tolerance: float = 1e-5) -> None:
    assert set(values) >= set(reference)
    for name, numbers in reference.items():
        scale = max(float(np.nanmax(np.abs(numbers))), 1e-30)
        np.testing.assert_allclose(values[name], numbers, atol=tolerance * scale, rtol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_has_the_values_that_it_had(name: str, files: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    assert_close(queried(run, files / name, RESULTS[name], tmp_path), expected["query"][name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_as_accurate_as_it_was(kind: str, files: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    assert_close(evaluated(run, files / kind, tmp_path), expected["evaluate"][kind], 1e-4)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cell/acquisition.h5", "16"),
        ("cell/run/model.h5", "refractive_index"),
        ("crystal/run/volume.h5", "density"),
        ("shape/run/model.h5", "signed_distance"),
        ("network.h5", "shape"),
        *((f"volumes/{name}", "refractive_index" if name.startswith("cell") else "density") for name in VOLUMES),
    ],
)
def test_info_describes_a_file(name: str, text: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(files / name)]) == 0
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_written_again(kind: str, files: Path) -> None:
    report = files / kind / "run" / "report.html"
    assert run(["report", str(files / kind / "run"), "-o", str(report), "--force"]) == 0
    assert report.stat().st_size > 10_000


@pytest.mark.usefixtures("no_report")
def test_a_fit_that_stopped_resumes(files: Path) -> None:
    folder = files / "cell"
    words = [str(folder / name) for name in ("config.yaml", "acquisition.h5")]
    assert run(["fit", *words, "-o", str(folder / "stopped"), "--resume"]) == 0
    assert (folder / "stopped" / "DONE").is_file()


def test_a_checkpoint_of_phase_retrieval_is_refused_and_left_as_it_is(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Phase retrieval restored its state by position then, and does so by name now."""
    folder = files / "crystal"
    checkpoints = sorted((folder / "stopped" / "checkpoint").iterdir())
    words = [str(folder / name) for name in ("config.yaml", "acquisition.h5")]
    assert run(["phase", *words, "-o", str(folder / "stopped"), "--resume"]) == 3
    message = " ".join(capsys.readouterr().err.split())
    assert "the newest checkpoint" in message
    assert "--force" in message
    assert sorted((folder / "stopped" / "checkpoint").iterdir()) == checkpoints


@pytest.mark.usefixtures("no_report")
def test_a_network_of_then_still_predicts(files: Path, tmp_path: Path) -> None:
    """Not the same shapes: since then each draw has a relief of its own, and the consensus is the answer."""
    folder, output = files / "shape", tmp_path / "prediction"
    words = [str(folder / name) for name in ("config.yaml", "acquisition.h5")]
    network = f"predict.network={files / 'network.h5'}"
    assert run(["predict", *words, "-o", str(output), "--set", network]) == 0
    assert np.isfinite(queried(run, output, "um", tmp_path)["signed_distance [m]"]).all()
    numbers = json.loads((output / "metrics.json").read_text("utf-8"))
    assert numbers["section"] > 0.9
