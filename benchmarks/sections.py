"""Shapes of 108 real red blood cells from one, two and three sections: the five folds of `shapes`.

Each cell is drawn by the network of `shapes` that has not seen it. Further sections are masks cut from its true shape,
which the network does not know either; the draws are made to agree with them as in `unflat predict`. What the
conditioning has to choose (reach, error, rounds and the size of the pool) was chosen on the first fold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from unflat.recon.experiments.shape.cell_table import sections_agreement
from unflat.recon.experiments.shape.cells import CellBatch
from unflat.recon.experiments.shape.config import ShapeSettings
from unflat.recon.experiments.shape.read import read_cells
from unflat.recon.experiments.shape.sections import Section, SectionPlane, cut_section

from .ledger import Ledger, Numbers, Skipped, digest
from .places import shared
from .shapes import FOLDS, held_out

NAME = "red blood cells (real, 5 folds), several sections"
DRAWS, TUNED = 20, 0
SEEDS = (1,)
QUARTER = np.pi / 2
HEIGHT = 8.0
"""[voxel] Distance of a parallel section from the first: an eighth of the cube."""
SETS: Mapping[str, Sequence[tuple[float, float, float]]] = {
    "one section": (),
    "two, orthogonal": ((0.0, QUARTER, 0.0),),
    "two, parallel": ((HEIGHT, 0.0, 0.0),),
    "three, orthogonal": ((0.0, QUARTER, 0.0), (0.0, 0.0, QUARTER)),
}
"""Further sections of each set: height [voxel], and tilts about y and x [rad]."""
PARALLEL: Mapping[str, Sequence[tuple[float, float, float]]] = {
    "two, parallel at a quarter of the cube": ((2 * HEIGHT, 0.0, 0.0),),
    "three, parallel": ((1.5 * HEIGHT, 0.0, 0.0), (-1.5 * HEIGHT, 0.0, 0.0)),
}
"""Further sets, of what parallel planes need; their heights were chosen on the first fold."""
GOALS, COVERED = {"overlap_error": 0.33, "volume": 0.15}, (80.0, 97.0)
LABELS = {"overlap_error": "1 − IoU", "volume": "volume error"}


def run(ledger: Ledger) -> None:
    """Predict the cells of each fold from each set of sections."""
    source = shared("shapes/red_blood_cells_108.zip")
    networks = ledger.folder / ".cache" / "shapes" / "networks"
    groups = {"": dict(list(SETS.items())[: ledger.choose(None, 2)]), "-parallel": ledger.choose(PARALLEL, {})}
    rows: dict[str, list[Numbers]] = {name: [] for sets in groups.values() for name in sets}
    lacking = []
    for seed in SEEDS[: ledger.choose(None, 1)]:
        for fold in range(FOLDS):
            network = networks / f"network-{fold}.h5"
            if not network.is_file():
                lacking.append(network.name)
                continue
            for suffix, sets in groups.items():
                known = {"cells": digest(source), "network": digest(network), "fold": fold, "seed": seed, "sets": sets}
                compute = partial(_fold, source, network, fold, seed, sets, ledger.choose(None, 1))
                part = ledger.part(f"seed-{seed}-fold-{fold}{suffix}", known, compute)
                for name in sets:
                    rows[name] += [{**cell, "fold": fold, "seed": seed} for cell in part[name]]
    if lacking:
        raise Skipped(f"networks of the benchmark shapes are not here: {', '.join(lacking)}; run it first")
    fold = ledger.choose(1, 0)
    drawn = {"cells": digest(source), "network": digest(networks / f"network-{fold}.h5")}
    path = ledger.figure("sections")
    ledger.part("picture", drawn, partial(_picture, source, networks / f"network-{fold}.h5", fold, path))
    _add_rows(ledger, rows)


def _fold(
    source: Path,
    network: Path,
    fold: int,
    seed: int,
    sets: Mapping[str, Sequence[tuple[float, float, float]]],
    most: int | None,
) -> Numbers:
    """Draw the cells of a fold, and condition the draws on each set of sections."""
    numbers: Numbers = {name: [] for name in sets}
    for cells, i, codes, outline in _draw(source, network, held_out(source, fold)[:most], seed):
        for name, places in sets.items():
            own = _with_sections(cells, i, places)
            numbers[name].append(_errors(own, i, *_shapes(own, i, codes, outline)))
    return numbers


def _draw(
    source: Path, network: Path, some: Sequence[int], seed: int
) -> Iterator[tuple[CellBatch, int, np.ndarray, np.ndarray]]:
    """Draw codes of some cells from their first section; yield cells, number, codes and outline of the section."""
    from unflat.recon.experiments.shape.network.conditioning import pool_size
    from unflat.recon.experiments.shape.network.config import ShapePredict
    from unflat.recon.experiments.shape.network.inputs import to_network_input
    from unflat.recon.experiments.shape.network.sampler import CodeSampler
    from unflat.recon.experiments.shape.network.shape_code import EDGE
    from unflat.recon.io.network_file import read

    cells = read_cells(ShapeSettings(), source)
    pictures = [to_network_input(cells.images[i], cells.masks[i]) for i in some]
    sampler = CodeSampler(read(str(network), "shape"), pictures, [cells.names[i] for i in some], seed, ShapePredict())
    none = np.zeros((0, EDGE, EDGE, EDGE), np.float32)
    for k, (i, picture) in enumerate(zip(some, pictures, strict=True)):
        yield cells, i, sampler.complete(k, none, pool_size(DRAWS)), picture.outline()


def _with_sections(cells: CellBatch, number: int, places: Sequence[tuple[float, float, float]]) -> CellBatch:
    """Cut further sections from the true shape of a cell."""
    assert cells.inside is not None
    sections = []
    for k, (height, about_y, about_x) in enumerate(places):
        plane = SectionPlane.tilted(height * cells.voxel_lengths[0], (about_y, about_x))
        mask = cut_section(cells.inside[number], plane, len(cells.masks[number]), cells.voxel_lengths)
        sections.append(Section(k, plane, mask.astype(np.float32)))
    return replace(cells, sections=[tuple(sections) if i == number else () for i in range(len(cells))])


def _shapes(
    cells: CellBatch, number: int, codes: np.ndarray, outline: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Condition the draws of a cell; return their codes, their voxels, and those of their consensus."""
    from unflat.recon.experiments.shape.network.conditioning import nearest_draws
    from unflat.recon.experiments.shape.network.consensus import consensus, voxels_inside
    from unflat.recon.experiments.shape.network.section_constraints import SectionConstraints

    conditioning, draws = None, codes[:DRAWS]
    if cells.sections[number]:
        draws, conditioning = nearest_draws(codes, SectionConstraints.of_cell(cells, number), DRAWS)
        draws = conditioning.apply(draws)
    one = consensus(draws, outline)
    one = one if conditioning is None else conditioning.apply(one[None])[0]
    return draws, np.stack([voxels_inside(code, outline) for code in draws]), voxels_inside(one, outline)


