"""Classification of red blood cells by features of their shapes, with predicted shapes for rare classes.

The experiment of DISPR, within each fold: features are scaled and selected by the training cells only, and shapes are
predicted of training cells only, by the network of `shapes` that has not seen the fold (of simulated cells by the
shipped network, which has seen none of them). The figure is the macro F1 of a random forest on true shapes of the fold.
Real and simulated cells have separate rows.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io.network_file import SHIPPED, path_of

from .commands import reconstruct, unflat
from .ledger import Ledger, Numbers, Skipped, digest
from .places import shared
from .shapes import FOLDS, held_out

NAME = "classes of red blood cells"
SMALLEST, MOST = 2, 5
TREES, FEATURES, SEEDS = 400, 30, 5
SIMULATED, SIMULATED_CLASSES = 12, 12
PUBLISHED = "DISPR 55.2 → 72.2 on 6 classes (*published*)"
HEADER = 5
"""Number of columns that name the row in a table of features."""


def run(ledger: Ledger) -> None:
    """Measure features, then classify."""
    try:
        import imblearn
        import sklearn
    except ImportError as error:
        raise Skipped(f"{error.name} is not installed: pip install 'unflat[benchmarks]'") from error
    del imblearn, sklearn
    source = shared("shapes/red_blood_cells_108.zip")
    networks = ledger.folder / ".cache" / "shapes" / "networks"
    if not (networks / f"network-{FOLDS - 1}.h5").is_file():
        raise Skipped("the networks of the benchmark shapes are not here: run it first")
    known = {"cells": digest(source), "config": digest(shipped("shape.yaml"))}
    real = ledger.part("features", known, partial(_true_features, ledger, source))
    drawn = []
    for fold in range(FOLDS):
        own = known | {"draws": MOST, "smallest": SMALLEST, "network": digest(networks / f"network-{fold}.h5")}
        drawn.append(ledger.part(f"drawn-{fold}", own, partial(_drawn, ledger, source, real, fold)))
    _add_rows(ledger, "real, 4 classes", real, drawn)
    many = {"cells": SIMULATED, "classes": SIMULATED_CLASSES}
    made = ledger.part("simulated", many, partial(_simulated, ledger))
    many |= {"draws": MOST, "network": digest(path_of(SHIPPED, "shape")), "config": known["config"]}
    imagined = ledger.part("simulated-drawn", many, partial(_drawn_of_simulated, ledger))
    _add_rows(ledger, "SIMULATED, 12 classes", made, _by_fold(imagined, made))


def _true_features(ledger: Ledger, source: Path) -> Numbers:
    """Measure the features of the true shapes by `unflat measure`."""
    config, cells, truth = (ledger.scratch / name for name in ("config.yaml", "cells.h5", "truth.h5"))
    config.write_text(shipped("shape.yaml"), encoding="utf-8")
    unflat("convert", source, "-o", cells, "--config", config, "--force", log=ledger.scratch / "convert.log")
    _truth_alone(cells, truth)
    return _features(truth, ledger.scratch / "true.csv", ledger.scratch / "measure.log")


def _truth_alone(cells: Path, out: Path) -> None:
    """Write the truth of an acquisition to a volume file."""
    import h5py

    from unflat.recon.io.volume_stack import write_many
    from unflat.recon.sampled import Quantity
    from unflat.recon.volume import Volume

    with h5py.File(cells) as file:
        group = file["truth"]
        filled = group["occupancy"][()]
        z, y, x = (group[name][()] for name in "zyx")
        texts = [[str(text) for text in file[name].asstr()[()]] for name in ("name", "label")]
    like = Volume("shape", z, y, x, {"occupancy": filled[0, 0]}, (Quantity("occupancy", "1", ""),), {}, "voxel")
    write_many(out, like, filled, names=texts[0], labels=texts[1])


def _features(volume: Path, table: Path, log: Path) -> Numbers:
    import csv

    unflat("measure", volume, "-o", table, "--force", log=log)
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])[HEADER:]
    values = [[float(f"{float(row[name] or 'nan'):.5g}") for name in names] for row in rows]
    return {"names": names, "labels": [row["label"] for row in rows], "values": values}


def _drawn(ledger: Ledger, source: Path, real: Numbers, fold: int) -> Numbers:
    """Measure the features of shapes predicted of the training cells of the smallest classes."""
    labels = np.array(real["labels"])
    names, counts = np.unique(labels, return_counts=True)
    rare = set(names[np.argsort(counts)[:SMALLEST]])
    hidden = set(held_out(source, fold))
    cells = [int(i) for i in range(len(labels)) if i not in hidden and labels[i] in rare]
    config, output = ledger.scratch / "predict.yaml", ledger.scratch / f"drawn-{fold}"
    config.write_text(shipped("shape.yaml"), encoding="utf-8")
    network = ledger.folder / ".cache" / "shapes" / "networks" / f"network-{fold}.h5"
    chosen = {"predict.network": str(network), "predict.draws": MOST, "acquisition.cells": cells}
    reconstruct("predict", config, source, output, chosen, ledger.device)
    log = ledger.scratch / f"drawn-{fold}.log"
    return _features(output / "volume.h5", ledger.scratch / f"drawn-{fold}.csv", log) | {"of": cells}


def _simulated(ledger: Ledger) -> Numbers:
    """Measure the features of simulated cells of all classes."""
    config, cells, truth = (ledger.scratch / name for name in ("simulate.yaml", "simulated.h5", "simulated-truth.h5"))
    config.write_text(f"kind: shape\nsimulate: {{cells: {SIMULATED * SIMULATED_CLASSES}}}\n", encoding="utf-8")
    unflat("simulate", config, "-o", cells, "--force", log=ledger.scratch / "simulate.log")
    _truth_alone(cells, truth)
    return _features(truth, ledger.scratch / "simulated.csv", ledger.scratch / "simulated.log")


def _drawn_of_simulated(ledger: Ledger) -> Numbers:
    """Measure the features of shapes predicted of all simulated cells by the shipped network."""
    config, cells, output = (ledger.scratch / name for name in ("predict.yaml", "simulated.h5", "drawn-simulated"))
    config.write_text(shipped("shape.yaml"), encoding="utf-8")
    if not cells.is_file():
        _simulated(ledger)
    reconstruct("predict", config, cells, output, {"predict.draws": MOST}, ledger.device)
    log = ledger.scratch / "drawn-simulated.log"
    return _features(output / "volume.h5", ledger.scratch / "drawn-simulated.csv", log)


def _by_fold(drawn: Numbers, of: Numbers) -> list[Numbers]:
    """Select the draws of the cells outside each fold; all cells have as many."""
    outside = [np.repeat(_division(np.array(of["labels"])) != fold, MOST) for fold in range(FOLDS)]
    values, labels = np.array(drawn["values"]), np.array(drawn["labels"])
    return [{"values": values[rows], "labels": labels[rows]} for rows in outside]


def _add_rows(ledger: Ledger, name: str, real: Numbers, drawn: list[Numbers]) -> None:
    values, labels = np.array(real["values"]), np.array(real["labels"])
    division = _division(labels)
    methods: dict[str, tuple[str, int]] = {"true shapes only": ("plain", 0), "SMOTE": ("smote", 0)}
    methods["class weights"] = ("weights", 0)
    whose = f"each cell of the {SMALLEST} smallest classes" if "real" in name else "each cell"
    methods |= {f"and {k} draw{'s' * (k > 1)} of {whose}": ("plain", k) for k in range(1, MOST + 1)}
    for label, (method, k) in methods.items():
        scores, confusion = _score(values, labels, division, method, k, drawn)
        folds = f"mean of {FOLDS} folds, {SEEDS} forests; {100 * np.std(scores):.1f} % between folds"
        ledger.row(
            label,
            100 * float(np.mean(scores)),
            name=f"{NAME} ({name}): macro F1",
            unit="%",
            digits=1,
            reference=PUBLISHED if "real" in name and (method, k) == ("plain", 0) else "",
            how=f"{folds}; true by found: {confusion}",
        )


def _division(labels: np.ndarray) -> np.ndarray:
    from unflat.recon.experiments.shape.network.train import folds

    return folds(list(labels), FOLDS, 1)


def _score(
    values: np.ndarray, labels: np.ndarray, division: np.ndarray, method: str, draws: int, drawn: list[Numbers]
) -> tuple[list[float], str]:
    """Compute the macro F1 of each fold, and the confusion matrix of all."""
    from sklearn.metrics import confusion_matrix, f1_score

    names, scores = sorted(set(labels)), []
    total = np.zeros((len(names), len(names)))
    for fold in range(FOLDS):
        trained, tested = division != fold, division == fold
        x, y = values[trained], labels[trained]
        if draws:
            more = drawn[fold]
            first = np.arange(len(more["labels"])) % MOST < draws
            x = np.concatenate([x, np.array(more["values"])[first]])
            y = np.concatenate([y, np.array(more["labels"])[first]])
        each = []
        for seed in range(SEEDS):
            predicted = _classifier(method, seed)(x, y, values[tested])
            each.append(f1_score(labels[tested], predicted, average="macro", labels=names, zero_division=0))
            total += confusion_matrix(labels[tested], predicted, labels=names) / SEEDS
        scores.append(float(np.mean(each)))
    rows = [f"{name} {' '.join(f'{n:.0f}' for n in row)}" for name, row in zip(names, total, strict=True)]
    return scores, "; ".join(rows)


def _classifier(method: str, seed: int) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Any]:
    """Create a classifier: a forest on scaled and selected features, all fitted to the training cells."""
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import Pipeline
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    def classify(x: np.ndarray, y: np.ndarray, queries: np.ndarray) -> Any:
        steps: list[tuple[str, Any]] = [("whole", SimpleImputer(strategy="median")), ("scaled", StandardScaler())]
        steps.append(("selected", SelectKBest(f_classif, k=min(FEATURES, x.shape[1]))))
        if method == "smote":
            steps.append(
                (
                    "more",
                    SMOTE(k_neighbors=min(5, int(np.unique(y, return_counts=True)[1].min()) - 1), random_state=seed),
                )
            )
        weights = "balanced" if method == "weights" else None
        steps.append(("forest", RandomForestClassifier(TREES, random_state=seed, class_weight=weights, n_jobs=-1)))
        return Pipeline(steps).fit(x, y).predict(queries)

    return classify
