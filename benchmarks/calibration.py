"""Cells of an outside simulator: accuracy by defaults, and instruments that are described wrongly.

The images are made by `numpy_ssnp`, which shares no code with unflat's physics. To calibrate, the light is turned,
shifted and scaled as an LED array that is displaced as a whole, and each view has a brightness of its own, of which the
description knows nothing. The settings of fits were chosen on cells of other seeds.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

import unflat
from unflat.recon.acquisition import Acquisition
from unflat.recon.api import Measurement, configure
from unflat.recon.experiments.cell.schema import REFRACTIVE_INDEX
from unflat.recon.volume import Volume, centred_axis

from . import numpy_ssnp
from .ledger import Ledger, Numbers
from .table import spread

NAME = "outside simulator (NumPy SSNP)"
SEEDS = (301, 302, 303, 304)
PHOTONS = (3000.0, 30000.0)
"""Photons a pixel: of the cells with even numbers, and of those with odd ones."""
MOTIONS = {311: (1.0, (0.012, -0.009), 1.0), 312: (-1.5, (-0.006, 0.008), 1.03)}
"""Turn [°], shift (y, x) and scale of the light by the seed of the cell."""
GAINS = 0.05
"""Standard deviation of the brightness of the views."""
VIEWS, APERTURE = 24, 0.56
SIDE, DEPTH = 64, 7.0
_SIDE_QUICK, _DEPTH_QUICK = 24, 3.0

Directions = Float[np.ndarray, "view 2"]


def run(ledger: Ledger) -> None:
    """Fit cells by defaults, then those under light that is described wrongly."""
    results = []
    for number, seed in enumerate(ledger.choose(SEEDS, SEEDS[:1])):
        settings = {**_settings(ledger, seed), "photons": PHOTONS[number % 2]}
        results.append(ledger.part(f"defaults-{seed}", settings, partial(_by_defaults, ledger, settings)))
    for figure, name, unit in (("snr", "SNR", "dB"), ("ncc", "NCC", "")):
        values = [numbers[figure] for numbers in results]
        photons = ", ".join(f"{count:g}" for count in PHOTONS)
        seconds = float(np.median([numbers["seconds"] for numbers in results]))
        steps = spread([numbers["steps"] for numbers in results], 0)
        how = f"{spread(values, 2)}; {photons} photons a pixel in turn; {steps} steps, {seconds:.0f} s"
        ledger.row(f"{name} by defaults, median of {len(values)} cells", float(np.median(values)), name=NAME, unit=unit,
                   digits=2 if unit else 3, goal=(">", 11.5) if unit else None, how=how)  # fmt: skip
    for seed in ledger.choose(tuple(MOTIONS), tuple(MOTIONS)[:1]):
        turn, shift, scale = MOTIONS[seed]
        settings = {**_settings(ledger, seed), "turn": turn, "shift": shift, "scale": scale, "gains": GAINS}
        _add_rows(ledger, seed, ledger.part(f"calibration-{seed}", settings, partial(_calibrate, ledger, settings)))


def _settings(ledger: Ledger, seed: int) -> Numbers:
    return {
        "seed": seed,
        "side": ledger.choose(SIDE, _SIDE_QUICK),
        "depth": ledger.choose(DEPTH, _DEPTH_QUICK),
        "fit": ledger.choose({}, {"fit.steps": 3}),
    }


def _by_defaults(ledger: Ledger, settings: Numbers) -> Numbers:
    directions = numpy_ssnp.spiral(VIEWS, APERTURE)
    return _fit(ledger, _expose(settings, directions, directions), settings, {})


def _calibrate(ledger: Ledger, settings: Numbers) -> Numbers:
    """Fit one cell with the wrong light, with it and a rigid correction, and with the true light."""
    described = numpy_ssnp.spiral(VIEWS, APERTURE)
    angle = np.deg2rad(settings["turn"])
    y, x = described.T
    turned = np.stack([np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y], axis=1)
    true = settings["scale"] * turned + np.array(settings["shift"])
    rng = np.random.default_rng([settings["seed"], 3])
    gains = 1 + settings["gains"] * rng.standard_normal(VIEWS)
    scan = _expose(settings | {"photons": PHOTONS[1]}, true, described, gains)
    right = Acquisition(scan.kind, {**scan.arrays, "illumination_na": true}, scan.source, scan.truth)
    rigid = {"fit.refine.sources": "rigid"}
    numbers: Numbers = {}
    for name, acquisition, options in (("wrong", scan, {}), ("refined", scan, rigid), ("true", right, {})):
        numbers[name] = _fit(ledger, acquisition, settings, options, gains)
    return numbers


def _expose(
    settings: Numbers, true: Directions, described: Directions, gains: Float[np.ndarray, " view"] | None = None
) -> Acquisition:
    """Image a cell under its true light, and describe another."""
    side, depth, seed = settings["side"], settings["depth"], settings["seed"]
    cell = numpy_ssnp.random_cell(seed, side * numpy_ssnp.PIXEL, depth)
    rng = np.random.default_rng([seed, 2])
    light = settings["photons"] * (np.ones(len(true)) if gains is None else gains)
    counts = rng.poisson(numpy_ssnp.images(cell, true, side, depth) * light[:, None, None])
    axes = [centred_axis(n, numpy_ssnp.PIXEL * 1e-6) for n in (round(depth / numpy_ssnp.PIXEL), side, side)]
    index = (numpy_ssnp.MEDIUM + numpy_ssnp.sample(cell, *(1e6 * axis for axis in axes))).astype(np.float32)
    attributes: dict[str, float | str] = {"medium_index": numpy_ssnp.MEDIUM}
    truth = Volume("cell", *axes, {"refractive_index": index}, (REFRACTIVE_INDEX,), attributes)
    arrays = {
        "images": counts.astype(np.float32),
        "wavelength": np.array(numpy_ssnp.WAVELENGTH * 1e-6),
        "numerical_aperture": np.array(numpy_ssnp.APERTURE),
        "medium_index": np.array(numpy_ssnp.MEDIUM),
        "pixel_size": np.full(2, numpy_ssnp.PIXEL * 1e-6),
        "illumination_na": described,
    }
    return Acquisition("cell", arrays, "NumPy SSNP", truth)


def _fit(
    ledger: Ledger,
    acquisition: Acquisition,
    settings: Numbers,
    options: Numbers,
    gains: Float[np.ndarray, " view"] | None = None,
) -> Numbers:
    chosen = {"volume.depth": f"{settings['depth']:g} um", "device": ledger.device, **settings["fit"], **options}
    result = unflat.fit(Measurement(acquisition, configure("cell", chosen)))
    numbers = dict(result.metrics)
    if gains is not None:
        with h5py.File(Path(result.folder) / "predictions.h5") as file:
            views, brightness = file["views"][()], file["brightness"][()]
        actual = gains[views] / np.median(gains[views])
        numbers["gain_error"] = float(np.sqrt(np.mean((brightness / actual - 1) ** 2)))
        numbers["gain_correlation"] = float(np.corrcoef(brightness, actual)[0, 1])
    return {name: value for name, value in numbers.items() if isinstance(value, float | int)}


def _add_rows(ledger: Ledger, seed: int, numbers: Numbers) -> None:
    """Add the corrections that were found beside those that are right, and the accuracy of three fits."""
    turn, shift, scale = MOTIONS[seed]
    wrong, refined, true = (numbers[name] for name in ("wrong", "refined", "true"))
    name = f"{NAME}: light described wrongly (cell {seed})"
    row: Callable[..., None] = partial(ledger.row, name=name)
    row("turn found", refined["light_turn"], unit="°", goal=_within_tenth(turn), how=f"true {turn:g}")
    for axis, value in zip("yx", shift, strict=True):
        figure = refined[f"light_shift_{axis}"]
        row(f"shift along {axis} found", figure, unit="NA", digits=4, goal=_within_tenth(value), how=f"true {value:g}")
    row("scale found", refined["light_scale"], digits=4, goal=("within", scale - 0.003, scale + 0.003),
        how=f"true {scale:g}")  # fmt: skip
    row("brightness of the views: error", 100 * refined["gain_error"], unit="%", goal=("<", 100 * GAINS / 10),
        how=f"root mean square; injected {100 * GAINS:g} %; correlation {refined['gain_correlation']:.4f}")  # fmt: skip
    others = f"wrong light {wrong['snr']:.2f}, true light {true['snr']:.2f}"
    row("SNR with the light refined", refined["snr"], unit="dB", digits=2, goal=(">", true["snr"] - 0.5),
        how=f"{others}; residual {wrong['residual_withheld']:.3f} to {refined['residual_withheld']:.3f}")  # fmt: skip


def _within_tenth(value: float) -> tuple[str, float, float]:
    return "within", value - abs(value) / 10, value + abs(value) / 10