def _errors(cells: CellBatch, number: int, codes: np.ndarray, shapes: np.ndarray, best: np.ndarray) -> Numbers:
    """Compute the errors of a cell's draws and of their consensus."""
    from unflat.recon.experiments.shape.network.next_section import expected_reductions
    from unflat.recon.metrics.shapes import INTERVAL, diversity, interval, overlap_error, relative_error

    assert cells.inside is not None
    truth = cells.inside[number]
    volumes, known = shapes.sum(axis=(1, 2, 3)).astype(float), float(truth.sum())
    low, high, _ = interval(volumes, INTERVAL)
    return {
        "label": str(cells.labels[number]),
        "overlap_error": float(np.mean([overlap_error(truth, shape) for shape in shapes])),
        "volume": float(np.mean(np.abs(volumes / known - 1))),
        "consensus_overlap_error": overlap_error(truth, best),
        "consensus_volume": relative_error(known, float(best.sum())),
        "covered": bool(low <= known <= high),
        "diversity": diversity(shapes),
        "expected": expected_reductions(codes).tolist(),
        **sections_agreement(shapes, cells, number, cells.masks[number]),
    }


def _picture(source: Path, network: Path, fold: int, path: Path) -> Numbers:
    """Draw the consensus from one, two and three sections beside the truth, of the first cell of each class."""
    from unflat.recon.experiments.shape import figures
    from unflat.recon.metrics.shapes import overlap_error
    from unflat.recon.visualization.layout import tiled_figure
    from unflat.recon.visualization.style import house_style

    labels, order = read_cells(ShapeSettings(), source).labels, held_out(source, fold)
    first = {str(labels[i]): i for i in reversed(order)}
    some, shown = [first[label] for label in sorted(first)], [name for name in SETS if "parallel" not in name]
    rows, headings = [], []
    for cells, i, codes, outline in _draw(source, network, some, SEEDS[0]):
        assert cells.inside is not None
        best = [_shapes(own, i, codes, outline)[2] for own in (_with_sections(cells, i, SETS[name]) for name in shown)]
        rows.append([figures.draw_surface(one) for one in (cells.inside[i], *best)])
        errors = ", ".join(f"{overlap_error(cells.inside[i], one):.2f}" for one in best)
        headings.append(f"{labels[i].replace('_', ' ')}: 1 − IoU {errors}")
    edge = max(figures.used_edge(one) for row in rows for one in row)
    with house_style():
        figure, tiles = tiled_figure(len(rows), 1 + len(shown), (figures.TILE, figures.TILE), figures.MARGINS)
        for row, own, heading in zip(tiles, rows, headings, strict=True):
            row[0].heading(heading, size=figures.SIZE)
            for k, (tile, one) in enumerate(zip(row, own, strict=True)):
                figures.show_surface(tile, one, edge, figures.COLOURS if k else figures.TRUTH_COLOURS)
        figures.add_titles(tiles[0], ["truth", *(name.split(",")[0] for name in shown)])
        figure.savefig(path, dpi=110)
    return {}


