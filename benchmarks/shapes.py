"""Shapes of the 108 real red blood cells: five stratified folds, each judged by a network that has not seen it.

The networks are trained by `unflat train` with the shipped config (real cells of the other folds, the same turned in
space, and simulated ones), and asked by `unflat predict`, 20 draws a cell: as many as an interval of 90 % needs. The
errors are SHAPR's. One draw's time is measured apart, loaded and compiled, in batches of eight.
"""

import csv
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.settings.shipped import shipped

from .commands import Options, assigned, reconstruct, unflat
from .ledger import Ledger, Numbers, digest
from .places import shared

NAME = "red blood cells (real, 5 folds)"
FOLDS, DRAWS, STEPS = 5, 20, 8
TINY: Options = {
    "train.steps": 3,
    "train.specimens": 16,
    "train.turned": 0,
    "network.widths": [8],
    "network.blocks": [1],
}
GOALS = {"overlap_error": 0.36, "volume": 0.22, "surface": 0.20, "roughness": 0.22}
SAID = {
    "overlap_error": "1 − IoU",
    "volume": "volume error",
    "surface": "surface error",
    "roughness": "roughness error",
}
SHAPR = {"overlap_error": 0.41, "volume": 0.27, "surface": 0.23, "roughness": 0.26}
HELD, COVERED, TIMED = 0.97, (80.0, 97.0), 0.3
STEPS_TRIED = (1, 2, 4, 8, 16)


def run(ledger: Ledger) -> None:
    """Train, ask, judge."""
    source = shared("shapes/red_blood_cells_108.zip")
    changes: Options = ledger.choose({}, TINY)
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("red-blood-cells").replace("red_blood_cells_108.zip", str(source)), encoding="utf-8")
    networks = ledger.scratch / "networks"
    known = {"set": changes, "config": digest(shipped("red-blood-cells")), "cells": digest(source)}
    trained = ledger.part("training", known, partial(_train, config, networks, changes))
    solids = ledger.part("solids", {"cells": known["cells"]}, partial(_solids, source))
    draws = ledger.choose(DRAWS, 2)
    rows: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    for fold in range(FOLDS):
        own = known | {"network": trained["networks"][fold], "fold": fold, "draws": draws, "steps": STEPS}
        compute = partial(_fold, ledger, config, source, networks, fold, changes)
        rows += ledger.part(f"fold-{fold}", own, partial(compute, {"predict.draws": draws}))["cells"]
        means += ledger.part(f"mean-{fold}", own, partial(compute, {"predict.mean": True}))["cells"]
    tried = known | {"network": trained["networks"][0], "tried": STEPS_TRIED}
    steps = ledger.part("steps", tried, partial(_steps, source, networks, ledger.quick))
    _tell(ledger, rows, means, solids, trained, steps, draws)


def _train(config: Path, networks: Path, changes: Options) -> Numbers:
    log = networks.with_name("train.log")
    words = ["train", config, "-o", networks, "--force", *assigned(changes)]
    cost = unflat(*words, log=log)
    files = [digest(networks / f"network-{fold}.h5") for fold in range(FOLDS)]
    return {"wall_seconds": cost.seconds, "cpu_seconds": cost.cpu_seconds, "networks": files}


def _solids(source: Path) -> Numbers:
    """Errors of the two solids of stereology, of the same cells: what a prediction has to beat."""
    from unflat.recon.kinds.shape.cells import cells_of
    from unflat.recon.kinds.shape.settings import ShapeSettings
    from unflat.recon.metrics.shapes import shape_errors
    from unflat.recon.metrics.stereology import cylinder, ellipsoid

    cells = cells_of(ShapeSettings(), source)
    assert cells.inside is not None
    found: Numbers = {}
    for solid in (cylinder, ellipsoid):
        pairs = zip(cells.inside, cells.masks > 0.5, strict=True)
        errors = [shape_errors(truth, solid(mask, len(truth))) for truth, mask in pairs]
        found[solid.__name__] = {name: float(np.mean([one[name] for one in errors])) for name in SAID}
    return found


def held_out(source: Path, fold: int, seed: int = 1) -> list[int]:
    """Numbers of the cells that the network of a fold has not seen."""
    from unflat.recon.kinds.shape.cells import cells_of
    from unflat.recon.kinds.shape.network.training import folds
    from unflat.recon.kinds.shape.settings import ShapeSettings

    labels = cells_of(ShapeSettings(), source).labels
    return [int(i) for i in np.flatnonzero(folds(list(labels), FOLDS, seed) == fold)]


def _fold(
    ledger: Ledger, config: Path, source: Path, networks: Path, fold: int, changes: Options, own: Options
) -> Numbers:
    output = ledger.scratch / f"{'mean' if 'predict.mean' in own else 'fold'}-{fold}"
    chosen = {"predict.network": str(networks / f"network-{fold}.h5"), "acquisition.cells": held_out(source, fold)}
    settings = {name: value for name, value in changes.items() if not name.startswith("train")}
    numbers = reconstruct("predict", config, source, output, {**settings, **chosen, **own}, ledger.device)
    with (output / "scores.csv").open(newline="", encoding="utf-8") as file:
        cells = [dict(row) for row in csv.DictReader(file)]
    return numbers | {"cells": cells}


