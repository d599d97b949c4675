"""Verdicts on simulated cells: how many wrong results are named, and how many right ones are accused.

Each specimen is imaged under light, noise and sampling of its own, on voxels finer than those of the fit. It is then
fitted as it is, and with what people get wrong. Whether a result is right or wrong is decided by the truth alone, not
by what was done to the data. The thresholds of the verdict were chosen on the even seeds; the table is of the odd ones.
"""

import logging
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import rmtree

import numpy as np

from unflat.recon.acquisition import Acquisition
from unflat.recon.errors import QualityError, UnflatError
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.verdict import assess
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.write import write
from unflat.recon.runs.verdict import Verdict

from .ledger import Ledger, Numbers

NAME = "verdict on cells (simulated)"
SPECIMENS = 40
"""Number of specimens; each is fitted once or twice as it is, and three or four times with a fault."""
RIGHT, WRONG = 0.8, 0.5
"""Correlation with the truth from which a result is right, and below which it is wrong; between, it is not counted."""
RIGHT_SNR = 2.0
"""[dB] Least ratio of signal to error of a right result: less is left where its scale or its medium is wrong."""
STEPS = 40
_BLOCK = 4
_OMITTED = ("verdict", "verdict_reasons", "model_bytes", "volume_bytes", "peak_memory_bytes", "model_parameters")

Arrays = dict[str, np.ndarray]
Change = Callable[[Arrays, np.random.Generator], None]


@dataclass(frozen=True)
class Scene:
    """Light and sampling of an instrument.

    Args:
        settings: Lines of ``simulate:``.
        has_focus: Whether views are taken at several foci.
    """

    settings: str
    has_focus: bool = False


SCENES = (
    Scene("shape: [32, 32], pixel_size: 0.2 um, numerical_aperture: 0.65, illumination: {count: 16, na: 0.55}"),
    Scene(
        "shape: [32, 32], pixel_size: 0.25 um, numerical_aperture: 0.5, "
        "illumination: {pattern: ring, count: 16, na: 0.45}"
    ),
    Scene(
        "shape: [32, 32], pixel_size: 0.2 um, numerical_aperture: 0.6, "
        "illumination: {pattern: spiral, count: 6, na: 0.5}, defocus: [-1.5 um, 0.5 um, 1.5 um]",
        has_focus=True,
    ),
    Scene(
        "shape: [28, 28], pixel_size: 0.3 um, numerical_aperture: 0.65, "
        "illumination: {pattern: grid, count: 16, na: 0.55}"
    ),
)


def _scale(name: str, factor: float) -> Change:
    def change(arrays: Arrays, rng: np.random.Generator) -> None:
        arrays[name] = arrays[name] * factor

    return change


def _light(matrix: Sequence[Sequence[float]]) -> Change:
    """Turn or mirror the directions of the light (y, x)."""

    def change(arrays: Arrays, rng: np.random.Generator) -> None:
        arrays["illumination_na"] = arrays["illumination_na"] @ np.array(matrix, float).T

    return change


def _reverse(arrays: Arrays, rng: np.random.Generator) -> None:
    arrays["images"] = arrays["images"][::-1].copy()


def _shift(arrays: Arrays, rng: np.random.Generator) -> None:
    arrays["images"] = np.roll(arrays["images"], 1, axis=0)


def _noise(arrays: Arrays, rng: np.random.Generator) -> None:
    level = float(np.median(arrays["images"]))
    arrays["images"] = rng.poisson(level, arrays["images"].shape).astype(np.float32)


def _nothing(arrays: Arrays, rng: np.random.Generator) -> None:
    pass


