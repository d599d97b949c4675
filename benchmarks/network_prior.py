"""Simulated cells with and without the network's prior on what the light did not see.

Images are simulated by SSNP on half the voxels of the fit, which is by multi-slice. Sorts that the training of the
shipped network left out are among the specimens. A fit that expects the truth itself at the unseen frequencies shows
how much a perfect network would bring.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.caps import aperture_of
from unflat.recon.experiments.cell.likelihood import likelihood
from unflat.recon.experiments.cell.network_prior import expected_completion
from unflat.recon.experiments.cell.unseen import unseen_share
from unflat.recon.experiments.configs import parse_config
from unflat.recon.experiments.run import RunOptions, run_method
from unflat.recon.io.model_file import read_model
from unflat.recon.io.network_file import path_of
from unflat.recon.io.write import write
from unflat.recon.metrics import filter_visible, visible_frequencies
from unflat.recon.optimize.fit import fit_field
from unflat.recon.runs import RunFolder
from unflat.recon.runs.context import RunContext, RunOutcome

from .ledger import Ledger, Numbers, digest

NAME = "network's prior (simulated cells)"
LEFT_OUT = ("diatom",)
"""Specimens of a sort that the training of the shipped network left out."""
SORTS = ("cell", "filaments", "bacteria", *LEFT_OUT)
SEEDS = (1, 2, 3)
CONFIG = """
kind: cell
seed: {seed}
device: {device}
physics: {{absorption: false}}
fit: {{steps: {steps}, sign: nonnegative}}
simulate: {{specimen: {sort}, shape: [56, 56], depth: 6 um, illumination: {{count: 24}}}}
"""
STEPS = 400
QUANTITY = "refractive_index"
BADLY_SEEN = 0.1
"""Part of a voxel's contrast at unseen frequencies, over the largest contrast, from which it is badly seen."""
INTERVAL = 0.9
GOAL_GAIN, GOAL_COVERAGE = 1.5, (0.80, 0.97)

Axis = Float[np.ndarray, " n"]


def run(ledger: Ledger) -> None:
    """Fit each specimen without a prior, with the network's and with a perfect one, and predict it."""
    network = digest(path_of("shipped", "cell"))
    for sort in ledger.choose(SORTS, SORTS[:1]):
        results = []
        for seed in ledger.choose(SEEDS, SEEDS[:1]):
            text = CONFIG.format(sort=sort, seed=seed, steps=ledger.choose(STEPS, 100), device=ledger.device)
            scan = ledger.scratch / f"{sort}-{seed}.h5"
            settings = {"config": text}
            ledger.part(f"{sort}-{seed}-scan", settings, partial(_simulate, text, scan))
            numbers = {}
            for name, compute in (("alone", _fit), ("perfect", _fit_perfect), ("prior", _fit), ("predict", _predict)):
                known = settings | ({"network": network} if name in ("prior", "predict") else {})
                compute_part = partial(compute, text, scan, ledger.scratch / f"{sort}-{seed}-{name}", name)
                numbers[name] = ledger.part(f"{sort}-{seed}-{name}", known, compute_part)
            results.append(numbers)
        _add_rows(ledger, sort, results)
    ledger.notes.append(
        "Medians over the seeds; 'alone' is the best fit without a prior; a perfect prior expects the truth where the "
        f"light sees nothing. A voxel is badly seen if its contrast at unseen frequencies exceeds {BADLY_SEEN:.0%} of "
        "the largest."
    )


def _simulate(text: str, scan: Path) -> Numbers:
    kind = get_experiment("cell")
    write(kind.simulate(parse_config(text)), kind.schema, scan)
    return {}


def _fit(text: str, scan: Path, folder: Path, name: str) -> Numbers:
    changed = text.replace("fit: {", "fit: {prior: shipped, ") if name == "prior" else text
    return _numbers(run_method("fit", parse_config(changed), scan, RunOptions(folder, force=True, report=False)))