def _steps(source: Path, networks: Path, quick: bool) -> Numbers:
    """Quality and time of a draw by the number of steps, of the first fold."""
    import jax
    import jax.numpy as jnp

    from unflat.recon import devices

    devices.use("auto", networks=True)
    from unflat.recon.kinds.shape.cells import cells_of
    from unflat.recon.kinds.shape.network import flow
    from unflat.recon.kinds.shape.network.denoiser import Denoiser
    from unflat.recon.kinds.shape.network.height import Heights
    from unflat.recon.kinds.shape.network.specimens import look, specimen
    from unflat.recon.kinds.shape.network.task import missed, stacked
    from unflat.recon.kinds.shape.settings import ShapeSettings
    from unflat.recon.networks.architecture import built, on_device
    from unflat.recon.networks.file import read

    network = read(networks / "network-0.h5", "shape")
    denoiser, parameters = built(network, Denoiser), on_device(network.weights)
    cells, found = cells_of(ShapeSettings(), source), {}
    some = held_out(source, 0)[: 2 if quick else None]
    assert cells.inside is not None
    specimens = [specimen(cells.inside[i], cells.images[i], cells.masks[i]) for i in some]
    codes, _ = stacked([look(one) for one in specimens])
    heights = Heights.of(network.statistics)
    told = [heights.guess(one.sight)[0] for one in specimens]  # A look has the true height.
    seen = np.stack([one.sight.channels(high) for one, high in zip(specimens, told, strict=True)])
    pictures, start = jnp.asarray(seen), flow.noise(jax.random.key(0), len(codes))
    batch = 8
    for steps in STEPS_TRIED:
        drawn = flow.draw(denoiser, parameters, pictures, start, steps)
        eight = jnp.asarray(np.resize(seen, (batch, *seen.shape[1:]))), flow.noise(jax.random.key(1), batch)
        taken = []
        for _ in range(4):
            began = time.perf_counter()
            flow.draw(denoiser, parameters, *eight, steps).block_until_ready()
            taken.append(time.perf_counter() - began)
        found[str(steps)] = {"overlap_error": missed(drawn, codes), "seconds": min(taken) / batch}
    return found


def _tell(
    ledger: Ledger,
    rows: list[dict[str, Any]],
    means: list[dict[str, Any]],
    solids: Numbers,
    trained: Numbers,
    steps: Numbers,
    draws: int,
) -> None:
    add = partial(ledger.row, name=NAME)
    beside = "cylinder {:.3f}, ellipsoid {:.3f} in this run; a short SHAPR {:g}, *published*"
    for figure, said in SAID.items():
        values, best, mean = (
            _column(table, name) for table, name in ((rows, figure), (rows, f"best_{figure}"), (means, figure))
        )
        how = (
            f"mean of {draws} draws, all {len(values)} cells; the best of {draws} {best.mean():.3f}; the mean shape in "
            f"one step {mean.mean():.3f}; by class {_by_class(rows, figure)}"
        )
        add(
            said,
            values.mean(),
            goal=("<", GOALS[figure]),
            reference=beside.format(solids["cylinder"][figure], solids["ellipsoid"][figure], SHAPR[figure]),
            how=how,
        )
    section = _column(rows, "section")
    add("section against the mask (IoU)", section.mean(), goal=(">", HELD), how=f"least {section.min():.3f}")
    covered = 100 * _column(rows, "coverage_volume").mean()
    how = f"interval of {draws} draws; surface {100 * _column(rows, 'coverage_surface').mean():.0f} %"
    goal = ("within", *COVERED)
    add("90 % interval of the volume holds the truth", covered, unit="% of cells", digits=0, goal=goal, how=how)
    add("diversity of the draws (1 − IoU)", _column(rows, "diversity").mean(), how="mean of all pairs")
    add("CRPS of the volume", _column(rows, "crps_volume").mean(), how="over the true volume")
    for count, numbers in steps.items():
        add(
            f"a draw in {count} step{'s' if count != '1' else ''}",
            1e3 * numbers["seconds"],
            unit="ms",
            digits=0,
            goal=("<", 1e3 * TIMED),
            reference="DISPR 3.6 hours (BASELINES)",
            how=f"batch of 8, loaded; 1 − IoU of one draw each, fold 0, codes alone: {numbers['overlap_error']:.3f}",
        )
    told = f"five networks, cells prepared and simulated; {trained['cpu_seconds'] / 60:.0f} min of CPU"
    add("training", trained["wall_seconds"] / 60, unit="min", digits=0, how=told)


def _column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows if row.get(name) not in (None, "")])


def _by_class(rows: list[dict[str, Any]], figure: str) -> str:
    classes = sorted({row["label"] for row in rows})
    means = [f"{label} {_column([r for r in rows if r['label'] == label], figure).mean():.2f}" for label in classes]
    return ", ".join(means)
