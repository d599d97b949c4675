"""Accuracy against the number of images: three fields and linear IDT on one simulated cell.

The cell is simulated by SSNP at half the voxel with photon noise; everything else sees it by multi-slice, or linearly.
All views that there are are fitted: none is withheld, and every fit takes the same number of steps.
"""

from pathlib import Path
from typing import Any

import numpy as np

from unflat.recon.kinds import kind_named
from unflat.recon.settings import load_config
from unflat.recon.settings.shipped import shipped

from .commands import Options, fit, settings_of, unflat
from .ledger import Ledger, Numbers
from .linear import STRENGTHS, against_truth, best_answer, problem_of, volume_of
from .pictures import panels, save_small

NAME = "fewer images (simulated cell)"
SIMULATED: Options = {
    "simulate.shape": [64, 64],
    "simulate.depth": "7 um",
    "volume.depth": "7 um",
    "simulate.illumination.count": 48,
}
EVERY = {48: "all", 24: "::2", 12: "::4", 8: "::6"}
"""Views to take, by their number; along the spiral, so that each set fills the aperture."""
FIT: Options = {"fit.steps": 160, "fit.withheld": 0, "fit.sign": "nonnegative"}
OF_FIELD: dict[str, Options] = {
    "pyramid": {},
    "voxels": {},
    "fourier": {"fit.learning_rate": 0.002},
}
"""Tune here: each field may have a strength and a rate of its own, the same for all numbers of views."""
TINY_SIMULATED: Options = {
    "simulate.shape": [24, 24],
    "simulate.depth": "3 um",
    "volume.depth": "3 um",
    "simulate.illumination.count": 12,
}
TINY: Options = {"fit.steps": 3, "fit.fourier.width": 8, "fit.fourier.depth": 2}
TINY_EVERY = {12: "all", 6: "::2"}
SHOWN = (48, 24, 8)
"""Numbers of views that have a line in the table."""


def run(ledger: Ledger) -> None:
    """Simulate once, reconstruct from more and fewer views by each method."""
    made = {**SIMULATED, **ledger.choose({}, TINY_SIMULATED)}
    config, acquisition = ledger.scratch / "config.yaml", ledger.scratch / "acquisition.h5"
    config.write_text(shipped("demo-cell"), encoding="utf-8")
    ledger.part("simulate", made, lambda: _simulate(ledger, config, acquisition, made))
    every: dict[int, str] = ledger.choose(EVERY, TINY_EVERY)
    found: dict[str, dict[int, Numbers]] = {"linear IDT": {}, **{field: {} for field in OF_FIELD}}
    for count, views in every.items():
        seen = {**made, "acquisition.views": views, "fit.withheld": 0}
        found["linear IDT"][count] = ledger.part(
            f"linear-{count}", seen, lambda s=seen: _linear(config, acquisition, s)
        )
        for field, own in OF_FIELD.items():
            options = {**seen, **FIT, **own, **ledger.choose({}, TINY), "fit.field": field}
            output = ledger.scratch / f"{field}-{count}"
            found[field][count] = ledger.part(
                f"{field}-{count}", options, lambda c=options, o=output: fit(config, acquisition, o, c, ledger.device)
            )
    _draw(ledger, found)
    _tell(ledger, found, every)


def _simulate(ledger: Ledger, config: Path, acquisition: Path, options: Options) -> Numbers:
    words: list[str | Path] = ["simulate", config, "-o", acquisition, "--force", "--device", ledger.device]
    for assignment in settings_of(options):
        words += ["--set", assignment]
    return {"seconds": unflat(*words, log=ledger.scratch / "simulate.log").seconds}


def _linear(config: Path, path: Path, options: Options) -> Numbers:
    """Linear IDT at its best strength for the truth."""
    settings: Any = load_config(config, settings_of(options))
    kind = kind_named("cell")
    acquisition = kind.read(settings, path)
    if acquisition.truth is None:
        raise ValueError(f"no truth in {path}")
    measured = problem_of(settings, acquisition)
    merit = against_truth(measured, acquisition.truth, "snr")
    best = best_answer(measured, np.arange(measured.views), merit, strengths=STRENGTHS)
    return kind.score(volume_of(measured, best.contrast), acquisition.truth) | {"strength": best.strength}


def _draw(ledger: Ledger, found: dict[str, dict[int, Numbers]]) -> None:
    def of(figure: str) -> dict[str, dict[float, float]]:
        return {name: {float(n): numbers[figure] for n, numbers in by.items()} for name, by in found.items()}

    drawn = panels([(of("snr"), "SNR (dB)", None), (of("ncc"), "NCC", None)], "images")
    save_small(drawn, ledger.figure("views"))


def _tell(ledger: Ledger, found: dict[str, dict[int, Numbers]], every: dict[int, str]) -> None:
    for figure, name, unit, digits in (("snr", "SNR", "dB", 2), ("ncc", "NCC", "", 4)):
        for count in [n for n in SHOWN if n in every] or list(every):
            others = ", ".join(
                f"{field} {by[count][figure]:.{digits}f}" for field, by in found.items() if field != "pyramid"
            )
            ledger.row(
                f"{name}, {count} images",
                found["pyramid"][count][figure],
                name=NAME,
                unit=unit,
                digits=digits,
                reference=", ".join(others),
                how=f"pyramid field, {FIT['fit.steps']} steps of all; linear IDT at its best α for the truth",
            )
    whole = {field: by[max(every)]["wall_seconds"] for field, by in found.items() if field != "linear IDT"}
    ledger.notes.append(
        f"Time of the fit of all {max(every)} images, whole process: "
        + ", ".join(f"{field} {seconds:.0f} s" for field, seconds in whole.items())
        + "."
    )
