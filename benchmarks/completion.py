"""The cell's network on simulated specimens of every sort: posterior mean and draws against begun fits.

The images are simulated by SSNP at half the pixel, another model than that of the training (multi-slice), with counting
noise. The truth is compared on the camera's pixels. The network has not seen the sorts that
are named as left out, nor any of these instruments.
"""

from functools import partial
from typing import Any, get_args

import numpy as np
from jaxtyping import Float

from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.caps import aperture_of
from unflat.recon.experiments.cell.config_simulation import Sort
from unflat.recon.experiments.cell.initial_guess import STRENGTH, invert_born_model
from unflat.recon.experiments.cell.network.completion import Completion
from unflat.recon.experiments.cell.simulate import simulate
from unflat.recon.experiments.configs import parse_config
from unflat.recon.io.network_file import path_of, read
from unflat.recon.io.write import write
from unflat.recon.metrics import signal_to_noise
from unflat.recon.metrics.missing_cone import Aperture, filter_visible, visible_frequencies
from unflat.recon.optimize.steps import trial_steps
from unflat.recon.optimize.trial import begin_fit
from unflat.recon.volume import Volume

from .ledger import Ledger, Numbers, digest
from .linear import problem_of, volume_of
from .pictures import save_small

NAME = "cell's network"
DRAWS = 8
STEPS = 400
"""Steps of the fit that is begun."""
_Z_90 = 1.645
"""Half the 90 % interval of a normal distribution, in standard deviations."""
_BADLY_SEEN = 0.1
"""Part of the largest contrast by which the missing cone changes a voxel that the light saw badly."""
_MICROSCOPES = (
    ("numerical_aperture=0.65", "illumination.na=0.58", "illumination.count=24", "pixel_size=0.2 um", "depth=9 um"),
    (
        *("numerical_aperture=0.4", "illumination.na=0.36", "illumination.pattern=ring", "illumination.count=16"),
        *("pixel_size=0.33 um", "depth=21 um", "wavelength=515 nm"),
    ),
)
"""Microscopes of even and of odd seeds."""
_PICTURED = ("cell", "filaments", "diatom")


def run(ledger: Ledger) -> None:
    """Judge the shipped network on each sort."""
    count = ledger.choose(2, 1)
    network = path_of("shipped", "cell")
    known = {"specimens": count, "draws": ledger.choose(DRAWS, 2), "pixels": ledger.choose(64, 32)}
    known["network"] = digest(network)
    left_out = read("shipped", "cell").provenance.get("config", {}).get("train", {}).get("left_out", [])
    for sort in get_args(Sort):
        compute = partial(_judge_sort, ledger, sort, known)
        _add_rows(ledger, sort, sort in left_out, ledger.part(sort, known | {"sort": sort}, compute))
    ledger.notes.append(
        "SNR against the truth on the camera's pixels, means over the specimens, of NA 0.65 and 0.4. The begun fit is "
        f"that of {trial_steps(STEPS)} steps, of known sign, the linear answer that of its start (Tikhonov, α "
        f"{STRENGTH:g}). Badly seen voxels are those that the missing cone changes by more than a tenth of the largest "
        "contrast; intervals are ±1.645 standard deviations of the draws about the posterior mean."
    )


def _judge_sort(ledger: Ledger, sort: Sort, known: dict[str, Any]) -> Numbers:
    completion = Completion.load("shipped")
    each = [_judge(ledger, completion, sort, seed, known) for seed in range(known["specimens"])]
    return {name: [one[name] for one in each] for name in each[0]}


def _judge(ledger: Ledger, completion: Completion, sort: Sort, seed: int, known: dict[str, Any]) -> dict[str, float]:
    pixels = known["pixels"]
    microscope = [f"simulate.{setting}" for setting in _MICROSCOPES[seed % len(_MICROSCOPES)]]
    overrides = [f"simulate.specimen={sort}", f"simulate.shape=[{pixels}, {pixels}]", *microscope]
    settings: Any = parse_config("kind: cell", [*overrides, "physics.absorption=false", "fit.sign=nonnegative"])
    settings = settings.model_copy(update={"seed": 900 + seed})
    kind, path = get_experiment("cell"), ledger.scratch / f"{sort}-{seed}-{pixels}.h5"
    if not path.is_file():
        write(simulate(settings), kind.schema, path)
    acquisition = kind.read(settings, path)
    truth = acquisition.truth
    if truth is None:
        raise ValueError(f"no truth in {path}")
    measured = problem_of(settings, acquisition)
    lattice, scope = measured.geometry.lattice, measured.microscope
    aperture = aperture_of(acquisition)
    linear = invert_born_model(measured, np.arange(measured.views), STRENGTH)[0]
    begun = begin_fit(measured, settings.fit, settings.seed, trial_steps(STEPS)).values[0]
    mean_of_linear = completion.mean(linear, lattice.pitch, aperture, is_fit=False)
    mean = completion.mean(begun, lattice.pitch, aperture, is_fit=True)
    draws = completion.draws(begun, lattice.pitch, aperture, known["draws"], seed=0, is_fit=True)
    compared = [volume_of(measured, one[None]) for one in (linear, mean_of_linear, begun, mean, *draws)]
    values = [one.sample(truth.z, truth.y, truth.x) - scope.medium_index for one in compared]
    contrast = np.asarray(truth.main, np.float64) - scope.medium_index
    if seed == 0 and sort in _PICTURED:
        _picture(ledger, sort, [contrast, *values[2:5]], truth)
    return _numbers(contrast, values, truth, aperture) | _widths(compared[2:4], truth)