def _fit_perfect(text: str, scan: Path, folder: Path, name: str) -> Numbers:
    """Fit with the truth as what is expected at the unseen frequencies."""
    config = parse_config(text)
    measured = likelihood(config, get_experiment("cell").read(config, scan))
    truth = _true_contrast(measured.acquisition, *measured.geometry.lattice.axes)
    share = unseen_share(measured, measured.split().fitted)
    expected = expected_completion(truth, share, 1.0)
    with RunFolder.create(folder, force=True) as opened:
        context = RunContext(config, opened, measured.acquisition)
        compare = get_experiment("cell").compare_with_truth
        return _numbers(fit_field(replace(measured, expected=expected), context, compare))


def _predict(text: str, scan: Path, folder: Path, name: str) -> Numbers:
    """Predict, and count the badly seen voxels whose true index lies in the interval of the draws."""
    numbers = _numbers(run_method("predict", parse_config(text), scan, RunOptions(folder, force=True, report=False)))
    config = parse_config(text)
    acquisition, model = get_experiment("cell").read(config, scan), read_model(folder / "model.h5")
    truth: Any = acquisition.truth
    true = _true_contrast(acquisition, truth.z, truth.y, truth.x)
    unseen = true - filter_visible(true, visible_frequencies(truth.shape, truth.spacing, aperture_of(acquisition)))
    badly_seen = np.abs(unseen) > BADLY_SEEN * np.abs(true).max()
    middle, spread = (model.sample(truth.z, truth.y, truth.x, name) for name in (QUANTITY, f"uncertainty_{QUANTITY}"))
    draws = model.draws
    half = student.ppf((1 + INTERVAL) / 2, draws - 1) * np.sqrt(1 + 1 / draws) * spread
    inside = np.abs(np.asarray(truth.main, float) - middle) <= half
    return numbers | {"covered": float(inside[badly_seen].mean())}


def _true_contrast(acquisition: Acquisition, z: Axis, y: Axis, x: Axis) -> Float[np.ndarray, "z y x"]:
    truth: Any = acquisition.truth
    return np.asarray(truth.sample(z, y, x, quantity=QUANTITY) - float(truth.attributes["medium_index"]))


def _numbers(outcome: RunOutcome) -> Numbers:
    names = ("snr", "ncc", "residual_withheld", "prior_trust", "prior_hidden_ratio", "residual_draws")
    return {name: outcome.numbers[name] for name in names if name in outcome.numbers}


def _add_rows(ledger: Ledger, sort: str, results: list[dict[str, Numbers]]) -> None:
    def median(method: str, name: str) -> float:
        return float(np.median([each[method][name] for each in results]))

    gains = [each["prior"]["snr"] - each["alone"]["snr"] for each in results]
    most = [each["perfect"]["snr"] - each["alone"]["snr"] for each in results]
    by_seed = ", ".join(f"{gain:+.2f}" for gain in gains)
    trusts = ", ".join(f"{each['prior']['prior_trust']:.2f}" for each in results)
    ratios = ", ".join(f"{each['prior'].get('prior_hidden_ratio', np.nan):.2f}" for each in results)
    left_out = " (left out of the training)" if sort in LEFT_OUT else ""
    add = partial(ledger.row, name=f"{NAME}: {sort}{left_out}")
    add(
        "gain of SNR by the prior",
        float(np.median(gains)),
        unit="dB",
        digits=2,
        goal=(">", GOAL_GAIN),
        reference=f"alone {median('alone', 'snr'):.1f} dB; a perfect prior {np.median(most):+.1f} dB",
        how=f"each: {by_seed} dB; trust {trusts}; residual of hidden views {ratios} of that without",
    )
    add(
        "withheld residual over that without",
        float(np.median([e["prior"]["residual_withheld"] / e["alone"]["residual_withheld"] for e in results])),
        goal=("<", 1.01),
    )
    add(
        "SNR of the prediction",
        median("predict", "snr"),
        unit="dB",
        digits=1,
        reference=f"fit {median('alone', 'snr'):.1f} dB",
        how=f"withheld residual {median('predict', 'residual_withheld'):.3f}, fit "
        f"{median('alone', 'residual_withheld'):.3f}",
    )
    covered = median("predict", "covered")
    add("90 % interval of the draws holds the truth", covered, digits=2, goal=("within", *GOAL_COVERAGE))
