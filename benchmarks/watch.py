"""Scans that arrive at irregular times, some of them damaged, under `unflat watch`, which is killed once in the middle.

What counts: every whole scan has one result, every damaged one a reason, and the time from the last byte of a file to
its answer, which is that of the sentinel ``DONE``.
"""

import csv
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io.write import write
from unflat.recon.runs.batch_record import BatchRecord, State

from .commands import Options, assigned, settings_of
from .ledger import Ledger, Numbers
from .places import ROOT

NAME = "watch"
SCANS, DAMAGED = 50, 3
PAUSE = 2.0
"""[s] Mean time between two scans."""
GOAL = 30.0
"""[s] Goal for the time from the last byte to the answer."""
LIMIT = 900.0
"""[s] Time after which a watch counts as stuck."""
CRYSTAL: Options = {"simulate.shape": [32, 32, 32]}
PHASE: Options = {
    "phase.recipe": [{"hio": {"iterations": 30, "support": {"every": 15}}}, {"er": {"iterations": 15}}],
    "phase.starts": 2,
    "phase.keep": 1,
    "phase.network_starts": 0,
    "phase.refine.iterations": 20,
}
LARGE_SCANS, LARGE_PAUSE = 6, 5.0


def run(ledger: Ledger) -> None:
    """Watch tiny scans with a kill, then scans of 64³ with the default settings."""
    count, damaged = ledger.choose((SCANS, DAMAGED), (6, 2))
    known = {"scans": count, "damaged": damaged, "pause": PAUSE, "phase": PHASE}
    tiny = ledger.part("tiny", known, partial(watch_with_kill, ledger.scratch / "tiny", count, damaged))
    expected = {"results": count - damaged, "reasons": damaged, "lost": 0, "twice": 0}
    for name, number in expected.items():
        ledger.row(
            f"{count} crystals of 32³, {damaged} damaged, one kill -9: {name}", tiny[name], name=NAME, digits=0,
            goal=("within", number, number),
        )  # fmt: skip
    _add_times(ledger, tiny, f"{count} crystals of 32³, 2 short starts")
    if not ledger.quick:
        large = ledger.part(
            "large", {"scans": LARGE_SCANS, "pause": LARGE_PAUSE}, partial(_watch_large, ledger.scratch / "large")
        )
        _add_times(ledger, large, f"{LARGE_SCANS} crystals of 64³, default settings")


def _add_times(ledger: Ledger, numbers: Numbers, title: str) -> None:
    seconds = np.array(numbers["seconds"])
    texts = {"median": np.median(seconds), "90 %": np.quantile(seconds, 0.9), "longest": seconds.max()}
    for name, value in texts.items():
        figure = f"{title}: time from last byte to answer, {name}"
        ledger.row(figure, value, name=NAME, unit="s", digits=1, goal=("<", GOAL), how="unflat watch --settle '2 s'")


def watch_with_kill(folder: Path, count: int, damaged: int, pause: float = PAUSE, idle: float = 15.0) -> Numbers:
    """Kill the watch once while a scan is computed and others arrive, and start it again.

    Args:
        folder: Folder for everything, which is emptied.
        count: Number of scans.
        damaged: Number of damaged ones among them.
        pause: [s] Mean time between two scans.
        idle: [s] Time without a scan after which the watch ends.
    """
    _prepare(folder, count, CRYSTAL)
    _damage([folder / "sources" / f"scan_{number:02d}.h5" for number in range(1, count, count // damaged)][:damaged])
    with subprocess.Popen(_writer(folder, pause), cwd=ROOT) as writer:
        first = _start(folder, "first.log", PHASE)
        _wait_until_amid(folder, count // 2)
        first.kill()
        first.wait()
        times = ("--idle", f"{idle:g} s", "--patience", f"{0.4 * idle:g} s")
        second = _start(folder, "second.log", PHASE, *times)
        writer.wait()
        second.wait(LIMIT)
    return _outcome(folder, count, ("first.log", "second.log"))


def _watch_large(folder: Path) -> Numbers:
    _prepare(folder, LARGE_SCANS, {"simulate.shape": [64, 64, 64]})
    watch = _start(folder, "first.log", {}, "--idle", "60 s")
    while not (folder / "RUNS" / "watch.json").is_file():
        time.sleep(0.1)
    subprocess.run(_writer(folder, LARGE_PAUSE), cwd=ROOT, check=True)
    watch.wait(LIMIT)
    return _outcome(folder, LARGE_SCANS, ("first.log",))


def _prepare(folder: Path, count: int, options: Options) -> None:
    """Simulate scans in a folder beside the watched one."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("sources", "in"):
        (folder / name).mkdir(parents=True)
    (folder / "crystal.yaml").write_text(shipped("crystal"), encoding="utf-8")
    experiment = get_experiment("crystal")
    for number in range(count):
        config = parse_config(shipped("crystal"), [*settings_of(options), f"seed={100 + number}"])
        scan = replace(experiment.simulate(config), truth=None)  # A measurement has none.
        write(scan, experiment.schema, folder / "sources" / f"scan_{number:02d}.h5")


def _damage(files: list[Path]) -> None:
    """Cut a file, put counts of another shape into one, and replace one by text."""
    files[0].write_bytes(files[0].read_bytes()[:20000])
    with h5py.File(files[1], "r+") as file:
        counts = file["measurement/images"][()]
        del file["measurement/images"]
        file["measurement/images"] = counts[0]
    for file in files[2:]:
        file.write_text("no measurement", encoding="utf-8")


def _writer(folder: Path, pause: float) -> list[str]:
    places = [str(folder / name) for name in ("sources", "in", "written.jsonl")]
    return [sys.executable, "-m", "benchmarks.scan_writer", *places, "--pause", f"{pause:g}"]


def _start(folder: Path, log: str, options: Options, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "unflat", "watch", "crystal.yaml", "in", "-o", "RUNS", *assigned(options), *words]
    with (folder / log).open("wb") as out:
        return subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)


def _wait_until_amid(folder: Path, count: int) -> None:
    """Wait until some scans are done and another one is being computed."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT:
        record = BatchRecord.read(folder / "RUNS")
        statuses = [] if record is None else [scan.status for scan in record.scans.values()]
        if statuses.count(State.DONE) >= count and State.RUNNING in statuses:
            return
        time.sleep(0.02)
    raise TimeoutError(f"the watch has not done {count} scans")


def _outcome(folder: Path, count: int, logs: tuple[str, ...]) -> Numbers:
    """Count results and reasons, and measure the times to the answers."""
    written = {row["name"]: row["time"] for row in map(json.loads, (folder / "written.jsonl").read_text().splitlines())}
    with (folder / "RUNS" / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    done = [row["scan"] for row in rows if row["status"] == "done"]
    times = {name: (folder / "RUNS" / name / "DONE").stat().st_mtime - written[name] for name in done}
    lines = [line for log in logs for line in (folder / log).read_text("utf-8", "replace").splitlines()]
    answers = Counter(name for name in done for line in lines if line.startswith(f"{name}: "))
    return {
        "results": len(done),
        "reasons": sum(row["status"] == "failed" and bool(row["fault"]) for row in rows),
        "lost": count - len(rows),
        "twice": sum(number > 1 for number in answers.values()),
        "reports": sum((folder / "RUNS" / name / "report.html").is_file() for name in done),
        "seconds": [round(seconds, 2) for seconds in times.values()],
        "computing": [float(row["seconds [s]"]) for row in rows if row["status"] == "done"],
        "verdicts": dict(Counter(row["verdict"] for row in rows if row["status"] == "done")),
    }
