"""Shapes of 108 real red blood cells: cross-validation in five stratified folds.

The networks are trained by `unflat train` with the shipped config (real cells of the other folds, also rotated, and
simulated ones), and used by `unflat predict` with 20 draws of each cell, as many as an interval of 90 % needs. The
errors are those of SHAPR. Each network is distilled to two steps; its teacher predicts in eight. The time of one draw
is measured separately, without loading and compilation, in batches of eight.
"""

import csv
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.experiments.shipped_configs import shipped

from .commands import Options, assigned, reconstruct, unflat
from .ledger import Ledger, Numbers, digest
from .places import shared

NAME = "red blood cells (real, 5 folds)"
FOLDS, DRAWS, FEW = 5, 20, 5
TINY: Options = {
    "train.steps": 3,
    "train.distil": 2,
    "train.specimens": 16,
    "train.turned": 0,
    "network.widths": [8],
    "network.blocks": [1],
}
GOALS = {"overlap_error": 0.36, "volume": 0.22, "surface": 0.20, "roughness": 0.22}
GOALS_OF_CONSENSUS = {"overlap_error": 0.35, "volume": 0.18, "surface": 0.18, "roughness": 0.20}
LABELS = {
    "overlap_error": "1 − IoU",
    "volume": "volume error",
    "surface": "surface error",
    "roughness": "roughness error",
}
SHAPR = {"overlap_error": 0.41, "volume": 0.27, "surface": 0.23, "roughness": 0.26}
HELD, COVERED, TIMED = 0.97, (80.0, 97.0), 0.3
STEPS_TRIED = {"network": (1, 2, 4, 8), "teacher": (1, 2, 4, 8, 16)}


def run(ledger: Ledger) -> None:
    """Train, predict and evaluate."""
    source = shared("shapes/red_blood_cells_108.zip")
    changes: Options = ledger.choose({}, TINY)
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("red-blood-cells").replace("red_blood_cells_108.zip", str(source)), encoding="utf-8")
    networks = ledger.scratch / "networks"
    known = {"set": changes, "config": digest(shipped("red-blood-cells")), "cells": digest(source)}
    trained = ledger.part("training", known, partial(_train, config, networks, changes))
    solids = ledger.part("solids", {"cells": known["cells"]}, partial(_solids, source))
    draws, few = ledger.choose(DRAWS, 2), ledger.choose(FEW, 2)
    variants: dict[str, Options] = {
        "fold": {"predict.draws": draws},
        "few": {"predict.draws": few},
        "mean": {"predict.mean": True},
        "teacher": {"predict.draws": draws},
    }
    cells: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for fold in range(FOLDS):
        for variant, asked in variants.items():
            own = known | {"network": trained["networks"][fold], "fold": fold, "asked": asked}
            network = networks / f"{'teacher' if variant == 'teacher' else 'network'}-{fold}.h5"
            compute = partial(_fold, ledger, config, source, network, variant, fold, changes | asked)
            cells[variant] += ledger.part(f"{variant}-{fold}", own, compute)["cells"]
    tried = known | {"network": trained["networks"][0], "tried": STEPS_TRIED}
    steps = ledger.part("steps", tried, partial(_steps, source, networks, ledger.quick))
    _add_rows(ledger, cells, solids, trained, steps)


def _train(config: Path, networks: Path, changes: Options) -> Numbers:
    log = networks.with_name("train.log")
    words: list[str | Path] = ["train", config, "-o", networks, "--force", *assigned(changes)]
    cost = unflat(*words, log=log)
    files = [digest(networks / f"network-{fold}.h5") for fold in range(FOLDS)]
    return {"wall_seconds": cost.seconds, "cpu_seconds": cost.cpu_seconds, "networks": files}


def _solids(source: Path) -> Numbers:
    """Compute the errors of the two solids of stereology for the same cells, as a baseline."""
    from unflat.recon.experiments.shape.config import ShapeSettings
    from unflat.recon.experiments.shape.read import read_cells
    from unflat.recon.metrics.shapes import shape_errors
    from unflat.recon.metrics.stereology import build_ellipsoid, extrude_section

    cells = read_cells(ShapeSettings(), source)
    assert cells.inside is not None
    errors_of: Numbers = {}
    for solid in (extrude_section, build_ellipsoid):
        pairs = zip(cells.inside, cells.masks > 0.5, strict=True)
        errors = [shape_errors(truth, solid(mask, len(truth))) for truth, mask in pairs]
        errors_of[solid.__name__] = {name: float(np.mean([one[name] for one in errors])) for name in LABELS}
    return errors_of


def held_out(source: Path, fold: int, seed: int = 1) -> list[int]:
    """Return the numbers of the cells that the network of a fold has not seen."""
    from unflat.recon.experiments.shape.config import ShapeSettings
    from unflat.recon.experiments.shape.network.train import folds
    from unflat.recon.experiments.shape.read import read_cells

    labels = read_cells(ShapeSettings(), source).labels
    return [int(i) for i in np.flatnonzero(folds(list(labels), FOLDS, seed) == fold)]


def _fold(
    ledger: Ledger, config: Path, source: Path, network: Path, variant: str, fold: int, changes: Options
) -> Numbers:
    output = ledger.scratch / f"{variant}-{fold}"
    chosen = {"predict.network": str(network), "acquisition.cells": held_out(source, fold)}
    settings = {name: value for name, value in changes.items() if not name.startswith("train")}
    numbers = reconstruct("predict", config, source, output, {**settings, **chosen}, ledger.device)
    with (output / "scores.csv").open(newline="", encoding="utf-8") as file:
        cells = [dict(row) for row in csv.DictReader(file)]
    return numbers | {"cells": cells}


