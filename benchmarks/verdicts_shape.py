"""Verdicts of ``unflat predict`` on shapes, against the truth.

Red blood cells that the network has not seen, real and simulated, and cells unlike them or measured wrongly are
predicted; the draws are cached, and verdicts on them are computed anew. A cell is right or wrong by its known shape:
wrong if the volume is off by more than a factor or the overlap is small, right if both are good, and not counted in
between. Limits of the verdict were chosen on one half of the cells; the table is of the other half.
"""

import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments.shape.simulate import rotate_cell
from unflat.recon.experiments.shape.verdict import assess_cell
from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io.network_file import SHIPPED, read

from .commands import CommandFailed, reconstruct, unflat
from .ledger import Ledger, Numbers, digest
from .places import shared
from .unlike_cells import BODIES, PIXEL, WRONG, Specimen, specimens

NAME = "verdicts on shapes"
PARTS, DRAWS, SEED = 4, 5, 20
WRONG_FACTOR, WRONG_OVERLAP = 1.6, 0.4
RIGHT_FACTOR, RIGHT_OVERLAP = 1.4, 0.45
TRAINING = {"train.steps": 2200, "train.distil": 300, "train.specimens": 500, "train.turned": 6}
TINY = {"train.steps": 3, "train.distil": 2, "train.specimens": 16, "train.turned": 0}
HITS, ALARMS = 95.0, 5.0
FAMILIAR = ("held-out real cells", "the same, turned", "red cells")
"""Sorts that the network has learned."""

Cell = dict[str, Any]


def run(ledger: Ledger) -> None:
    """Predict all sorts, judge them, and count."""
    source = shared("shapes/red_blood_cells_108.zip")
    network, changes = ledger.scratch / "held" / "NET", ledger.choose(TRAINING, TINY)
    known = {"cells": digest(source), "config": digest(shipped("shape.yaml")), "draws": DRAWS}
    trained = ledger.part("training", known | changes, partial(_train, ledger, source, network, changes))
    count = ledger.choose(16, 1)
    sorts: dict[str, list[Cell]] = {}
    for name, copies in (("held-out real cells", 0), ("the same, turned", ledger.choose(2, 1))):
        own = known | {"network": trained["network"], "copies": copies}
        predicted = ledger.part(name, own, partial(_held_out, ledger, name, network, copies))
        sorts[name] = _judge(ledger, predicted, network)
    shipped_network = _digest_of_weights(SHIPPED)
    for sort in ("red cells", *BODIES, *WRONG):
        many = count * (6 if sort in FAMILIAR else 1)
        own = known | {"network": shipped_network, "count": many, "seed": SEED}
        sorts[sort] = _judge(ledger, ledger.part(sort, own, partial(_simulated, ledger, sort, many)), SHIPPED)
    _add_rows(ledger, {name: cells[1::2] or cells for name, cells in sorts.items()})
    ledger.notes.append(
        f"{DRAWS} draws of each cell; seed {SEED}. Real cells are those that a network of its own had not seen, "
        "trained on three quarters of them; all others are predicted by the shipped network. A flat nucleus under the "
        "red cells' microscope looks like a spherocyte: these are half of what is missed."
    )


def _train(ledger: Ledger, source: Path, network: Path, changes: Mapping[str, Any]) -> Numbers:
    """Train a network on three quarters of the real cells, and simulated ones; keep the rest in an archive."""
    from unflat.recon.experiments.shape.config import ShapeSettings
    from unflat.recon.experiments.shape.network.train import folds
    from unflat.recon.experiments.shape.read import read_cells

    folder = network.parent
    folder.mkdir(parents=True, exist_ok=True)
    cells = read_cells(ShapeSettings(), source)
    outside = np.flatnonzero(folds(list(cells.labels), PARTS, 1) == 0)
    names = {str(cells.names[i]) for i in outside}
    with zipfile.ZipFile(source) as archive:
        for path, held in ((folder / "learned.zip", False), (folder / "held.zip", True)):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as part:
                for name in archive.namelist():
                    if not name.endswith("/") and (Path(name).stem in names) == held:
                        part.writestr(name, archive.read(name))
    if not (network / "network.h5").is_file():
        settings = {"train.data": folder / "learned.zip", **changes}
        words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        unflat("train", _config(ledger), "-o", network, "--force", "--set", "seed=1", *words, log=folder / "train.log")
    return {"network": _digest_of_weights(network), "held_out": sorted(names)}


