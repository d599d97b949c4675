"""Neural field on the gold crystal: likelihood, size and a zoom, compared with `unflat phase` of the same seeds.

One code evaluates both on the good pixels of the file, and on those that both withheld. The figure zooms into an edge
of the continuous model, and of the volume sampled from it.
"""

from functools import partial
from pathlib import Path

import numpy as np

from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io.result import read_result
from unflat.recon.io.volume_formats import read_volume
from unflat.recon.sampled import Sampled

from .commands import Options, reconstruct
from .diffraction import compare_counts, read_solution
from .gold import GOALS, measured
from .gold import TINY as TINY_PHASE
from .ledger import Ledger, Numbers, Skipped
from .pictures import closer, save_small
from .places import shared
from .table import spread

NAME = "neural field on the gold crystal (real data)"
SEEDS = (0,)
TINY: Options = {**TINY_PHASE, "fit.starts": 1, "fit.steps": 10}
WAYS = ("fit", "phase")
METRICS = (
    *("llk", "llk_free", "chi_rms", "steps", "model_bytes", "volume_bytes", "model_parameters", "voxels"),
    *("seconds", "wall_seconds", "cpu_seconds"),
)
FACTORS = (1.0, 4.0, 16.0)


def run(ledger: Ledger) -> None:
    """Fit and phase with every seed."""
    source = shared("crystals/gold64.npz")
    seeds, changes = ledger.choose(SEEDS, SEEDS[:1]), ledger.choose({}, TINY)
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("gold-crystal"), encoding="utf-8")

    def numbers(way: str, seed: int) -> Numbers:
        known = {"set": changes, "seed": seed}
        return ledger.part(f"{way}-{seed}", known, partial(_run, ledger, way, config, source, changes, seed))

    results = {way: [numbers(way, seed) for seed in seeds] for way in WAYS}
    ledger.part("zoom", {"factors": FACTORS, "set": changes, "seed": seeds[0]}, partial(_zoom, ledger, seeds[0]))
    ledger.figure("gold-field")
    _add_rows(ledger, results)


def _run(ledger: Ledger, way: str, config: Path, source: Path, changes: Options, seed: int) -> Numbers:
    output = ledger.scratch / f"{way}-{seed}"
    numbers = reconstruct(way, config, source, output, {**changes, "seed": seed}, ledger.device)
    answer = read_solution(output)
    figures = compare_counts(answer.modelled, *measured(source), answer.free)
    return {name: numbers[name] for name in METRICS if name in numbers} | {"judged": figures}


def _zoom(ledger: Ledger, seed: int) -> Numbers:
    """Draw the zoom.

    Returns:
        The centre of the zoom.
    """
    run = ledger.scratch / f"fit-{seed}"
    if not (run / "model.h5").is_file():
        raise Skipped("the fitted model is not here, only its figures: run it with --again")
    model = read_result(run / "model.h5")
    point = _edge(model)
    results: dict[str, Sampled] = {"continuous model": model, "sampled volume": read_volume(run / "volume.h5")}
    save_small(closer(results, point, FACTORS, "amplitude"), ledger.figure("gold-field"))
    return {"point": list(point)}


def _edge(model: Sampled) -> tuple[float, float, float]:
    """Find the edge of the crystal on the line from the centre of the box along x."""
    low, high = model.bounds
    z, y, middle = (float(a + b) / 2 for a, b in zip(low, high, strict=True))
    line = np.linspace(middle, high[2], 400)
    values = model.sample(np.array([z]), np.array([y]), line, quantity="amplitude")[0, 0]
    return z, y, float(line[int(np.flatnonzero(values > 0.5 * values.max()).max(initial=0))])


def _add_rows(ledger: Ledger, results: dict[str, list[Numbers]]) -> None:
    add = partial(ledger.row, name=NAME)

    def of(way: str, figure: str) -> list[float]:
        return [float(numbers[figure]) for numbers in results[way]]

    of_all = "the pixels that were fitted, as the runs tell it"
    for figure, said, digits in (("llk", "LLK", 2), ("llk_free", "free LLK", 2), ("chi_rms", "chi_rms", 4)):
        values, beside = of("fit", figure), of("phase", figure)
        pixels = of_all if figure != "llk_free" else "5 % of the pixels, in islands, never fitted by either"
        add(
            said,
            max(values),
            digits=digits,
            reference=f"`unflat phase` {spread(beside, digits)}",
            goal=("<", GOALS[figure]) if figure in GOALS else ("<", max(beside)),
            how=f"`unflat fit`, defaults; the worst of {len(values)} seeds; {pixels}; {spread(values, digits)}",
        )
    every = [numbers["judged"]["llk"] for numbers in results["fit"]]
    beside = [numbers["judged"]["llk"] for numbers in results["phase"]]
    how = f"all good pixels of the file, withheld ones too, at the scale that suits best; {spread(every, 2)}"
    add("LLK of all pixels", max(every), digits=2, reference=f"`unflat phase` {spread(beside, 2)}", how=how)
    small, large = of("fit", "model_bytes")[0], of("fit", "volume_bytes")[0]
    numbers, voxels = of("fit", "model_parameters")[0], of("fit", "voxels")[0]
    how = f"{numbers:.0f} numbers; the volume has {voxels:.0f} voxels with all quantities and the detector's frame"
    add("model file", small / 1e3, unit="kB", digits=0, reference=f"sampled volume {large / 1e3:.0f} kB", how=how)
    seconds, cost = of("fit", "wall_seconds"), np.median(of("fit", "cpu_seconds"))
    reference = f"`unflat phase` {np.median(of('phase', 'wall_seconds')):.0f} s"
    how = f"median, whole process, phasing of the start included; {cost:.0f} s of CPU"
    add("time", float(np.median(seconds)), unit="s", digits=0, reference=reference, how=how)