FAULTS: Mapping[str, Change] = {
    "views in reverse order": _reverse,
    "views shifted by one": _shift,
    "light mirrored along x": _light([[1, 0], [0, -1]]),
    "light mirrored along y": _light([[-1, 0], [0, 1]]),
    "light transposed": _light([[0, 1], [1, 0]]),
    "light turned by 90°": _light([[0, 1], [-1, 0]]),
    "light turned by 180°": _light([[-1, 0], [0, -1]]),
    "sign of the focus": _scale("defocus", -1),
    "wavelength × 1.5": _scale("wavelength", 1.5),
    "wavelength / 1.5": _scale("wavelength", 1 / 1.5),
    "pixel × 1.5": _scale("pixel_size", 1.5),
    "pixel / 1.5": _scale("pixel_size", 1 / 1.5),
    "objective's aperture × 1.4": _scale("numerical_aperture", 1.4),
    "objective's aperture / 1.4": _scale("numerical_aperture", 1 / 1.4),
    "medium 1.0": _scale("medium_index", 1 / 1.333),
    "medium 1.515": _scale("medium_index", 1.515 / 1.333),
    "nothing but noise": _noise,
}
"""Faults of the description or the order of the images."""
PHYSICS: Mapping[str, str] = {
    "absorption not fitted": "absorption: 0.004",
    "phase far too strong": "contrast: 6",
}
"""Specimens that the fit's physics does not hold for, by the line of ``simulate:`` that makes them."""


def run(ledger: Ledger) -> None:
    """Fit all specimens, and count hits and false alarms."""
    runs: list[Numbers] = []
    count, steps = ledger.choose(SPECIMENS, 2), ledger.choose(STEPS, 4)
    workers = int(os.environ.get("UNFLAT_BENCHMARK_WORKERS", "2"))
    blocks = [list(range(first, min(first + _BLOCK, count))) for first in range(0, count, _BLOCK)]
    named: dict[str, Numbers] = {f"seeds {block[0]}": {"seeds": block, "steps": steps} for block in blocks}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        tasks = {
            seed: pool.submit(runs_of_specimen, seed, ledger.scratch, steps)
            for name, settings in named.items()
            if ledger.again or ledger.parts.get(name, {}).get("settings") != settings
            for seed in settings["seeds"]
        }
        for name, settings in named.items():
            runs += ledger.part(name, settings, partial(_gather, tasks, settings["seeds"]))["runs"]
    _add_rows(ledger, [run for run in runs if run["seed"] % 2])


def _gather(tasks: Mapping[int, Future[list[Numbers]]], block: Sequence[int]) -> Numbers:
    return {"runs": [run for seed in block for run in tasks[seed].result()]}