def _digest_of_weights(network: str | Path) -> str:
    """Checksum of the weights of a network, on which its draws depend."""
    weights = read(network, "shape").weights
    return digest(*(f"{name} {sha256(weights[name].tobytes()).hexdigest()}" for name in sorted(weights)))


def _config(ledger: Ledger) -> Path:
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("shape.yaml"), encoding="utf-8")
    return config


def _held_out(ledger: Ledger, name: str, network: Path, copies: int) -> Numbers:
    """Predict real cells that the network has not seen, as they are or turned in space with simulated pictures."""
    from unflat.recon.experiments.shape.config import ShapeSettings
    from unflat.recon.experiments.shape.read import read_cells

    real = read_cells(ShapeSettings(), network.parent / "held.zip")
    assert real.inside is not None
    cells = []
    for number, inside in enumerate(real.inside):
        cells += [] if copies else [Specimen(inside, real.images[number], real.masks[number] > 0.5)]
        for copy in range(copies):
            turned = rotate_cell(np.random.default_rng([SEED, number, copy]), inside)
            cells += [Specimen(turned.inside, turned.image, turned.mask)] if turned.mask.sum() > 40 else []
    return _predict(ledger, name, cells[: ledger.choose(None, 2)], str(network))


def _simulated(ledger: Ledger, sort: str, count: int) -> Numbers:
    return _predict(ledger, sort, specimens(sort, count, SEED), SHIPPED)


def _predict(ledger: Ledger, sort: str, cells: Sequence[Specimen], network: str) -> Numbers:
    """Predict cells of a sort, those of each declared pixel size in a run, and compare them with their truth."""
    rows, runs = [], []
    for declared in sorted({cell.declared for cell in cells}):
        some = [cell for cell in cells if cell.declared == declared]
        stem = f"{sort.replace(' ', '-').replace(',', '')}-{declared:g}"
        path, output = ledger.scratch / f"{stem}.h5", ledger.scratch / stem
        _write(path, some, declared)
        options = {"predict.network": network, "predict.draws": DRAWS}
        try:
            reconstruct("predict", _config(ledger), path, output, options, ledger.device)
        except CommandFailed:  # All cells may have failed by their verdict.
            if not (output / "cells.csv").is_file():
                raise
        runs.append(stem)
        rows += _compare(output, some)
    return {"cells": rows, "runs": runs}


def _write(path: Path, cells: Sequence[Specimen], declared: float) -> None:
    from unflat.recon.experiments.shape.schema import SCHEMA
    from unflat.recon.io.write import write

    arrays = {
        "images": np.stack([cell.image for cell in cells]).astype(np.float32),
        "mask": np.stack([cell.mask for cell in cells]).astype(np.float32),
        "voxel_size": np.full(3, PIXEL * declared),
        "name": np.array([f"cell_{i:03d}" for i in range(len(cells))]),
    }
    write(Acquisition("shape", arrays, "simulated"), SCHEMA, path)


def _compare(output: Path, cells: Sequence[Specimen]) -> list[Cell]:
    """Compute the factor of the volume of each cell, and the mean overlap of its draws."""
    compared = []
    for inside, cell in zip(_draws(output), cells, strict=True):
        both, either = (inside & cell.inside).sum((1, 2, 3)), (inside | cell.inside).sum((1, 2, 3))
        ratio = float(inside.sum((1, 2, 3)).mean() * cell.declared**3 / cell.inside.sum())
        compared.append({"ratio": ratio, "overlap": float(np.mean(both / np.maximum(either, 1)))})
    return compared


def _draws(output: Path) -> list[np.ndarray]:
    """Read the voxels inside each draw of each cell."""
    import h5py

    with h5py.File(output / "volume.h5") as file:
        return [drawn > 0.5 for drawn in file["volume/occupancy"]]


