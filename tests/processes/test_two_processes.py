"""Two processes of this machine that work on one run, by the command line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from unflat.cli.main import run

pytestmark = pytest.mark.usefixtures("no_report")

CELL = """kind: cell
volume: {depth: 2 um}
physics: {absorption: false}
fit: {steps: 6, batch: 6, field: voxels, sign: any}
simulate: {shape: [16, 16], depth: 2 um, radius: 0.8 um, photons: 5000, illumination: {count: 9, na: 0.5}}
"""
CRYSTAL = """kind: crystal
phase:
  recipe: [{hio: {iterations: 20, support: {every: 10}, ceiling: 1.2}}, {er: {iterations: 10, support: {every: 10}}}]
  starts: 3
  keep: 2
  refine: {iterations: 10, margin: 0}
  network_starts: 0
simulate: {shape: [24, 24, 24], detector: {counts: 1.0e+5}}
"""
ENDLESS = ("--set", "fit.steps=1000000", "--set", "fit.patience=1000000")


def address() -> str:
    """Address with a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def start(*words: str, group: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
    """Start a process of unflat."""
    command = [sys.executable, "-m", "unflat", *words, *group]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(command, text=True, env=os.environ | environment, **pipes)


def start_two(*words: str, **environment: str) -> list[subprocess.Popen[str]]:
    """Start two processes that work on one run."""
    group = ["--coordinator", address(), "--processes", "2", "--process"]
    return [start(*words, group=[*group, str(index)], **environment) for index in (0, 1)]


def ends(processes: list[subprocess.Popen[str]], seconds: float = 600) -> list[tuple[int, str, str]]:
    """Status, stdout and stderr of processes, all of which must end in time."""
    deadline = time.monotonic() + seconds
    try:
        texts = [process.communicate(timeout=max(1, deadline - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def wait_for(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a config and an acquisition of a cell and of a crystal."""
    folder = Path(tmp_path_factory.mktemp("work"))
    for name, config in (("cell", CELL), ("crystal", CRYSTAL)):
        (folder / f"{name}.yaml").write_text(config, "utf-8")
        assert run(["simulate", str(folder / f"{name}.yaml"), "-o", str(folder / f"{name}.h5")]) == 0
    return folder


@pytest.mark.slow
def test_a_fit_of_two_processes_stops_as_one_and_has_the_numbers_of_one(work: Path) -> None:
    words = ["fit", str(work / "cell.yaml"), str(work / "cell.h5"), "-o"]
    processes = start_two(*words, str(work / "two"), *ENDLESS)
    wait_for(lambda: (work / "two" / "metrics.jsonl").exists())
    processes[1].send_signal(signal.SIGTERM)
    first, second = ends(processes)
    assert run([*words, str(work / "one")]) == 0
    assert (first[0], second[0]) == (75, 75), first[2] + second[2]
    assert "SIGTERM received: stopped after step" in first[2]
    assert first[2].splitlines()[-1] == second[2].splitlines()[-1], "both stop at the same step"
    assert first[1] == second[1] == "", "stdout holds the results of the command alone"
    assert len(list((work / "two" / "checkpoint").glob("step-*.h5"))) == 1
    one, two = (losses_of(work / name) for name in ("one", "two"))
    np.testing.assert_allclose(one[: len(two)], two[: len(one)], rtol=1e-4)
    limit = ["--resume", "--time-limit", "0.001 s"]
    assert run([*words, str(work / "two"), *ENDLESS, *limit]) == 75, "one process goes on where two have stopped"
    assert len(losses_of(work / "two")) > len(two)


def losses_of(folder: Path) -> list[float]:
    """Loss of each step of a run."""
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.mark.slow
def test_starts_that_two_processes_share_out_are_those_of_one(work: Path) -> None:
    words = ["phase", str(work / "crystal.yaml"), str(work / "crystal.h5"), "-o"]
    results = ends(start_two(*words, str(work / "two starts")))
    assert run([*words, str(work / "one start")]) == 0
    assert [result[0] for result in results] == [0, 0], results[0][2] + results[1][2]
    with h5py.File(work / "one start" / "volume.h5") as one, h5py.File(work / "two starts" / "volume.h5") as two:
        np.testing.assert_array_equal(one["volume/density"][()], two["volume/density"][()])


@pytest.mark.slow
def test_two_processes_go_on_with_the_fit_of_a_crystal_and_an_interrupt_at_one_ends_both_with_a_checkpoint(
    work: Path,
) -> None:
    """The start is in the folder of the run, which only process 0 has as its own."""
    folder = work / "crystal fit"
    words = ["fit", str(work / "crystal.yaml"), str(work / "crystal.h5"), "-o", str(folder)]
    words += ["--set", "fit.starts=1", "--set", "fit.field=voxels"]
    assert run([*words, *ENDLESS, "--set", "fit.steps=1"]) == 0
    processes = start_two(*words, *ENDLESS, "--resume")
    wait_for(lambda: '"step": 3' in (folder / "metrics.jsonl").read_text("utf-8"))
    processes[1].send_signal(signal.SIGINT)
    time.sleep(0.03)
    processes[1].send_signal(signal.SIGINT)
    first, second = ends(processes)
    assert (first[0], second[0]) == (130, 130), first[2] + second[2]
    assert "interrupted" in first[2]
    assert "Traceback" not in first[2]
    assert (folder / "STOPPED").is_file()
    assert len(list((folder / "checkpoint").glob("step-*.h5"))) == 2


@pytest.mark.slow
def test_the_death_of_the_first_process_ends_the_other_with_a_checkpoint_and_the_command_that_goes_on(
    work: Path,
) -> None:
    """The death of another is tested with SLURM, which then goes on by itself."""
    victim, folder = 0, work / "victim"
    words = ["fit", str(work / "cell.yaml"), str(work / "cell.h5"), "-o", str(folder)]
    processes = start_two(*words, *ENDLESS)
    wait_for(lambda: (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").stat().st_size > 1000)
    processes[victim].kill()
    status, _, message = ends(processes)[1 - victim]
    assert status == 75
    assert f"process {victim} of 2 (number {processes[victim].pid} on " in message
    assert "has died: stopped after step" in message
    assert "--resume" in message
    assert "Traceback" not in message
    assert "has died" in (folder / "STOPPED").read_text("utf-8")
    step = int(message.partition("after step ")[2].partition(";")[0])
    assert (folder / "checkpoint" / f"step-{step:09d}.h5").is_file()
