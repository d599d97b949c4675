"""Simulated crystals of known truth, by the commands: cases where projections suffice, and where they fail.

A crystal is defined in space and diffracts on a grid finer than that of the reconstruction. It is phased on voxels with
the defaults, and predicted by the shipped network, bare and refined. Results are compared with the truth after the
ambiguities of diffraction have been removed.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from unflat.recon.experiments.shipped_configs import shipped

from .commands import Options, assigned, phase, reconstruct, unflat
from .ledger import Ledger, Numbers
from .table import spread

NAME = "known crystal (simulated)"
SEEDS = (0, 1, 2)
PLAIN: Options = {
    "simulate.shape": [48, 48, 48],
    "simulate.flaws": ["substrate"],
    "simulate.strains": ["polynomial", "relaxation"],
    "simulate.phase": [0.5, 1.5],
    "simulate.detector.counts": 1e7,
}
CASES: dict[str, tuple[str, Options]] = {
    "plain": ("strain of 0.5 to 1.5 rad, 1e7 counts", {}),
    "dislocation": (
        "a screw and an edge dislocation in a strained crystal",
        {"simulate.strains": ["polynomial", "screw", "edge"]},
    ),
    "strong": ("strain of 3 rad", {"simulate.phase": [3.0, 3.0]}),
    "gap": ("a gap of 3 rows beside the brightest one", {"simulate.detector.gap": 3}),
    "hidden": ("a gap of 3 rows through the centre, which hides the peak", {}),
    "partial": ("a third of the frames missing", {"simulate.detector.missing": 0.3333}),
    "coarse": ("oversampling 1.5", {"simulate.oversampling": 1.5}),
}
TINY: Options = {"simulate.shape": [24, 24, 24], "phase.starts": 2, "phase.refine.iterations": 10}
TINY |= {"phase.recipe": [{"hio": {"iterations": 20}}]}
GAP = 3
FOUND = 0.9
"""Correlation with the truth from which a crystal counts as found."""
ACCURACY = (
    "correlation",
    "strain_error",
    "strain_truth",
    "strain_correlation",
    "phase_error",
    "support_overlap",
    "twin",
)
METRICS = ("llk", "llk_free", "agreement", "stagnated", "starts", "wall_seconds")


def run(ledger: Ledger) -> None:
    """Simulate and phase every case with every seed."""
    seeds = ledger.choose(SEEDS, SEEDS[:1])
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("crystal"), encoding="utf-8")
    for case, (what, own) in CASES.items():
        options = {**PLAIN, **own, **ledger.choose({}, TINY)}
        phased = [
            ledger.part(
                f"{case}-{seed}", {**options, "seed": seed}, partial(_phase, ledger, case, {**options, "seed": seed})
            )
            for seed in seeds
        ]
        predicted = [
            ledger.part(
                f"{case}-{seed}-network",
                {**options, "seed": seed},
                partial(_predict, ledger, case, {**options, "seed": seed}),
            )
            for seed in seeds
        ]
        _add_rows(ledger, what, phased)
        _add_network_rows(ledger, what, predicted)
    ledger.notes.append(
        "Correlation is complex and aligned, 1 where density and phase are the truth's. The strain's error is rms over "
        "what both hold inside, against the truth's own rms; its sign is right where the two strains correlate above 0."
    )


def _phase(ledger: Ledger, case: str, options: Options) -> Numbers:
    config, name = ledger.scratch / "config.yaml", f"{case}-{options['seed']}"
    acquisition, options = _simulated(ledger, case, options)
    numbers = phase(config, acquisition, ledger.scratch / name, options, ledger.device)
    return {figure: numbers.get(figure) for figure in (*ACCURACY, *METRICS)}


def _predict(ledger: Ledger, case: str, options: Options) -> Numbers:
    config, name = ledger.scratch / "config.yaml", f"{case}-{options['seed']}"
    acquisition, options = _simulated(ledger, case, options)
    figures: Numbers = {}
    for how in ("bare", "refined"):
        output, own = ledger.scratch / f"{name}-{how}", {**options, "predict.refine": how == "refined"}
        numbers = reconstruct("predict", config, acquisition, output, own, ledger.device)
        figures |= {
            f"{how}_{figure}": numbers.get(figure) for figure in (*ACCURACY, *METRICS, "starts_beside", "answer_kept")
        }
    return figures


def _simulated(ledger: Ledger, case: str, options: Options) -> tuple[Path, Options]:
    """Simulate the measurement of a case.

    Returns:
        Path of the acquisition, and the options by which it is read.
    """
    acquisition = ledger.scratch / f"{case}-{options['seed']}.h5"
    words: tuple[str | Path, ...] = (
        "simulate",
        ledger.scratch / "config.yaml",
        "-o",
        acquisition,
        "--force",
        "--device",
        ledger.device,
    )
    unflat(*words, *assigned(options), log=acquisition.with_suffix(".log"))
    if case != "hidden":
        return acquisition, options
    _hide(acquisition)
    # A hidden peak is refused without a centre and consent.
    return acquisition, {**options, "acquisition.doubtful": "warn", "acquisition.centre": "none"}


def _hide(acquisition: Path) -> None:
    """Mask the central rows of every frame."""
    with h5py.File(acquisition, "a") as file:
        images, mask = file["measurement/images"], file["measurement/mask"]
        middle = images.shape[1] // 2
        rows = slice(middle - GAP // 2, middle + GAP // 2 + 1)
        images[:, rows], mask[:, rows] = 0, 1


def _add_rows(ledger: Ledger, what: str, results: Sequence[Numbers]) -> None:
    add = partial(ledger.row, name=NAME)
    values = {figure: [numbers[figure] for numbers in results if numbers[figure] is not None] for figure in ACCURACY}
    good = sum(value > FOUND for value in values["correlation"])
    seconds = float(np.median([numbers["wall_seconds"] for numbers in results]))
    stagnated = sum(numbers["stagnated"] for numbers in results)
    starts = sum(numbers["starts"] for numbers in results)
    stagnation = f"{stagnated:.0f} of {starts:.0f} starts stagnated"
    how = f"median of {len(results)} crystals; defaults; {stagnation}; {seconds:.0f} s"
    add(
        f"correlation with the truth, {what}",
        float(np.median(values["correlation"])),
        reference=f"{spread(values['correlation'], 3)}; {good} of {len(results)} found",
        how=how,
    )
    if not values["strain_error"]:
        return
    right = sum(value > 0 for value in values["strain_correlation"])
    add(
        f"error of strain, {what}",
        1e4 * float(np.median(values["strain_error"])),
        unit="·10⁻⁴",
        digits=2,
        reference=f"the truth's rms {1e4 * float(np.median(values['strain_truth'])):.2f}·10⁻⁴",
        how=f"sign right in {right} of {len(values['strain_correlation'])}; correlation of the strains "
        f"{spread(values['strain_correlation'], 2)}; phase {float(np.median(values['phase_error'])):.2f} rad rms",
    )


def _add_network_rows(ledger: Ledger, what: str, results: Sequence[Numbers]) -> None:
    bare, refined = ([numbers[f"{how}_correlation"] for numbers in results] for how in ("bare", "refined"))
    beside = sum((numbers["refined_starts_beside"] or 0) > 0 for numbers in results)
    retained = sum((numbers["refined_answer_kept"] or 0) > 0 for numbers in results)
    seconds = float(np.median([numbers["refined_wall_seconds"] for numbers in results]))
    ledger.row(
        f"correlation, the network's answer refined, {what}",
        float(np.median(refined)),
        name=NAME,
        reference=f"{spread(refined, 3)}; the bare answer {float(np.median(bare)):.3f}: {spread(bare, 3)}",
        how=f"median of {len(results)} crystals; ordinary starts were added to {beside}, and {retained} of these kept "
        f"the answer; {seconds:.0f} s",
    )
