"""Verdicts on simulated crystals: how many wrong results are named, and how many right ones are accused.

Random crystals, from perfect to strained beyond what phasing finds, are measured with few or many counts, blurred or
sharp, with gaps, lost frames, hot pixels and other particles, and phased from few starts. Whether a result is right or
wrong is decided by the truth alone. The limits of the verdict were chosen on the first half of the crystals, and on 66
others in larger arrays, that of a lone solution's evenness with the second half in sight; the table is of the latter.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

import unflat
from unflat.recon.errors import UnflatError
from unflat.recon.experiments.crystal.verdict import assess

from .ledger import Ledger, Numbers, Row

NAME = "verdict on crystals (simulated)"
FIRST_SEED = 2000
CRYSTALS = 200
RIGHT, WRONG = 0.95, 0.9
"""Correlation with the truth from which a result is right, and below which it is wrong; between, it is not counted."""
STRAINS = (0.3, 1.0, 2.0, 3.0, 4.5, 6.0)
"""[rad] Largest phase of each displacement."""
SHAPE = [40, 40, 40]


def run(ledger: Ledger) -> None:
    """Phase all crystals, and count hits and false alarms."""
    seeds = range(FIRST_SEED, FIRST_SEED + ledger.choose(CRYSTALS, 2))
    tiny: dict[str, Any] = {"phase.starts": 2, "phase.refine.iterations": 10}
    options = [{**_options(seed), **ledger.choose({}, tiny)} for seed in seeds]
    results = [
        ledger.part(str(seed), own, partial(_phase, seed, own)) for seed, own in zip(seeds, options, strict=True)
    ]
    judged = results[len(results) // 2 :]
    finished = [numbers for numbers in judged if "correlation" in numbers]
    _add_rows(ledger, finished)
    ledger.notes.append(
        f"{len(judged)} crystals of {SHAPE[0]}³ voxels; {len(judged) - len(finished)} were refused, because no start "
        f"found an object. Right: correlation with the truth from {RIGHT:g}; wrong: below {WRONG:g}."
    )


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
        ledger.rows.append(Row(NAME, figure, _share(group), goal=goal, how=how))
        names = sorted({reason.name for numbers in group for reason in assess(numbers)})
        ledger.rows += [Row(NAME, f"{figure}: {name}", _share(group, name)) for name in names]


def _share(results: Sequence[Numbers], name: str = "") -> float | None:
    """Share of results with a reason, or with any."""
    named = [any(name in ("", reason.name) for reason in assess(numbers)) for numbers in results]
    return float(np.mean(named)) if named else None
