"""Accuracy against the number of images: three fields and linear IDT on one simulated cell.

The cell is simulated by SSNP at half the voxel with photon noise; the fits use multi-slice, linear IDT the Born model.
No view is withheld, and every fit takes the same number of steps.
"""

from .commands import Options, fit
from .ledger import Ledger, Numbers
from .linear import nearest_to_truth
from .pictures import panels, save_small
from .scene import OF_FIELD, TINY_FIELD, files, scene, simulate

NAME = "fewer images (simulated cell)"
EVERY = {48: "all", 24: "::2", 12: "::4", 8: "::6"}
"""Selections of views by their number; along the spiral, so that each set fills the aperture."""
FIT: Options = {"fit.steps": 160, "fit.withheld": 0, "fit.sign": "nonnegative"}
TINY: Options = {"fit.steps": 3, **TINY_FIELD}
TINY_EVERY = {12: "all", 6: "::2"}
SHOWN = (48, 24, 8)
"""Numbers of views with a row in the table."""


def run(ledger: Ledger) -> None:
    """Simulate once, and reconstruct from several numbers of views by each method."""
    made = scene(ledger, max(EVERY), max(TINY_EVERY))
    config, acquisition = files(ledger)
    ledger.part("simulate", made, lambda: simulate(ledger, made))
    if not acquisition.exists():  # It is absent where only cached numbers were copied.
        simulate(ledger, made)
    every: dict[int, str] = ledger.choose(EVERY, TINY_EVERY)
    results: dict[str, dict[int, Numbers]] = {"linear IDT": {}, **{field: {} for field in OF_FIELD}}
    for count, views in every.items():
        seen = {**made, "acquisition.views": views, "fit.withheld": 0}
        results["linear IDT"][count] = ledger.part(
            f"linear-{count}", seen, lambda s=seen: nearest_to_truth(config, acquisition, "snr", s)
        )
        for field, own in OF_FIELD.items():
            options = {**seen, **FIT, **own, **ledger.choose({}, TINY), "fit.field": field}
            output = ledger.scratch / f"{field}-{count}"
            results[field][count] = ledger.part(
                f"{field}-{count}", options, lambda c=options, o=output: fit(config, acquisition, o, c, ledger.device)
            )
    _draw(ledger, results)
    _add_rows(ledger, results, every)


def _draw(ledger: Ledger, results: dict[str, dict[int, Numbers]]) -> None:
    def of(figure: str) -> dict[str, dict[float, float]]:
        return {name: {float(n): numbers[figure] for n, numbers in by.items()} for name, by in results.items()}

    drawn = panels([(of("snr"), "SNR (dB)", None), (of("ncc"), "NCC", None)], "images")
    save_small(drawn, ledger.figure("views"))


def _add_rows(ledger: Ledger, results: dict[str, dict[int, Numbers]], every: dict[int, str]) -> None:
    for figure, name, unit, digits in (("snr", "SNR", "dB", 2), ("ncc", "NCC", "", 4)):
        for count in [n for n in SHOWN if n in every] or list(every):
            others = ", ".join(
                f"{field} {by[count][figure]:.{digits}f}" for field, by in results.items() if field != "pyramid"
            )
            ledger.row(
                f"{name}, {count} images",
                results["pyramid"][count][figure],
                name=NAME,
                unit=unit,
                digits=digits,
                reference=others,
                how=f"pyramid field, {FIT['fit.steps']} steps of all; linear IDT at its best α for the truth",
            )
    whole = {field: by[max(every)]["wall_seconds"] for field, by in results.items() if field != "linear IDT"}
    ledger.notes.append(
        f"Time of the fit of all {max(every)} images, whole process: "
        + ", ".join(f"{field} {seconds:.0f} s" for field, seconds in whole.items())
        + "."
    )