def runs_of_specimen(seed: int, folder: Path, steps: int) -> list[Numbers]:
    """Fit one specimen as it is, and with some faults.

    Args:
        seed: Seed of the specimen, its light, its noise and its faults.
        folder: Folder for files.
        steps: Number of steps of a fit.
    """
    import jax

    logging.disable(logging.WARNING)
    jax.clear_caches()
    rng = np.random.default_rng([seed, 77])
    scene = SCENES[int(rng.integers(len(SCENES)))]
    contrast, photons = float(np.exp(rng.uniform(np.log(0.15), np.log(1.0)))), float(10 ** rng.uniform(2.7, 4.7))
    specimen = str(rng.choice(["cell", "beads", "cluster"], p=[0.5, 0.3, 0.2]))
    sign = str(rng.choice(["nonnegative", "any"], p=[0.8, 0.2]))
    plain = f"specimen: {specimen}, contrast: {contrast:.3f}"
    clean = _simulate(scene, plain, seed)
    config = f"kind: cell\ndevice: cpu\nseed: {seed}\nfit: {{steps: {steps}, sign: {sign}}}\n"
    described = {"seed": seed, "specimen": specimen, "contrast": contrast, "photons": photons, "sign": sign}
    jobs: list[tuple[str, Acquisition, Change, float]] = [("none", clean, _nothing, photons)]
    jobs.append(("none", clean, _nothing, float(10 ** rng.uniform(2.7, 4.7))))
    names = [name for name in FAULTS if scene.has_focus or name != "sign of the focus"]
    chosen = list(rng.choice([n for n in names if n != "sign of the focus"], 3, replace=False))
    if scene.has_focus:
        chosen[0] = "sign of the focus"
    jobs += [(name, clean, FAULTS[name], photons) for name in chosen]
    if seed % 3 == 1:
        name = list(PHYSICS)[(seed // 3) % 2]
        line = PHYSICS[name] if name.startswith("absorption") else f"specimen: {specimen}, {PHYSICS[name]}"
        line = line if "specimen" in line else f"{plain}, {line}"
        jobs.append((name, _simulate(scene, line, seed), _nothing, photons))
    results = []
    for number, (name, acquisition, change, light) in enumerate(jobs):
        arrays = dict(acquisition.arrays)
        images = rng.poisson(light * arrays["images"].astype(np.float64)) + rng.normal(0, 2, arrays["images"].shape)
        arrays["images"] = np.maximum(images, 0).astype(np.float32)
        change(arrays, rng)
        numbers = _fit(replace(acquisition, arrays=arrays), config, folder / f"{seed}-{number}")
        results.append(described | {"photons": light, "fault": name, "numbers": numbers})
    return results


def _simulate(scene: Scene, specimen: str, seed: int) -> Acquisition:
    """Simulate the images without noise, on voxels half as large as a pixel."""
    camera = "depth: 4 um, photons: null, read_noise: 0"
    text = f"kind: cell\nseed: {seed}\nsimulate: {{{camera}, {scene.settings}, {specimen}}}"
    return get_experiment("cell").simulate(parse_config(text))


def _fit(acquisition: Acquisition, config: str, folder: Path) -> dict[str, float]:
    """Fit an acquisition by the same way as the command; one that is refused gives the number ``refused``."""
    import json

    from unflat.recon.experiments.run import RunOptions, run_method

    folder.mkdir(parents=True, exist_ok=True)
    write(acquisition, get_experiment("cell").schema, folder / "scan.h5")
    try:
        settings = parse_config(config)
        run_method("fit", settings, folder / "scan.h5", RunOptions(folder / "run", force=True, report=False))
    except QualityError:
        pass
    except UnflatError:
        return {"refused": 1.0}
    numbers = json.loads((folder / "run" / "metrics.json").read_text())
    rmtree(folder, ignore_errors=True)
    return {name: value for name, value in numbers.items() if name not in _OMITTED}


def is_accused(run: Numbers) -> bool:
    """Whether a result is doubtful or failed as a whole, not in its contrast alone, or the data were refused."""
    return "refused" in run["numbers"] or not Verdict.of(assess(run["numbers"])).holds


def truth_of(run: Numbers) -> str:
    """Decide by the truth: ``right``, ``wrong``, or ``between``."""
    correlation, ratio = (run["numbers"].get(name, 0.0) for name in ("ncc", "snr"))
    if correlation < WRONG:
        return "wrong"
    return "right" if correlation >= RIGHT and ratio >= RIGHT_SNR else "between"


def _add_rows(ledger: Ledger, runs: Sequence[Numbers]) -> None:
    """Add the totals, and a row for each fault."""
    wrong, right = ([run for run in runs if truth_of(run) == name] for name in ("wrong", "right"))
    for figure, part, goal in (("wrong ones named", wrong, (">", 94.99)), ("right ones accused", right, ("<", 5.0))):
        ledger.row(figure, _share(part), name=NAME, unit="%", digits=1, goal=goal, how=_count(part))
    for fault in dict.fromkeys(run["fault"] for run in runs):
        for figure, part in (("wrong ones named", wrong), ("right ones accused", right)):
            chosen = [run for run in part if run["fault"] == fault]
            if chosen:
                name = "nothing wrong" if fault == "none" else fault
                ledger.row(f"{name}: {figure}", _share(chosen), name=NAME, unit="%", digits=0, how=_count(chosen))
    ledger.notes.append(
        f"Right: correlation with the truth of at least {RIGHT:g}, and {RIGHT_SNR:g} dB; wrong: below {WRONG:g}; "
        f"{len(runs) - len(wrong) - len(right)} of {len(runs)} runs lie between and are not counted. Named or accused: "
        "doubtful or failed, other than in its contrast alone, or refused while the data were read. Specimens with odd "
        "seeds; the thresholds were chosen on the others."
    )


def _share(runs: Sequence[Numbers]) -> float | None:
    """Share of the accused ones, in percent."""
    return 100 * float(np.mean([is_accused(run) for run in runs])) if runs else None


def _count(runs: Sequence[Numbers]) -> str:
    return f"{sum(map(is_accused, runs))} of {len(runs)}"
