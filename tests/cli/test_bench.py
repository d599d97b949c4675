"""`unflat bench`: its table and numbers, on a function that costs nothing, and its refusals."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from unflat.cli.main import run
from unflat.recon.benchmarking.case import Benchmark, Case, Size
from unflat.recon.experiments.shape.experiment import ShapeExperiment


def wave_case(size: Size) -> Case:
    values = jnp.ones((size.batch, size.edge, size.edge))
    return Case(lambda x: (2 * x, x.sum()), (values,), lambda: 2 * values, "a product", 8.0 * values.size, 1, True)


@pytest.fixture
def one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = Benchmark("wave", wave_case, Size(8, 1), lambda size: 8.0 * size.samples, (8, 16), (1, 2), goal=1e9)
    monkeypatch.setattr(ShapeExperiment, "benchmarks", lambda self: (wave,))


def bench(*words: str) -> int:
    return run(["bench", "shape", *words])


@pytest.mark.usefixtures("one_function")
def test_the_table_and_the_file_hold_times_floors_ratios_and_exponents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("-o", str(tmp_path / "bench.json")) == 0
    output = capsys.readouterr().out
    assert "copy bandwidth" in output
    assert output.count("shape  wave") == 3  # The table, and two sweeps.
    numbers: dict[str, Any] = json.loads((tmp_path / "bench.json").read_text())
    assert {(one["edge"], one["batch"]) for one in numbers["measurements"]} == {(8, 1), (16, 1), (8, 2)}
    first = numbers["measurements"][0]
    assert first["ratio_least"] <= first["ratio"] <= first["ratio_most"]
    assert first["bandwidth_share"] > 0
    assert [one["sweep"] for one in numbers["scalings"]] == ["edge", "batch"]
    assert numbers["machine"]["jax"]
    assert numbers["load"]["cores"] >= 1


@pytest.mark.usefixtures("one_function")
def test_named_sizes_are_measured_alone(tmp_path: Path) -> None:
    assert bench("--sizes", "32,16", "-o", str(tmp_path / "bench.json")) == 0
    measured = json.loads((tmp_path / "bench.json").read_text())["measurements"]
    assert [one["edge"] for one in measured] == [16, 32]


@pytest.mark.usefixtures("one_function")
def test_a_busy_machine_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("unflat.recon.benchmarking.machine.load_average", lambda: 1e4)
    assert bench("--quick") == 0
    assert "LOADED MACHINE: 10000.0 processes" in capsys.readouterr().out


@pytest.mark.usefixtures("one_function")
@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["--sizes", "64,x"], 2, "no list of whole numbers"),
        (["--sizes", "7"], 2, "even numbers from 8"),
        (["nothing"], 2, "no kind of experiment"),
        (["--time-limit", "soon"], 2, "10 min"),
        (["--sizes", "4096"], 4, "--sizes: wave of 4096^3, 1 view needs about 512 GiB"),
        (["-o", "/nowhere/bench.json"], 3, "/nowhere"),
    ],
)
def test_what_cannot_be_measured_or_written_is_refused(
    words: list[str], status: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*words) == status
    assert part in capsys.readouterr().err


def test_a_kind_without_hot_functions_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ShapeExperiment, "benchmarks", lambda self: ())
    assert bench() == 2
    assert "names no functions to measure" in capsys.readouterr().err


@pytest.mark.usefixtures("one_function")
def test_what_there_was_no_time_for_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--time-limit", "1 ms") == 0
    assert "for want of time (--time-limit) or memory: shape: wave from 16^3, 1 view on" in capsys.readouterr().out