def _numbers(
    truth: Float[np.ndarray, "z y x"], values: list[Float[np.ndarray, "z y x"]], volume: Volume, aperture: Aperture
) -> dict[str, float]:
    linear, mean_of_linear, begun, mean, *draws = values
    seen = visible_frequencies(truth.shape, volume.spacing, aperture)
    badly = np.abs(truth - filter_visible(truth, seen)) > _BADLY_SEEN * np.abs(truth).max()
    spread = np.std(draws, axis=0, ddof=1)
    inside = np.abs(truth - mean) <= _Z_90 * spread
    return {
        "linear": signal_to_noise(truth, linear),
        "mean_of_linear": signal_to_noise(truth, mean_of_linear),
        "begun": signal_to_noise(truth, begun),
        "mean": signal_to_noise(truth, mean),
        "draw": float(np.mean([signal_to_noise(truth, draw) for draw in draws])),
        "coverage": float(inside[badly].mean()),
        "badly": float(badly.mean()),
    }


def _widths(volumes: list[Volume], truth: Volume) -> dict[str, float]:
    """Axial widths through the truth's brightest feature, relative to the truth's."""
    numbers = [dict(get_experiment("cell").evaluate(one, truth).numbers) for one in volumes]
    widths = [one.get("axial_width", np.nan) / one.get("axial_width_truth", np.nan) for one in numbers]
    return {"width_begun": float(widths[0]), "width_mean": float(widths[1])}


def _picture(ledger: Ledger, sort: str, values: list[Float[np.ndarray, "z y x"]], truth: Volume) -> None:
    """Draw the upright plane through the densest column: truth, begun fit, posterior mean, a draw."""
    from matplotlib.figure import Figure

    row = int(np.argmax(np.abs(values[0]).sum(axis=(0, 2))))
    limit = float(np.abs(values[0]).max())
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    axes = figure.subplots(1, len(values))
    extent = (*(1e6 * truth.x[[0, -1]]), *(1e6 * truth.z[[0, -1]]))
    for axis, one, title in zip(axes, values, ("truth", "begun fit", "posterior mean", "a draw"), strict=True):
        shown = axis.imshow(one[:, row], extent=extent, origin="lower", vmin=-0.3 * limit, vmax=limit)
        axis.set_title(f"{sort}: {title}", fontsize=9)
    axes[0].set_xlabel("x (µm)")
    axes[0].set_ylabel("z (µm)")
    figure.colorbar(shown, ax=axes, label="n − n_m")
    save_small(figure, ledger.figure(f"completion-{sort}"))


def _add_rows(ledger: Ledger, sort: str, left_out: bool, numbers: Numbers) -> None:
    mean = {name: float(np.nanmean(values)) for name, values in numbers.items()}
    name = f"{NAME}: {sort}{' (left out)' if left_out else ''}"
    add = partial(ledger.row, name=name)
    each = ", ".join(f"{value:.2f}" for value in numbers["mean"])
    add(
        "SNR of the posterior mean",
        mean["mean"],
        unit="dB",
        digits=2,
        reference=f"begun fit {mean['begun']:.2f} dB, linear answer {mean['linear']:.2f} dB",
        how=f"each: {each} dB; a draw {mean['draw']:.2f} dB; from the linear answer {mean['mean_of_linear']:.2f} dB",
    )
    add(
        "badly seen voxels within the 90 % interval",
        mean["coverage"],
        goal=("within", 0.8, 0.97),
        how=f"of {100 * mean['badly']:.1f} % of the voxels",
    )
    add(
        "axial width, relative to the truth",
        mean["width_mean"],
        digits=2,
        reference=f"begun fit {mean['width_begun']:.2f}",
    )
