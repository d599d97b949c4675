"""Gold crystal of the 3D-CDI-NN paper: five seeds with the defaults, cohere, and the network of the paper.

One code evaluates all on the good pixels of the file. The pixels that our fit withholds have rows of their own; cohere
has fitted them.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io.volume_formats import read_volume
from unflat.recon.phase_retrieval.holdout import free_pixels
from unflat.recon.phase_retrieval.starts import StartOutcome, classify_start

from . import cohere_reference
from .commands import Options, phase, starts_of
from .diffraction import agreement, compare_counts, counts_of, read_solution
from .ledger import Ledger, Numbers, Skipped
from .pictures import save_small
from .places import shared
from .surfaces import surfaces
from .table import spread

NAME = "gold crystal (real data)"
SEEDS = (0, 1, 2, 3, 4)
FREE = 0.05
TINY: Options = {"phase.starts": 2, "phase.keep": 2, "phase.recipe": [{"hio": {"iterations": 20}}]}
TINY |= {"phase.refine.iterations": 10}
GOALS = {"chi_rms": 0.024, "llk": 6.5}
PUBLISHED = (
    ("network's answer", 0.4256, 3270.0, "< 1 s"),
    ("network's answer and 1000 steps of Adam", 0.0606, 52.7, "85 s"),
)
AGREES, STAGNATED = 0.97, 1.5


def run(ledger: Ledger) -> None:
    """Phase with every seed, and run cohere with every seed."""
    source = shared("crystals/gold64.npz")
    seeds = ledger.choose(SEEDS, SEEDS[:2])
    changes: Options = ledger.choose({}, TINY)
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("gold-crystal"), encoding="utf-8")
    ours = [
        ledger.part(
            f"seed-{seed}", {"set": changes, "seed": seed}, partial(_ours, ledger, config, source, changes, seed)
        )
        for seed in seeds
    ]
    known = {"set": changes, "seeds": seeds}
    same = ledger.part("agreement", known, lambda: _agreement(ledger, seeds))
    network = ledger.part("network", {}, lambda: _network(source))
    theirs = _cohere(ledger, source, seeds)
    ledger.figure("gold")
    _add_rows(ledger, ours, same, network, theirs)


def _ours(ledger: Ledger, config: Path, source: Path, changes: Options, seed: int) -> Numbers:
    output = ledger.scratch / f"seed-{seed}"
    numbers = phase(config, source, output, {**changes, "seed": seed}, ledger.device)
    counts, good = measured(source)
    answer = read_solution(output)
    figures = compare_counts(answer.modelled, counts, good, answer.free)
    return numbers | {"judged": figures, "table": starts_of(output)}


def measured(source: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the counts and the mask of good pixels."""
    with np.load(source) as file:
        return file["intensity"].astype(np.float64), file["alien_mask"] == 0


def _agreement(ledger: Ledger, seeds: tuple[int, ...]) -> Numbers:
    """Compute the agreement of the seeds, and draw the first one."""
    runs = [ledger.scratch / f"seed-{seed}" for seed in seeds]
    if not all((run / "volume.h5").is_file() for run in runs):
        raise Skipped("the seeds' volumes are not here, only their figures: run it with --again")
    drawn = surfaces(read_volume(runs[0] / "volume.h5"), "phase")
    save_small(drawn, ledger.figure("gold"))
    return agreement([read_solution(run).density for run in runs])


def _network(source: Path) -> Numbers:
    """Evaluate the prediction of the paper's network, which is in the data file."""
    with np.load(source) as file:
        density = file["nn_output_64_ad_input"]
    return compare_counts(counts_of(density), *measured(source))


