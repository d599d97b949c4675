"""Times that a user waits: every command on a small job, and the prediction of 27 cells, each with `import jax` beside.

Programs are compiled by a first call, whose time is reported too; those after it find them in the compilation cache.
"""

import shutil
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from unflat.recon.experiments.shipped_configs import shipped

from .commands import Options, assigned, unflat
from .commands import run as run_program
from .ledger import Ledger, Numbers

NAME = "waiting"
REPEATS = 3
"""Calls after the first; the median counts."""
GOAL_RATIO = 3.0
"""Goal for a small job, in times of `import jax`."""
CELLS, DRAWS = 27, 20
GOAL, GOAL_SCORED = 15.0, 40.0
"""[s] Goals for the prediction of cells of unknown and of known shape."""
CELL: Options = {"simulate.shape": [32, 32], "simulate.depth": "4 um", "simulate.illumination.count": 8}
FIT: Options = {"volume.depth": "4 um", "fit.steps": 1}
CRYSTAL: Options = {"simulate.shape": [32, 32, 32]}
PHASE: Options = {
    "phase.recipe": [{"hio": {"iterations": 50, "support": {"every": 25}}}, {"er": {"iterations": 25}}],
    "phase.starts": 2,
    "phase.keep": 1,
    "phase.network_starts": 0,
    "phase.refine.iterations": 40,
}
Words = list[str | Path]


def run(ledger: Ledger) -> None:
    """Simulate small inputs, and measure every command on them."""
    folder = ledger.scratch
    for kind in ("cell", "crystal", "shape"):
        (folder / f"{kind}.yaml").write_text(shipped(kind), encoding="utf-8")
    repeats = ledger.choose(REPEATS, 1)
    cells, draws = ledger.choose((CELLS, DRAWS), (2, 2))
    known = {"repeats": repeats, "cell": CELL, "fit": FIT, "crystal": CRYSTAL, "phase": PHASE}
    many = {"cells": cells, "draws": draws, "repeats": repeats}
    small = ledger.part("small", known, lambda: _measure(ledger, _small_jobs(folder), repeats))
    large = ledger.part("shapes", many, lambda: _measure(ledger, _shape_jobs(ledger, cells, draws), repeats))
    _add_rows(ledger, small, dict.fromkeys(small["seconds"]))
    names = list(large["seconds"])
    _add_rows(ledger, large, {names[0]: GOAL, names[1]: GOAL_SCORED})


def _small_jobs(folder: Path) -> dict[str, Words]:
    """Commands of small jobs by their description; each finds the results of those before it."""
    cell, crystal, shape = (folder / f"{kind}.yaml" for kind in ("cell", "crystal", "shape"))
    light, peak, section = (folder / f"{kind}.h5" for kind in ("cell", "crystal", "shape"))
    fit, phased, shapes = (folder / f"{kind}-run" for kind in ("cell", "crystal", "shape"))
    return {
        "`unflat simulate`: 8 images of a cell": ["simulate", cell, "-o", light, *assigned(CELL)],
        "`unflat simulate`: a crystal of 32³": ["simulate", crystal, "-o", peak, *assigned(CRYSTAL)],
        "`unflat simulate`: two sections": ["simulate", shape, "-o", section, "--set", "simulate.cells=2"],
        "`unflat fit`: one step, 8 images of 32 × 32": ["fit", cell, light, "-o", fit, *assigned(FIT)],
        "`unflat phase`: two short starts, 32³": ["phase", crystal, peak, "-o", phased, *assigned(PHASE)],
        "`unflat predict`: two cells, five draws": ["predict", shape, section, "-o", shapes],
        "`unflat report` of the fit": ["report", fit],
        "`unflat report` of the phase retrieval": ["report", phased],
        "`unflat report` of the prediction": ["report", shapes],
        "`unflat volume` of the fit": ["volume", fit, "-o", folder / "volume.h5"],
        "`unflat measure` of the fit": ["measure", fit, "-o", folder / "measures.csv"],
        "`unflat query` of the fit along a line": [
            *("query", fit, "-o", folder / "line.csv"),
            *("--line", "0um,0um,-1um", "0um,0um,1um"),
        ],
    }


def _shape_jobs(ledger: Ledger, cells: int, draws: int) -> dict[str, Words]:
    """Predictions of many cells, without and with their truth."""
    config, known, unknown = (ledger.scratch / name for name in ("shape.yaml", "known.h5", "unknown.h5"))
    words: Words = ["simulate", config, "-o", known, "--force", "--set", f"simulate.cells={cells}"]
    unflat(*words, log=ledger.scratch / "simulate.log", folder=ledger.scratch)
    shutil.copy(known, unknown)
    with h5py.File(unknown, "r+") as file:
        del file["truth"]
    options, name = assigned({"predict.draws": draws}), f"`unflat predict`: {cells} cells, {draws} draws"
    return {
        name: ["predict", config, unknown, "-o", ledger.scratch / "unknown", *options],
        f"{name}, with scores": ["predict", config, known, "-o", ledger.scratch / "known", *options],
    }


def _measure(ledger: Ledger, jobs: Mapping[str, Words], repeats: int) -> Numbers:
    """Measure commands by their first call and by later ones, and `import jax` before each of those."""
    folder, cache, log = ledger.scratch, ledger.scratch / "compiled", ledger.scratch / "waiting.log"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    environment = {"JAX_COMPILATION_CACHE_DIR": str(cache)}

    def call(words: Words) -> tuple[float, float]:
        cost = unflat(*words, "--force", log=log, folder=folder, environment=environment)
        return cost.seconds, cost.cpu_seconds

    def import_jax() -> tuple[float, float]:
        cost = run_program([sys.executable, "-c", "import jax"], log=log, folder=folder)
        return cost.seconds, cost.cpu_seconds

    first = {name: call(words)[0] for name, words in jobs.items()}
    pairs = {name: [(call(words), import_jax()) for _ in range(repeats)] for name, words in jobs.items()}

    def medians(part: int, unit: int) -> dict[str, float]:
        return {name: statistics.median(pair[part][unit] for pair in each) for name, each in pairs.items()}

    return {
        "first": first,
        "seconds": medians(0, 0),
        "cpu": medians(0, 1),
        "jax": medians(1, 0),
        "jax_cpu": medians(1, 1),
    }


def _add_rows(ledger: Ledger, numbers: Numbers, limits: Mapping[str, float | None]) -> None:
    for name, limit in limits.items():
        seconds, jax, first = (numbers[key][name] for key in ("seconds", "jax", "first"))
        cpu, jax_cpu = numbers["cpu"][name], numbers["jax_cpu"][name]
        goal: Any = ("<", limit if limit is not None else round(GOAL_RATIO * jax, 2))
        ledger.row(
            name,
            seconds,
            name=NAME,
            unit="s",
            digits=2,
            reference=f"`import jax` {jax:.2f} s",
            goal=goal,
            how=f"median after the first call of {first:.1f} s; CPU time {cpu:.1f} s, `import jax` {jax_cpu:.2f} s",
        )
