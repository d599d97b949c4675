"""Verdicts on simulated crystals: how many wrong results are named, and how many right ones are accused.

Random crystals, from perfect to strained beyond what phasing finds, are measured with few or many counts, blurred or
sharp, with gaps, lost frames, hot pixels and other particles, and phased from few starts. Whether a result is right or
wrong is decided by the truth alone, of the density and of the strain each by itself. The limits of the verdict were
chosen on crystals 2000 to 2099, and on 66 others in larger arrays, that of a lone solution's evenness with those from
2100 on in sight, and those of the strain and of withheld voxels on others in smaller arrays; the table is of crystals
from 2100 on, and of faint ones from 2300 on.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np

import unflat
from unflat.recon.errors import UnflatError
from unflat.recon.experiments.crystal.verdict import LEAST_PHASE_NOISE, assess

from .ledger import Ledger, Numbers, Row

NAME = "verdict on crystals (simulated)"
FIRST_SEED, FIRST_FAINT = 2100, 2300
CRYSTALS, FAINT = 40, 16
"""Numbers of crystals with 5e4 to 1e8 counts, and with 5e3 to 5e4."""
RIGHT, WRONG = 0.95, 0.9
"""Correlation with the truth from which a result is right, and below which it is wrong; between, it is not counted."""
STRAINS = (0.3, 1.0, 2.0, 3.0, 4.5, 6.0)
"""[rad] Largest phase of each displacement."""
SHAPE = [40, 40, 40]
STRAIN_RIGHT, STRAIN_WRONG = 0.5, 1.0
"""Error of the strain over the true strain up to which it is determined, and from which it is not."""
STRAIN_REASON = "strain-in-noise"


def run(ledger: Ledger) -> None:
    """Phase all crystals, and count hits and false alarms."""
    tiny: dict[str, Any] = {"phase.starts": 2, "phase.refine.iterations": 10}
    faint = range(FIRST_FAINT, FIRST_FAINT + ledger.choose(FAINT, 1))
    seeds = [*faint, *range(FIRST_SEED, FIRST_SEED + ledger.choose(CRYSTALS, 1))]
    options = [
        {**_options(seed), **(_faint(seed) if seed in faint else {}), **ledger.choose({}, tiny)} for seed in seeds
    ]
    results = [
        ledger.part(str(seed), own, partial(_phase, seed, own)) for seed, own in zip(seeds, options, strict=True)
    ]
    finished = [numbers for numbers in results if "correlation" in numbers]
    _add_rows(ledger, finished)
    _add_strain_rows(ledger, finished)
    ledger.notes.append(
        f"{len(results)} crystals of {SHAPE[0]}³ voxels, {len(faint)} of them with 5e3 to 5e4 counts; "
        f"{len(results) - len(finished)} were refused, because no start found an object. Right: correlation with the "
        f"truth from {RIGHT:g}; wrong: below {WRONG:g}; by reasons other than {STRAIN_REASON}. Strain: determined if "
        f"its error is below {STRAIN_RIGHT:g} of the true strain, not from {STRAIN_WRONG:g} on where the phase is "
        f"wrong by {LEAST_PHASE_NOISE:g} rad or more, in right densities."
    )


def _faint(seed: int) -> dict[str, Any]:
    """Draw the counts of a faint crystal that can be phased."""
    rng = np.random.default_rng([78, seed])
    strain = float(rng.choice([0.3, 1.0, 2.0]))
    return {
        "simulate.phase": [0.5 * strain, strain],
        "simulate.detector.counts": round(float(10 ** rng.uniform(3.7, 4.7))),
        "simulate.detector.background": 0.0,
    }


def _options(seed: int) -> dict[str, Any]:
    """Draw a crystal, its measurement and the effort of phasing."""
    rng = np.random.default_rng([77, seed])
    strain = float(rng.choice(STRAINS))
    options: dict[str, Any] = {
        "simulate.shape": SHAPE,
        "simulate.phase": [0.5 * strain, strain],
        "simulate.oversampling": round(float(rng.uniform(2.0, 3.5)), 3),
        "simulate.detector.counts": round(float(10 ** rng.uniform(4.7, 8))),
        "simulate.detector.background": float(rng.choice([0, 0, 0.02, 0.3])),
        "simulate.detector.hot_pixels": int(rng.choice([0, 0, 3])),
        "simulate.detector.aliens": int(rng.choice([0, 0, 0, 1])),
        "simulate.detector.gap": int(rng.choice([0, 0, 0, 3])),
        "simulate.detector.missing": float(rng.choice([0, 0, 0, 0, 0.3])),
        "phase.starts": int(rng.choice([2, 4])),
    }
    if rng.random() < 0.4:
        options["simulate.detector.psf"] = [round(float(rng.uniform(0, widest)), 3) for widest in (0.8, 0.6, 0.6)]
    return options


def _phase(seed: int, options: dict[str, Any]) -> Numbers:
    measurement = unflat.simulate("crystal", options, seed=seed)
    own = {name: value for name, value in options.items() if name.startswith("phase.")}
    try:
        return dict(unflat.phase(measurement, own, seed=seed).metrics)
    except UnflatError as error:
        return {"error": str(error)}


def _add_rows(ledger: Ledger, results: Sequence[Numbers]) -> None:
    right = [numbers for numbers in results if numbers["correlation"] >= RIGHT]
    wrong = [numbers for numbers in results if numbers["correlation"] < WRONG]
    how = f"{len(right)} right, {len(wrong)} wrong, {len(results) - len(right) - len(wrong)} between"
    rows = (("wrong results named", wrong, (">", 0.95)), ("right results accused", right, ("<", 0.05)))
    for figure, group, goal in rows:
        names = sorted({name for numbers in group for name in _reasons(numbers)} - {STRAIN_REASON})
        ledger.rows.append(Row(NAME, figure, _share(group, names), goal=goal, how=how))
        ledger.rows += [Row(NAME, f"{figure}: {name}", _share(group, [name])) for name in names]


def _add_strain_rows(ledger: Ledger, results: Sequence[Numbers]) -> None:
    """Add rows of the strain in right densities."""
    known = [n for n in results if n["correlation"] >= RIGHT and "strain_error" in n]
    off = [n for n in known if n["strain_error"] >= STRAIN_WRONG * n["strain_truth"]]
    wrong = [n for n in off if n["phase_error"] >= LEAST_PHASE_NOISE]
    right = [n for n in known if n["strain_error"] < STRAIN_RIGHT * n["strain_truth"]]
    how = f"{len(right)} determined, {len(wrong)} not, {len(known) - len(right) - len(wrong)} between"
    for figure, group, goal in (
        ("strains that are not determined named", wrong, (">", 0.95)),
        ("strains that are determined accused", right, ("<", 0.05)),
    ):
        ledger.rows.append(Row(NAME, figure, _share(group, [STRAIN_REASON]), goal=goal, how=how))


def _reasons(numbers: Numbers) -> set[str]:
    return {reason.name for reason in assess(numbers)}


def _share(results: Sequence[Numbers], names: Collection[str]) -> float | None:
    """Share of results with any of some reasons."""
    return float(np.mean([bool(_reasons(numbers) & set(names)) for numbers in results])) if results else None
