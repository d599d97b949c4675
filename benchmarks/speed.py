"""Speed: physics relative to its Fourier transforms, fits relative to linear IDT and voxels, and commands."""

import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from .commands import Options, assigned, unflat
from .commands import run as run_program
from .ledger import Ledger, Numbers
from .pictures import panels, save_small
from .race import race, reached
from .scene import OF_FIELD, TINY_FIELD, files, scene, simulate
from .transforms import transforms_ratio

NAME = "speed"
SHAPE, WAVES, REPEATS = (40, 320, 320), 4, 11
"""Shape and batch of the fit of the algae, and number of pairs."""
GOAL_RATIO = 1.5
IMAGES = 24
FIT: Options = {"fit.steps": 240, "fit.withheld": 0, "fit.tv": 0.5}
TINY: Options = {"fit.steps": 10, **TINY_FIELD}
STARTS = 5
"""Number of starts of a command; the median counts."""


def run(ledger: Ledger) -> None:
    """Run all three parts."""
    shape, repeats = ledger.choose((SHAPE, REPEATS), ((4, 32, 32), 2))
    for march in ("multislice", "ssnp"):
        known = {"shape": shape, "waves": WAVES, "repeats": repeats}
        numbers = ledger.part(march, known, lambda m=march: transforms_ratio(m, shape, WAVES, repeats))
        _add_ratio_rows(ledger, march, numbers)
    fit = {**FIT, **ledger.choose({}, TINY)}
    made = scene(ledger, IMAGES, 6)
    known = {"simulated": made, "fit": fit, "fields": OF_FIELD}
    _add_race_rows(ledger, ledger.part("race", known, lambda: race(made, fit, OF_FIELD)))
    starts = ledger.choose(STARTS, 1)
    small = {**made, "fit.steps": 1}
    _add_commands_rows(
        ledger, ledger.part("commands", {"starts": starts, **small}, lambda: _commands(ledger, starts, small))
    )


def _add_ratio_rows(ledger: Ledger, march: str, numbers: Numbers) -> None:
    y, x = ledger.choose(SHAPE, (0, 32, 32))[1:]
    names = {
        "forward": "images",
        "gradient": "images and gradient, every slice's wave kept",
        "blocks": "images and gradient, √Q waves kept",
    }
    for kind, what in names.items():
        figures = numbers[kind]
        ledger.row(
            f"{march}: {what}, over its Fourier transforms",
            figures["ratio"],
            name=NAME,
            digits=2,
            reference="1: the transforms alone",
            goal=("<", GOAL_RATIO),
            how=f"{numbers['needed'][kind]} transforms of {numbers['waves']} × {y} × {x} in "
            f"{figures['transforms_seconds']:.2f} s; median of pairs ({figures['least']:.2f} to "
            f"{figures['most']:.2f}); {figures['cpu_ratio']:.2f} in CPU time",
        )


def _add_race_rows(ledger: Ledger, numbers: Numbers) -> None:
    linear, voxels = numbers["linear"]["snr"], numbers["voxels"][-1][1]
    courses: dict[str, Any] = {name: numbers[name] for name in OF_FIELD}
    alone, whole = numbers["linear"]["seconds"], numbers["voxels"][-1][0]
    goals = (
        ("linear IDT's", linear, f"linear IDT alone {alone:.1f} s"),
        ("voxel TV's final", voxels, f"voxels {whole:.1f} s"),
    )
    for target, level, reference in goals:
        for name, course in courses.items():
            last = course[-1]
            ledger.row(
                f"time of {name} to {target} SNR",
                reached(course, level),
                name=NAME,
                unit="s",
                digits=1,
                reference=reference,
                how=f"{level:.2f} dB on one simulated cell; {name} ends at {last[1]:.2f} dB after {last[0]:.0f} s; "
                "compiling included",
            )
    lines = {name: dict(course) for name, course in courses.items()}
    save_small(panels([(lines, "SNR (dB)", linear)], "seconds"), ledger.figure("speed"))
    ledger.notes.append("The dotted line is linear IDT at its best strength for the truth.")


def _commands(ledger: Ledger, starts: int, options: Options) -> Numbers:
    """Measure Python, import, help and check, and a fit of one step with and without compiled programs."""
    folder, log, cache = ledger.scratch, ledger.scratch / "commands.log", ledger.scratch / "compiled"
    (config, acquisition), changes = files(ledger), assigned(options)
    simulate(ledger, options)
    python = [sys.executable, "-c"]

    def median(*words: str) -> float:
        return statistics.median(run_program(words, log=log, folder=folder).seconds for _ in range(starts))

    command = [sys.executable, "-m", "unflat"]
    seconds: Numbers = {
        "python": median(*python, "pass"),
        "import": median(*python, "import unflat"),
        "jax": median(*python, "import jax"),
        "help": median(*command, "--help"),
        "check": median(*command, "check", str(config), str(acquisition), *changes),
    }
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    environment = {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    words: tuple[str | Path, ...] = (
        "fit",
        config,
        acquisition,
        "-o",
        folder / "start",
        "--force",
        "--device",
        ledger.device,
        *changes,
    )
    for name in ("cold", "warm"):
        seconds[name] = unflat(*words, log=log, folder=folder, environment=environment).seconds
    return seconds


def _add_commands_rows(ledger: Ledger, seconds: Numbers) -> None:
    bare = f"Python alone {seconds['python']:.2f} s"
    lines = (
        ("`import unflat`", "import", f"{bare}, `import jax` {seconds['jax']:.2f} s", "median of fresh processes"),
        ("`unflat --help`", "help", bare, "median of fresh processes"),
        ("`unflat check` of config and acquisition", "check", bare, "median of fresh processes; no jax"),
        ("`unflat fit` of one step, nothing compiled before", "cold", "", "with model, volume and report"),
        ("`unflat fit` of one step, second time", "warm", "", "programs in the compilation cache"),
    )
    for figure, key, reference, how in lines:
        ledger.row(figure, seconds[key], name=NAME, unit="s", digits=2, reference=reference, how=how)
