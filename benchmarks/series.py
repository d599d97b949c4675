"""Series of acquisitions as one model, against each acquisition alone, from half of the views.

A cell drifts, swells unevenly at the same dry mass, and its granules go their own ways. Its images are computed by the
split-step microscope in NumPy (`numpy_ssnp`) on voxels of half a pixel, with noise of photons. Half of the views
are the even ones of one acquisition and the odd ones of the next. Crystals are in `series_crystals`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments import get_experiment
from unflat.recon.io.model_file import read_model_series
from unflat.recon.io.write import write
from unflat.recon.sampled import Quantity
from unflat.recon.visualization import series_strip
from unflat.recon.volume import Volume, centred_axis

from . import numpy_ssnp, series_crystals
from .commands import Options
from .ledger import Ledger, Numbers
from .numpy_ssnp import Ellipsoid
from .pictures import save_small
from .series_fits import LEFT_OUT, LEFT_OUT_SEED, STEP, SeriesFits, count_better
from .table import spread

NAME = "series of a cell (simulated)"
SEEDS = (1, 2, 3)
OPTIONS: Options = {
    "volume.depth": "8 um",
    "fit.sign": "nonnegative",
    "physics.absorption": False,
    "fit.steps": 240,
}
TINY: Options = {"fit.steps": 3}

ACQUISITIONS, VIEWS, PIXELS, DEPTH = 5, 16, 48, 8.0
"""Acquisitions, views of each, pixels along the side of an image, and depth of the box [um]."""
PHOTONS = 1000.0
DRIFT, SWELLING, WANDER = 1.2, 0.12, 0.5
"""Drift of the cell [um], growth of its radii (as a fraction), and drift of a granule of its own [um], over all."""


def cell_at(parts: list[Ellipsoid], share: float, seed: int) -> list[Ellipsoid]:
    """Return a cell after a share of the series.

    Args:
        parts: The cell at the beginning.
        share: 0 at the first acquisition, 1 at the last.
        seed: Seed of the movements.
    """
    rng = np.random.default_rng([seed, 43])
    drift = share * DRIFT * _direction(rng)
    growth = 1 + share * SWELLING * rng.uniform(0.6, 1.4, 3)
    moved = []
    for number, part in enumerate(parts):
        own = share * WANDER * _direction(rng) if number > 1 else np.zeros(3)
        centre = np.array(part.centre) * growth + drift + own
        radii = np.array(part.radii) * growth
        contrast = part.contrast / float(np.prod(growth))
        moved.append(Ellipsoid(contrast, _point(centre), _point(radii)))
    return moved


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.standard_normal(3) * (0.5, 1, 1)
    return np.asarray(vector / np.linalg.norm(vector))


def _point(values: np.ndarray) -> tuple[float, float, float]:
    z, y, x = (float(value) for value in values)
    return z, y, x


def simulate_cells(seed: int, folder: Path) -> list[Path]:
    """Write the acquisitions of a series of a cell, with their truths and times."""
    first = numpy_ssnp.random_cell(seed, 0.8 * PIXELS * numpy_ssnp.PIXEL, 0.8 * DEPTH)
    light = numpy_ssnp.spiral(VIEWS, 0.6)
    rng = np.random.default_rng([seed, 44])
    paths = []
    for number in range(ACQUISITIONS):
        parts = cell_at(first, number / (ACQUISITIONS - 1), seed)
        images = numpy_ssnp.images(parts, light, PIXELS, DEPTH)
        counts = rng.poisson(PHOTONS * images).astype(np.float32)
        path = folder / f"t{number}.h5"
        write(_acquisition(parts, counts, light, STEP * number), get_experiment("cell").schema, path)
        paths.append(path)
    return paths


def _acquisition(parts: list[Ellipsoid], counts: np.ndarray, light: np.ndarray, time: float) -> Acquisition:
    micron = 1e-6
    z, flat = (centred_axis(n, numpy_ssnp.PIXEL) for n in (round(DEPTH / numpy_ssnp.PIXEL), PIXELS))
    # The mean of each voxel of 0.2 um, from 2 samples along each edge.
    offsets = np.array([-0.25, 0.25]) * numpy_ssnp.PIXEL
    finer = [np.sort(np.add.outer(axis, offsets).ravel()) for axis in (z, flat, flat)]
    fine = numpy_ssnp.sample(parts, *finer)
    contrast = fine.reshape(len(z), 2, PIXELS, 2, PIXELS, 2).mean(axis=(1, 3, 5))
    quantity = Quantity("refractive_index", "1", "real part of the refractive index")
    values = {quantity.name: (contrast + numpy_ssnp.MEDIUM).astype(np.float32)}
    axes = (micron * z, micron * flat, micron * flat)
    truth = Volume("cell", *axes, values, (quantity,), {"medium_index": numpy_ssnp.MEDIUM})
    arrays = {
        "images": counts,
        "wavelength": np.array(micron * numpy_ssnp.WAVELENGTH),
        "numerical_aperture": np.array(numpy_ssnp.APERTURE),
        "medium_index": np.array(numpy_ssnp.MEDIUM),
        "pixel_size": np.full(2, micron * numpy_ssnp.PIXEL),
        "illumination_na": light,
    }
    return Acquisition("cell", arrays, "simulation", truth, {"time": f"{time:g} s"})


def halve(paths: list[Path], folder: Path, alternate: bool = True) -> list[Path]:
    """Write each acquisition with every other view: the even ones, and of every other acquisition the odd ones."""
    experiment = get_experiment("cell")
    halves = []
    for number, path in enumerate(paths):
        whole = experiment.read(experiment.default_config(), path)
        views = slice(number % 2 if alternate else 0, None, 2)
        arrays = {**whole.arrays, "images": whole["images"][views], "illumination_na": whole["illumination_na"][views]}
        half = folder / path.name
        write(replace(whole, arrays=arrays), experiment.schema, half)
        halves.append(half)
    return halves


def run(ledger: Ledger) -> None:
    """Compare series with acquisitions alone, of cells and of crystals."""
    _run_cells(ledger)
    series_crystals.run(ledger)


def _run_cells(ledger: Ledger) -> None:
    """Fit the series of each seed as one model, and each acquisition alone, from half of the views."""
    options = {**OPTIONS, **ledger.choose({}, TINY)}
    settings = {"photons": PHOTONS, "pixels": PIXELS}
    results = [
        SeriesFits(
            *(ledger, "cell", seed, options, settings),
            *(simulate_cells, halve, lambda model: model.volume(model.grid()), ("snr",)),
        ).numbers()
        for seed in ledger.choose(SEEDS, SEEDS[:1])
    ]
    seeds = ", ".join(map(str, SEEDS[: len(results)]))
    for number in range(ACQUISITIONS):
        own = {name: [result[name]["snr"][number] for result in results] for name in ("series", "half")}
        ledger.row(
            f"SNR at {STEP * number:g} s, one model from half of the views",
            float(np.mean(own["series"])),
            name=NAME,
            unit="dB",
            digits=1,
            reference=f"each alone, the same half: {_of(own['half'])}",
            goal=(">", float(np.mean(own["half"]))),
            how=f"mean of seeds {seeds}: {_of(own['series'])}",
        )
    _add_left_out(ledger, results)
    better, count = count_better(results, "snr")
    ledger.row(
        "acquisitions that the series finds better than alone",
        better / count,
        name=NAME,
        digits=2,
        goal=(">", 0.99),
        how=f"{better} of {count}, from the same half of the views; {_chosen(results)}",
    )
    figure = series_strip(read_model_series(ledger.scratch / f"cell-{SEEDS[0]}" / "series"))
    save_small(figure, ledger.figure("series"))


def _add_left_out(ledger: Ledger, results: Sequence[Numbers]) -> None:
    """Add the row of the acquisition that is left out."""
    result = next(result for result in results if "left out" in result)
    model, mean = (float(result["left out"][name]["snr"]) for name in ("model", "mean"))
    measured = result["series"]["snr"][LEFT_OUT]
    ledger.row(
        f"SNR at {STEP * LEFT_OUT:g} s of a series without that acquisition",
        model,
        name=NAME,
        unit="dB",
        digits=1,
        reference=f"mean of its neighbours, voxel by voxel: {mean:.1f} dB; with it: {measured:.1f} dB",
        goal=(">", mean),
        how=f"between neighbours {2 * STEP:g} s apart; seed {LEFT_OUT_SEED}",
    )


def _of(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f} dB ({spread(values, 1)})"


def _chosen(results: Sequence[Numbers]) -> str:
    """Write the strengths that the series chose by the withheld views."""
    pairs = [[result["series"][f"series_{name}"] for name in ("smoothness", "spatial")] for result in results]
    return "chosen smoothness and factor of fit.tv: " + ", ".join(f"{a:g}, {b:g}" for a, b in pairs)