def _cohere(ledger: Ledger, source: Path, seeds: tuple[int, ...]) -> dict[str, Any] | None:
    """Run cohere with every seed; None if it cannot be installed, and in a trial."""
    if ledger.quick:
        return None
    counts, good = measured(source)
    z, y, x = (int(i) for i in np.unravel_index(int(counts.argmax()), counts.shape))
    move = [n // 2 - i for n, i in zip(counts.shape, (z, y, x), strict=True)]
    amplitudes = np.roll(np.sqrt(np.where(good, counts, 0)), move, (0, 1, 2))

    def compute() -> Numbers:
        rows, densities = [], []
        for seed in seeds:
            result = cohere_reference.reconstruct(ledger, "cohere", amplitudes, seed)
            modelled = np.roll(result.pop("modelled"), [-m for m in move], (0, 1, 2))
            densities.append(result.pop("density"))
            free = free_pixels(good.astype(np.float32), FREE, seed, peak=(z, y, x))
            rows.append(result | compare_counts(modelled, counts, good, free))
        return {"runs": rows, "agreement": agreement(densities)}

    try:
        return ledger.part("cohere", {"seeds": seeds, "sequence": cohere_reference.SEQUENCE}, compute)
    except cohere_reference.Absent as error:
        ledger.notes.append(str(error))
        return None


def _add_rows(
    ledger: Ledger, ours: list[Numbers], same: Numbers, network: Numbers, theirs: dict[str, Any] | None
) -> None:
    add = partial(ledger.row, name=NAME)
    how = f"`unflat phase`, defaults; the worst of {len(ours)} seeds; all good pixels of the file, withheld ones too"
    for figure, name, digits in (("chi_rms", "chi_rms", 4), ("llk", "LLK", 2), ("llk_free", "free LLK", 2)):
        values = [numbers["judged"][figure] for numbers in ours]
        rows = theirs["runs"] if theirs else []
        beside = f"{rows[0]['version']} {spread([r[figure] for r in rows], digits)} in this run" if rows else ""
        goal = ("<", GOALS[figure]) if figure in GOALS else None
        method = how if figure != "llk_free" else "5 % of the pixels, in islands, never fitted; cohere has fitted them"
        add(name, max(values), digits=digits, reference=beside, goal=goal, how=f"{method}; {spread(values, digits)}")
    for what, chi, llk, took in PUBLISHED:
        shown = f"chi_rms {chi:g}, LLK {llk:g}, {took}"
        bare = f"from the authors' array, by the same code: {network['chi_rms']:.4f}, LLK {network['llk']:.0f}"
        add(f"3D-CDI-NN, {what}", None, reference=f"{shown} (*published*)", how=bare if chi > 0.1 else "")
    beside = f"cohere {theirs['agreement']['least']:.3f}" if theirs else ""
    pairs = f"aligned complex correlation, least of {same['pairs']} pairs; mean {same['mean']:.4f}"
    add("agreement between seeds", same["least"], digits=4, reference=beside, goal=(">", AGREES), how=pairs)
    _add_starts_rows(ledger, ours)
    seconds = [numbers["wall_seconds"] for numbers in ours]
    beside = f"cohere, one start: {spread([r['wall_seconds'] for r in theirs['runs']], 0)} s" if theirs else ""
    cost = f"8 starts and refinement, whole process; {np.median([n['cpu_seconds'] for n in ours]):.0f} s of CPU"
    add("time", float(np.median(seconds)), unit="s", digits=0, reference=beside, how=f"median; {cost}")


def _add_starts_rows(ledger: Ledger, ours: list[Numbers]) -> None:
    """Add the stagnation of single starts, relative to the best of all, and of the whole procedure."""
    rows = [row for numbers in ours for row in numbers["table"]]
    llk, free = min(row["llk"] for row in rows), min(row["llk_free"] for row in rows)
    bad = sum(classify_start(row, llk, free, 64**3) is not StartOutcome.CONVERGED for row in rows)
    ledger.row(
        "starts that stagnate",
        100 * bad / len(rows),
        name=NAME,
        unit="%",
        digits=0,
        reference="PyNX 3 of 9, a third of plain RAAR's elsewhere",
        how=f"{bad} of {len(rows)}; LLK and free LLK more than {STAGNATED:g} × the best start's of all",
    )
    # All good pixels: each seed withholds others, so that free LLKs of two seeds cannot be compared.
    results = [numbers["judged"]["llk"] for numbers in ours]
    lost = sum(value > STAGNATED * min(results) for value in results)
    ledger.row(
        "whole procedure stagnates",
        float(lost),
        name=NAME,
        unit=f"of {len(ours)}",
        digits=0,
        goal=("<", 0.5),
        how=f"seeds whose LLK of all good pixels is more than {STAGNATED:g} × the best seed's",
    )