def _steps(source: Path, networks: Path, quick: bool) -> Numbers:
    """Measure error and time of a draw by the number of steps, on the first fold."""
    import jax
    import jax.numpy as jnp

    from unflat.recon import devices

    devices.use("auto", networks=True)
    from unflat.recon.experiments.shape.config import ShapeSettings
    from unflat.recon.experiments.shape.network import flow
    from unflat.recon.experiments.shape.network.augmentation import make_example, prepare_cell
    from unflat.recon.experiments.shape.network.denoiser import ShapeDenoiser
    from unflat.recon.experiments.shape.network.objective import one_minus_iou, stack
    from unflat.recon.experiments.shape.network.thickness_prior import ThicknessPrior
    from unflat.recon.experiments.shape.read import read_cells
    from unflat.recon.io.network_file import read
    from unflat.recon.networks.weights import load_network

    loaded = {name: read(networks / f"{name}-0.h5", "shape") for name in STEPS_TRIED}
    cells, figures = read_cells(ShapeSettings(), source), {}
    some = held_out(source, 0)[: 2 if quick else None]
    assert cells.inside is not None
    specimens = [prepare_cell(cells.inside[i], cells.images[i], cells.masks[i]) for i in some]
    codes, _ = stack([make_example(one) for one in specimens])
    heights = ThicknessPrior.from_arrays(loaded["network"].statistics)
    thickness = [heights.predict(one.inputs)[0] for one in specimens]  # An example has the true one.
    seen = np.stack([one.inputs.channels(high) for one, high in zip(specimens, thickness, strict=True)])
    pictures, start = jnp.asarray(seen), flow.noise(jax.random.key(0), len(codes))
    batch = 8
    eight = jnp.asarray(np.resize(seen, (batch, *seen.shape[1:]))), flow.noise(jax.random.key(1), batch)
    for name, steps in ((name, steps) for name, tried in STEPS_TRIED.items() for steps in tried):
        denoiser = load_network(loaded[name], ShapeDenoiser)
        drawn = flow.draw(denoiser, pictures, start, steps)
        taken = []
        for _ in range(4):
            began = time.perf_counter()
            flow.draw(denoiser, *eight, steps).block_until_ready()
            taken.append(time.perf_counter() - began)
        figures[f"{name} {steps}"] = {"overlap_error": one_minus_iou(drawn, codes), "seconds": min(taken) / batch}
    return figures


def _add_rows(
    ledger: Ledger, cells: dict[str, list[dict[str, Any]]], solids: Numbers, trained: Numbers, steps: Numbers
) -> None:
    add, rows = partial(ledger.row, name=NAME), cells["fold"]
    draws, few = (int(_column(cells[way], "draws")[0]) for way in ("fold", "few"))
    beside = "cylinder {:.3f}, ellipsoid {:.3f} in this run; a short SHAPR {:g}, *published*"
    for figure, said in LABELS.items():
        asked = (("few", f"best_{figure}"), ("teacher", figure), ("mean", figure))
        best, teacher, one = (_column(cells[way], name).mean() for way, name in asked)
        consensus = _column(rows, f"consensus_{figure}").mean()
        reference = beside.format(solids["extrude_section"][figure], solids["build_ellipsoid"][figure], SHAPR[figure])
        how = (
            f"mean of {draws} draws, all {len(rows)} cells, two steps a draw; the teacher, in eight, {teacher:.3f}; "
            f"the best of {few} {best:.3f}; by class {_by_class(rows, figure)}"
        )
        add(said, _column(rows, figure).mean(), goal=("<", GOALS[figure]), reference=reference, how=how)
        how = f"the one answer of a prediction, of 20 draws; the mean predicted in one step {one:.3f}"
        goal = ("<", GOALS_OF_CONSENSUS[figure])
        add(f"{said} of the draws' consensus", consensus, goal=goal, reference=reference, how=how)
    section = _column(rows, "section")
    add("section against the mask (IoU)", section.mean(), goal=(">", HELD), how=f"least {section.min():.3f}")
    for name in ("volume", "surface", "roughness"):
        held, by_teacher = (100 * _column(cells[way], f"coverage_{name}").mean() for way in ("fold", "teacher"))
        goal = None if name == "surface" else ("within", *COVERED)
        how = f"interval of {draws} draws; the teacher's {by_teacher:.0f} %"
        add(f"90 % interval of the {name} holds the truth", held, unit="% of cells", digits=0, goal=goal, how=how)
    add("diversity of the draws (1 − IoU)", _column(rows, "diversity").mean(), how="mean of all pairs")
    add("CRPS of the volume", _column(rows, "crps_volume").mean(), how="over the true volume")
    for way, numbers in steps.items():
        name, count = way.split()
        add(
            f"a draw in {count} step{'s' if count != '1' else ''}{' by the teacher' if name == 'teacher' else ''}",
            1e3 * numbers["seconds"],
            unit="ms",
            digits=0,
            goal=("<", 1e3 * TIMED),
            reference="DISPR 3.6 hours (BASELINES)",
            how=f"batch of 8, loaded; 1 − IoU of one draw each, fold 0, codes alone: {numbers['overlap_error']:.3f}",
        )
    cost = f"five networks, cells prepared and simulated; {trained['cpu_seconds'] / 60:.0f} min of CPU"
    add("training", trained["wall_seconds"] / 60, unit="min", digits=0, how=cost)


def _column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows if row.get(name) not in (None, "")])


def _by_class(rows: list[dict[str, Any]], figure: str) -> str:
    classes = sorted({row["label"] for row in rows})
    means = [f"{label} {_column([r for r in rows if r['label'] == label], figure).mean():.2f}" for label in classes]
    return ", ".join(means)
