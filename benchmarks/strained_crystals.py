"""Strongly strained crystals of known truth, by the defaults of ``unflat phase``: where projections alone stagnate.

Each displacement reaches 3 rad. Every other crystal is measured with a point-spread function, which a reconstruction
must neither miss nor widen in place of the strain. The default recipe was chosen on four crystals of other seeds.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

import unflat

from .ledger import Ledger, Numbers, Row
from .table import spread

NAME = "strained crystals (simulated)"
SEEDS = tuple(range(30, 40))
SIGMA = 0.45
"""[pixel] Width of the point-spread function along each axis."""
FOUND = 0.9
"""Correlation with the truth from which a crystal counts as found."""
AXES = ("frame", "y", "x")


def run(ledger: Ledger) -> None:
    """Phase every crystal, and compare density and point-spread function with the truth."""
    seeds = ledger.choose(SEEDS, SEEDS[:1])
    results = [ledger.part(str(seed), _options(ledger, seed), partial(_phase, ledger, seed)) for seed in seeds]
    values = [numbers["correlation"] for numbers in results]
    seconds = float(np.median([numbers["seconds"] for numbers in results]))
    used = sum(numbers.get("network_starts_kept", 0) > 0 for numbers in results)
    how = f"{len(results)} crystals, 3 rad, 1e7 counts, defaults; a start of the network was combined in {used}"
    figure = "correlation with the truth"
    ledger.rows.append(
        Row(NAME, f"{figure}, median", float(np.median(values)), goal=(">", 0.97), how=f"{how}; {seconds:.0f} s")
    )
    above = f"{sum(value > FOUND for value in values)} of {len(values)} above {FOUND:g}"
    ledger.rows.append(Row(NAME, f"{figure}, least", min(values), goal=(">", FOUND), how=above))
    for sigma in (0.0, SIGMA):
        _add_width_row(ledger, sigma, [numbers for numbers in results if numbers["sigma"] == sigma])


def _options(ledger: Ledger, seed: int) -> dict[str, object]:
    sigma = SIGMA if seed % 2 else 0.0
    options: dict[str, object] = {
        "simulate.shape": [48, 48, 48],
        "simulate.flaws": ["substrate"],
        "simulate.strains": ["polynomial", "relaxation"],
        "simulate.phase": [3.0, 3.0],
        "simulate.detector.counts": 1e7,
        "simulate.detector.psf": [sigma, sigma, sigma],
    }
    return options | ledger.choose({}, {"phase.starts": 2, "phase.refine.iterations": 10})


def _phase(ledger: Ledger, seed: int) -> Numbers:
    options = _options(ledger, seed)
    measurement = unflat.simulate("crystal", options, seed=seed)
    own = {name: value for name, value in options.items() if name.startswith("phase.")}
    metrics = unflat.phase(measurement, own, seed=seed).metrics
    return {**metrics, "sigma": SIGMA if seed % 2 else 0.0}


def _add_width_row(ledger: Ledger, sigma: float, results: Sequence[Numbers]) -> None:
    """Add the widths that were fitted to crystals of one point-spread function."""
    widths = [numbers[f"psf_{axis}"] for numbers in results for axis in AXES]
    if widths:
        ledger.rows.append(
            Row(
                NAME,
                f"width of the point-spread function, true {sigma:g}",
                float(np.median(widths)),
                unit="pixel",
                how=f"median of all axes; {spread(widths, 2)}",
            )
        )
