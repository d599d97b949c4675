"""Soak: fits, predictions and requests of the view, again and again in one process, whose memory is to stay as it is.

Each round fits a small cell, predicts the shapes of one, and asks a server of the view, over its socket, for planes,
textures, profiles, pictures and progress. What grows with the rounds is lost: memory, open files, threads, temporary
files.
"""

import gc
import http.client
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import unflat

from .ledger import Ledger, Numbers, Skipped

MINUTES = 20.0
"""[min] Time of the whole; ``--minutes`` changes it."""
GROWTH = 5.0
"""Goal: percent of its memory that the process grows by, over the last three quarters of the time."""
_CELL = {
    "simulate.shape": [24, 24],
    "simulate.illumination.count": 6,
    "volume.depth": "2 um",
    "fit.steps": 20,
    "fit.field": "voxels",
}
_SHAPE = {"simulate.cells": 1, "predict.draws": 2}
_REQUESTS = (
    "plane?quantity=refractive_index&origin=0,-1e-6,-1e-6&right=0,0,1e-7&down=0,1e-7,0&width=24&height=24",
    "texture?quantity=refractive_index&longest=32",
    "profile?quantity=refractive_index&from=-1e-6,0,0&to=1e-6,0,0&count=64",
    "picture?quantity=refractive_index&style=volume&size=96",
    "progress",
    "",
)
"""Requests for a run, after its address."""


def run(ledger: Ledger) -> None:
    """Run the rounds, and add rows for what grew."""
    if not Path("/proc/self/statm").exists():
        raise Skipped("the memory of a process is read from /proc, which this system does not have")
    minutes = ledger.minutes or ledger.choose(MINUTES, 0.5)
    numbers = ledger.part(
        "rounds", {"minutes": minutes, "cell": _CELL, "shape": _SHAPE}, lambda: _soak(ledger, minutes)
    )
    how = f"one process, {numbers['rounds']} rounds in {minutes:g} min, {numbers['requests']} requests"
    goal = ("within", -100.0, GROWTH)
    ledger.row("growth of memory in the last three quarters", numbers["growth_percent"], unit="%", goal=goal, how=how)
    ledger.row("memory at the end", numbers["memory_mb"][-1], unit="MB", digits=0, how=how)
    ledger.row("growth of open files", numbers["files"][1] - numbers["files"][0], digits=0, goal=("within", -99, 0))
    ledger.row("growth of threads", numbers["threads"][1] - numbers["threads"][0], digits=0, goal=("within", -99, 0))
    ledger.row("temporary files left behind", numbers["left"], digits=0, goal=("within", 0, 0))


def _soak(ledger: Ledger, minutes: float) -> Numbers:
    """Run rounds for some minutes, after one that imports and compiles everything."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=ledger.scratch))
    (folder / "temporary").mkdir()
    former = tempfile.tempdir
    tempfile.tempdir = str(folder / "temporary")  # Other programs of the machine have files in the usual place.
    try:
        return _soak_in(folder, minutes)
    finally:
        tempfile.tempdir = former


def _soak_in(folder: Path, minutes: float) -> Numbers:
    """Run the rounds with the files of a folder."""
    from unflat.recon.viewer.api import Api
    from unflat.recon.viewer.catalog import Catalog
    from unflat.recon.viewer.server import ViewServer

    scan = _read(folder, "cell", _CELL)
    sections = _read(folder, "shape", _SHAPE)
    unflat.fit(scan, folder=folder / "run")
    server = ViewServer(Api(Catalog([folder / "run"])))
    server.start()
    try:
        _round(scan, sections, server)
        return _repeat(minutes, lambda: _round(scan, sections, server))
    finally:
        server.shutdown()
        server.server_close()


def _read(folder: Path, kind: str, settings: dict[str, Any]) -> Any:
    """Simulate an acquisition of a kind, and read it."""
    path = unflat.simulate(kind, overrides=settings, seed=1).save(folder / f"{kind}.h5")
    return unflat.read(path, kind, settings)


def _repeat(minutes: float, one_round: Any) -> Numbers:
    """Repeat rounds, and note what the process holds after each."""
    memory: list[float] = []
    requests, start = 0, time.monotonic()
    before = _temporary_files()
    files, threads = [_open_files()], [threading.active_count()]
    while not memory or time.monotonic() - start < 60 * minutes:
        requests += one_round()
        gc.collect()
        memory.append(_memory())
    files.append(_open_files())
    threads.append(threading.active_count())
    return {
        "rounds": len(memory),
        "requests": requests,
        "growth_percent": _growth(memory),
        "memory_mb": [value / 1e6 for value in memory],
        "files": files,
        "threads": threads,
        "left": len(_temporary_files() - before),
    }


def _round(scan: Any, sections: Any, server: Any) -> int:
    """Fit, predict and look; return the number of requests."""
    unflat.fit(scan)
    unflat.predict(sections)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Cookie": server.access.set_cookie.partition(";")[0], "Host": f"127.0.0.1:{server.port}"}
    try:
        run_id = server.api.catalog.entries()[0].id
        for words in _REQUESTS:
            connection.request("GET", f"/api/runs/{run_id}/{words}".rstrip("/"), headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"the view answers {answer.status} to {words}: {body[:200]!r}")
    finally:
        connection.close()
    return len(_REQUESTS)


def _growth(memory: Sequence[float]) -> float:
    """Growth of the memory over the last three quarters of the rounds by a straight line, in percent of its mean."""
    late = np.array(memory[len(memory) // 4 :])
    if len(late) < 2:
        return 0.0
    slope = np.polyfit(np.arange(len(late)), late, 1)[0]
    return float(100 * slope * (len(late) - 1) / late.mean())


def _memory() -> float:
    """Resident memory of this process [bytes]."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _temporary_files() -> set[str]:
    """Temporary files and folders of this process."""
    return {path.name for path in Path(tempfile.gettempdir()).iterdir()}
