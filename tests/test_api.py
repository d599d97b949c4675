"""The public API: the same numbers as the commands, without a folder until a result is saved."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import unflat
from unflat.recon.errors import ConfigError

from .commands import run_here

SMALL = {
    "volume.depth": "3 um",
    "fit.steps": 6,
    "physics.absorption": False,
    "simulate.shape": [24, 24],
    "simulate.depth": "3 um",
    "simulate.illumination.count": 6,
}


@pytest.fixture(scope="module")
def measurement() -> unflat.Measurement:
    return unflat.simulate("cell", SMALL, seed=1)


def test_importing_the_package_imports_no_jax() -> None:
    code = "import sys, unflat; print(unflat.__version__, 'jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["False", "False"]


def test_a_fit_needs_no_folder_and_reports_its_progress(measurement: unflat.Measurement, tmp_path: Path) -> None:
    steps: list[int] = []
    result = unflat.fit(measurement, progress=lambda step, total, **metrics: steps.append(step))
    assert steps[-1] == 6
    assert result.metrics["steps"] == 6
    inside, outside = result.model(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert inside != outside == pytest.approx(1.333, abs=0.05)
    assert result.volume().kind == "cell"
    assert result.status.value.endswith(".")
    saved = result.save(tmp_path / "RUN")
    assert {"model.h5", "volume.h5", "report.html", "DONE", "metrics.json"} <= {path.name for path in saved.iterdir()}
    assert unflat.load(saved)([[0.0, 0.0, 0.0]])[0] == inside
    with pytest.raises(ConfigError, match="there already"):
        result.save(tmp_path / "RUN")


@pytest.mark.usefixtures("no_report")
def test_the_api_and_the_command_give_the_same_numbers(
    measurement: unflat.Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = measurement.save(tmp_path / "scan.h5")
    again = unflat.read(scan, "cell", SMALL)
    result = unflat.fit(again, seed=1, progress=print)
    assert "6 6" in capsys.readouterr().out.splitlines()
    words = ["fit", tmp_path / "c.yaml", scan, "-o", tmp_path / "RUN", "--seed", "1"]
    (tmp_path / "c.yaml").write_text("kind: cell\n", "utf-8")
    sets = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    done = run_here(*words, *sets)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "RUN" / "metrics.json").read_text("utf-8"))
    for name in ("residual_fitted", "snr", "ncc"):
        assert result.metrics[name] == pytest.approx(numbers[name], rel=1e-5), name


def test_a_result_is_evaluated_against_its_truth(measurement: unflat.Measurement) -> None:
    result = unflat.fit(measurement)
    accuracy = unflat.evaluate(result, measurement)
    assert accuracy.numbers["snr"] == pytest.approx(result.metrics["snr"], rel=1e-5)
    assert measurement.truth is not None
    assert unflat.evaluate(result.model, measurement.truth).numbers["ncc"] == accuracy.numbers["ncc"]


def test_a_method_that_a_kind_does_not_offer_is_refused(measurement: unflat.Measurement) -> None:
    with pytest.raises(ConfigError, match="unflat fit"):
        unflat.phase(measurement)


def test_wrong_overrides_are_refused_with_their_key(measurement: unflat.Measurement) -> None:
    with pytest.raises(ConfigError, match=r"fit\.stepz"):
        unflat.fit(measurement, {"fit.stepz": 3})
    with pytest.raises(ConfigError, match="no kind"):
        unflat.simulate("teapot")