def _judge(ledger: Ledger, predicted: Numbers, network: str | Path) -> list[Cell]:
    """Compute the numbers of the verdict of each cell as ``unflat predict`` does, by the current code."""
    from unflat.recon.experiments.shape.cell_table import numbers_of_draws
    from unflat.recon.experiments.shape.config import ShapeSettings
    from unflat.recon.experiments.shape.network.inputs import to_network_input
    from unflat.recon.experiments.shape.network.novelty import compare_with_training
    from unflat.recon.experiments.shape.network.remarks import numbers_of_pictures
    from unflat.recon.experiments.shape.read import read_cells

    judged, trained = [], read(network, "shape")
    for stem in predicted["runs"]:
        cells = read_cells(ShapeSettings(), ledger.scratch / f"{stem}.h5")
        pictures = [to_network_input(image, mask) for image, mask in zip(cells.images, cells.masks, strict=True)]
        novelty = [one.distance for one in compare_with_training(trained, cells.names, pictures).cells]
        draws = [numbers_of_draws(*own) for own in zip(_draws(ledger.scratch / stem), cells.masks > 0.5, strict=True)]
        rows = zip(numbers_of_pictures(cells, pictures, trained), novelty, draws, strict=True)
        judged += [{"novelty": distance, **picture, **drawn} for picture, distance, drawn in rows]
    return [truth | numbers for truth, numbers in zip(predicted["cells"], judged, strict=True)]


def is_wrong(cell: Cell) -> bool | None:
    """Whether the shapes of a cell are wrong by the truth; None in between."""
    factor = max(cell["ratio"], 1 / max(cell["ratio"], 1e-9))
    if factor > WRONG_FACTOR or cell["overlap"] < WRONG_OVERLAP:
        return True
    return False if factor < RIGHT_FACTOR and cell["overlap"] > RIGHT_OVERLAP else None


def _reasons(cell: Cell) -> list[str]:
    return [reason.name for reason in assess_cell({name: float(value) for name, value in cell.items()}).reasons]


def _add_rows(ledger: Ledger, sorts: Mapping[str, list[Cell]]) -> None:
    unlike = [cell for sort, cells in sorts.items() if sort not in FAMILIAR for cell in cells]
    familiar = [cell for sort in FAMILIAR for cell in sorts[sort]]
    how = (
        f"wrong: volume off by more than {WRONG_FACTOR:g} or IoU below {WRONG_OVERLAP:g}; right: within "
        f"{RIGHT_FACTOR:g} and above {RIGHT_OVERLAP:g}; one half of the cells, limits chosen on the other"
    )
    _add_share(
        ledger, "wrong shapes of unlike or wrongly measured cells that are named", unlike, True, (">", HITS), how
    )
    _add_share(ledger, "right shapes of learned sorts that are accused", familiar, False, ("<", ALARMS), how)
    _add_share(
        ledger, "wrong shapes of learned sorts that are named", familiar, True, None, "errors of the network itself"
    )
    _add_share(ledger, "right shapes of unlike cells that are named", unlike, False, None, "right by chance")
    for sort, cells in sorts.items():
        learned = sort in FAMILIAR
        _add_share(
            ledger, f"{sort}: {'right' if learned else 'wrong'} ones named", cells, not learned, None, _by_reason(cells)
        )


def _add_share(ledger: Ledger, figure: str, cells: list[Cell], wrong: bool, goal: Any, how: str) -> None:
    judged = [bool(_reasons(cell)) for cell in cells if is_wrong(cell) is wrong]
    share = 100 * float(np.mean(judged)) if judged else None
    counted = f"{sum(judged)} of {len(judged)} ({len(cells)} cells)"
    ledger.row(figure, share, name=NAME, unit="%", digits=1, goal=goal, how=f"{counted}; {how}")


def _by_reason(cells: list[Cell]) -> str:
    names = [name for cell in cells for name in _reasons(cell)]
    return ", ".join(f"{name} {names.count(name)}" for name in sorted(set(names))) or "no reason"
