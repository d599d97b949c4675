"""`unflat bench`: its table and numbers, on a function that costs nothing, and its refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from unflat.cli.main import run
from unflat.recon.benchmarking.case import Benchmark, Case, Size
from unflat.recon.benchmarking.measurement import BenchmarkResult
from unflat.recon.benchmarking.runner import Limits, measure_all
from unflat.recon.benchmarking.timing import Timing
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
        (["--sizes", "8,4096"], 4, "--sizes: wave of 4096^3, 1 view needs about 512 GiB, more than 80% of the "),
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


def listed(monkeypatch: pytest.MonkeyPatch, *benchmarks: Benchmark) -> None:
    monkeypatch.setattr(ShapeExperiment, "benchmarks", lambda self: benchmarks)


def small(name: str, build: Callable[[Size], Case], **more: Any) -> Benchmark:
    return Benchmark(name, build, Size(8, 1), lambda size: 1.0, **more)


def refuse(_: Size) -> Case:
    raise AssertionError("this was to be left out")


def interrupt(_: Size) -> Case:
    raise KeyboardInterrupt


def exhaust(_: Size) -> Case:
    raise MemoryError


def test_what_there_was_no_time_for_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(monkeypatch, small("late", refuse))
    assert bench("--time-limit", "1 ms") == 0
    assert "shape: late, 8^3, 1 view (time)" in capsys.readouterr().out


def test_larger_sizes_are_left_out_by_the_time_of_smaller_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(size: Size) -> Case:
        return wave_case(size) if size.edge < 512 else refuse(size)

    listed(monkeypatch, small("wave", build, edges=(8, 16, 4096)))
    assert bench("--time-limit", "60 s") == 0
    output = capsys.readouterr().out
    assert "shape: wave, 4096^3, 1 view (time)" in output
    assert "16^3, 1 view" in output


def test_ctrl_c_shows_and_writes_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(monkeypatch, small("wave", wave_case), small("later", interrupt))
    assert bench("-o", str(tmp_path / "bench.json")) == 130
    numbers = json.loads((tmp_path / "bench.json").read_text())
    assert [one["name"] for one in numbers["measurements"]] == ["wave"]
    assert numbers["ended"] == "interrupted"
    assert "shape  wave" in capsys.readouterr().out


def test_lack_of_memory_costs_one_function_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = Benchmark("huge", refuse, Size(64, 1), lambda size: 1e18)
    listed(monkeypatch, huge, small("exhausting", exhaust), small("wave", wave_case))
    assert bench() == 0
    output = capsys.readouterr().out
    assert "shape: huge, 64^3, 1 view (needs about" in output
    assert "shape: exhausting, 8^3, 1 view (out of memory)" in output
    assert "shape  wave" in output


def test_a_goal_is_judged_only_where_all_pairs_agree() -> None:
    def result(*seconds: float) -> BenchmarkResult:
        ones = (1.0,) * len(seconds)
        return BenchmarkResult("shape", "wave", Size(8, 1), "views", Timing(seconds, ones, ones, ones), 1, "", 0.0, 1.5)

    assert result(1.2, 1.3).meets_goal is True
    assert result(1.6, 1.7).meets_goal is False
    assert result(1.4, 1.6).meets_goal is None
    assert result(1.2).meets_goal is None


def test_every_kind_is_measured_before_the_second_function_of_any_and_small_sizes_before_large() -> None:
    def benchmark(name: str) -> Benchmark:
        return small(name, wave_case, edges=(8, 16))

    order: list[tuple[str, str, int]] = []
    listed = {"cell": [benchmark("a"), benchmark("b")], "shape": [benchmark("c")]}
    measure_all(listed, Limits(), lambda one: order.append((one.kind, one.name, one.size.edge)))
    assert [(name, edge) for _, name, edge in order] == [("a", 8), ("c", 8), ("b", 8), ("a", 16), ("c", 16), ("b", 16)]