def _add_rows(ledger: Ledger, rows: Mapping[str, Sequence[Numbers]]) -> None:
    for name, cells in rows.items():
        add, goals = partial(ledger.row, name=NAME), GOALS if name.startswith("two, orth") else {}
        unseen = [cell for cell in cells if cell["fold"] != TUNED]
        for figure, label in LABELS.items():
            how = f"mean of {DRAWS} draws; {_by_fold(cells, figure)}; {_by_class(unseen, figure)}"
            goal = ("<", goals[figure]) if figure in goals else None
            add(f"{label}, {name}", _mean(unseen, figure), goal=goal, how=how)
            how = _by_fold(cells, f"consensus_{figure}")
            add(f"{label} of the consensus, {name}", _mean(unseen, f"consensus_{figure}"), how=how)
        how = f"{_by_fold(cells, 'covered', 2)}; diversity of the draws (1 − IoU) {_mean(unseen, 'diversity'):.3f}"
        figure = f"90 % interval of the volume holds the truth, {name}"
        add(figure, 100 * _mean(unseen, "covered"), unit="% of cells", digits=0, goal=("within", *COVERED), how=how)
        agreements = [cell["sections_agreement"] for cell in unseen if "sections_agreement" in cell]
        if agreements:
            how = f"least {min(agreements):.3f}"
            add(f"worst further section against its mask (IoU), {name}", float(np.mean(agreements)), how=how)
    ledger.notes.append(
        f"The figures are of the cells of the folds that tuned nothing; fold {TUNED} chose the settings."
    )


def _mean(cells: Sequence[Numbers], figure: str) -> float:
    return float(np.mean([cell[figure] for cell in cells])) if cells else float("nan")


def _by_fold(cells: Sequence[Numbers], figure: str, digits: int = 3) -> str:
    folds = sorted({cell["fold"] for cell in cells})
    values = (f"{_mean([c for c in cells if c['fold'] == fold], figure):.{digits}f}" for fold in folds)
    return f"folds {folds[0]} to {folds[-1]}: {', '.join(values)}"


def _by_class(cells: Sequence[Numbers], figure: str) -> str:
    labels = sorted({cell["label"] for cell in cells})
    return ", ".join(f"{label} {_mean([c for c in cells if c['label'] == label], figure):.2f}" for label in labels)
