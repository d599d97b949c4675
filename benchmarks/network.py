"""Network for crystals: the gold crystal, unseen simulated crystals, and cases where projections fail.

The training data were simulated. The unseen crystals have another seed; their exposures and masks are drawn as in
training, and they are compared in the box in which the network predicts. Refined predictions are compared with `unflat
phase` and its defaults, with the same pixels withheld.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from unflat.recon.experiments.shipped_configs import shipped

from .commands import Options, assigned, phase, reconstruct, unflat
from .known_crystals import CASES, FOUND, PLAIN, SEEDS
from .known_crystals import TINY as TINY_CRYSTAL
from .ledger import Ledger, Numbers
from .places import shared
from .table import spread

NAME = "network for crystals"
GOLD_SEEDS = (0, 1, 2)
UNSEEN, BATCH, DRAWS, STEPS, SIZE = 200, 8, 4, 8, 64
UNSEEN_SEED = 5_000_000
STRAINS = ((0.0, 0.3), (0.3, 0.8), (0.8, 4.0))
COUNTS = ((1e4, 1e6), (1e6, 1e9))
SURFACE = 0.4
TINY: Options = {"phase.starts": 2, "phase.keep": 1, "phase.refine.iterations": 10}
TINY |= {"phase.recipe": [{"hio": {"iterations": 20}}], "predict.recipe": [{"er": {"iterations": 5}}]}
FASTER, AS_GOOD = 10.0, 1.05


def run(ledger: Ledger) -> None:
    """Run all three parts."""
    _gold(ledger)
    _unseen(ledger)
    _known(ledger)


def _gold(ledger: Ledger) -> None:
    source = shared("crystals/gold64.npz")
    seeds, changes = ledger.choose(GOLD_SEEDS, GOLD_SEEDS[:1]), ledger.choose({}, TINY)
    config = ledger.scratch / "gold.yaml"
    config.write_text(shipped("gold-crystal"), encoding="utf-8")

    def compute(method: str, own: Options, seed: int) -> Numbers:
        output = ledger.scratch / f"{method}-{'refined' if own else 'bare'}-{seed}"
        return reconstruct(method, config, source, output, {**changes, **own, "seed": seed}, ledger.device)

    ways: dict[str, tuple[str, Options]] = {
        "bare": ("predict", {}),
        "refined": ("predict", {"predict.refine": True}),
        "phased": ("phase", {}),
    }
    results = {
        name: [
            ledger.part(f"gold-{name}-{seed}", {"set": changes, **own, "seed": seed}, partial(compute, way, own, seed))
            for seed in seeds
        ]
        for name, (way, own) in ways.items()
    }
    _add_gold_rows(ledger, results)


def _add_gold_rows(ledger: Ledger, results: dict[str, list[Numbers]]) -> None:
    add = partial(ledger.row, name=NAME)

    def of(name: str, figure: str) -> list[float]:
        return [float(numbers[figure]) for numbers in results[name]]

    for figure, said, digits, published in (
        ("chi_rms", "chi_rms", 4, "3D-CDI-NN 0.4256"),
        ("llk", "LLK", 0, "3D-CDI-NN 3270"),
    ):
        values = of("bare", figure)
        how = f"`unflat predict`, the worst of {len(values)} seeds; {spread(values, digits)}"
        add(f"gold crystal, bare answer: {said}", max(values), digits=digits, reference=published, how=how)
    for figure, said, digits in (("chi_rms", "chi_rms", 4), ("llk", "LLK", 2), ("llk_free", "free LLK", 2)):
        values, beside = of("refined", figure), of("phased", figure)
        how = f"`unflat predict --refine`, the worst of {len(values)} seeds; {spread(values, digits)}"
        reference = f"`unflat phase` {spread(beside, digits)}"
        goal = ("<", AS_GOOD * float(np.median(beside))) if figure == "llk_free" else None
        add(f"gold crystal, refined: {said}", max(values), digits=digits, reference=reference, goal=goal, how=how)
    whole, parts = np.array(of("phased", "wall_seconds")), np.array(of("refined", "wall_seconds"))
    cost = f"whole processes: {np.median(parts):.0f} s against {np.median(whole):.0f} s, start and compiling included"
    add(
        "gold crystal, refined: times less time",
        float(np.median(whole / parts)),
        goal=(">", FASTER),
        digits=1,
        how=cost,
    )


def _unseen(ledger: Ledger) -> None:
    count = ledger.choose(UNSEEN, BATCH)
    known = {"count": count, "seed": UNSEEN_SEED, "draws": DRAWS, "steps": STEPS}
    unseen = ledger.part("unseen", known, lambda: _answers(count))
    table = np.array(unseen["table"])
    strain, counts, overlap, phase_error, correlation = table.T
    for low, high in STRAINS:
        for least, most in COUNTS:
            chosen = (strain >= low) & (strain < high) & (counts >= least) & (counts < most)
            if not chosen.any():
                continue
            ledger.row(
                f"strain {low:g}–{high:g} rad, 10^{np.log10(least):.0f}–10^{np.log10(most):.0f} counts: correlation",
                float(np.median(correlation[chosen])),
                name="network, unseen simulated crystals",
                how=f"median of {chosen.sum()}; overlap of the shapes {np.median(overlap[chosen]):.2f}, error of the "
                f"phase {np.median(phase_error[chosen]):.2f} rad; the best of {DRAWS} draws by the pattern",
            )
    for draws, seconds in unseen["seconds"].items():
        ledger.row(
            f"time of an answer, {draws} draw{'s' if draws != '1' else ''}",
            seconds,
            unit="s",
            name="network, unseen simulated crystals",
            goal=("<", 1.0) if draws == "1" else None,
            how=f"{STEPS} steps, loaded and compiled; least of three",
        )


def _answers(count: int) -> Numbers:
    """Predict unseen crystals by the shipped network."""
    import jax
    import jax.numpy as jnp

    from unflat.recon import devices

    devices.use("auto", networks=True)
    from unflat.recon.experiments.crystal.network import flow
    from unflat.recon.experiments.crystal.network.augmentation import make_example
    from unflat.recon.experiments.crystal.network.denoiser import CrystalDenoiser, PatternBatch, misfit
    from unflat.recon.experiments.crystal.network.objective import stack
    from unflat.recon.experiments.crystal.network.simulated_data import simulate_crystal
    from unflat.recon.io.network_file import SHIPPED, read
    from unflat.recon.networks.weights import load_network
    from unflat.recon.phase_retrieval.align import align

    denoiser = load_network(read(SHIPPED, "crystal"), CrystalDenoiser)

    def draws(pattern: PatternBatch, key: int) -> np.ndarray:
        many = PatternBatch(*(jnp.repeat(array, DRAWS, axis=0) for array in pattern))
        start = flow.noise(jax.random.key(key), len(many.amplitude))
        drawn = flow.draw(denoiser, many, start, STEPS)
        best = np.asarray(misfit(drawn, many)).reshape(-1, DRAWS).argmin(axis=1)
        return np.asarray(drawn).reshape(-1, DRAWS, *drawn.shape[1:])[np.arange(len(best)), best]

    rng, table = np.random.default_rng(UNSEEN_SEED), []
    for first in range(0, count, BATCH // DRAWS):
        crystals = [simulate_crystal(UNSEEN_SEED, i, SIZE) for i in range(first, min(first + BATCH // DRAWS, count))]
        examples = [make_example(rng, crystal) for crystal in crystals]
        *seen, truths = stack(examples)
        counts = 10 ** (5 * (seen[2][:, 0] + 1))
        predicted = draws(PatternBatch(*map(jnp.asarray, seen)), first)
        for crystal, total, one, truth in zip(crystals, counts, predicted, truths, strict=True):
            aligned = align(one, truth, ramp=False, scale=False)
            table.append([crystal.strain, float(total), *_compare(aligned.density, truth), aligned.correlation])
    pattern = PatternBatch(*(jnp.asarray(array[:1]) for array in seen))
    seconds = {}
    for number in (1, DRAWS):
        many = PatternBatch(*(jnp.repeat(array, number, axis=0) for array in pattern))

        def answer(many: PatternBatch = many, number: int = number) -> None:
            start = flow.noise(jax.random.key(0), number)
            flow.draw(denoiser, many, start, STEPS).block_until_ready()

        seconds[str(number)] = _least_time(answer)
    return {"table": table, "seconds": seconds}


def _compare(density: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Compute the overlap of the shapes, and the rms error of the phase inside both."""
    shapes = [np.abs(one) > SURFACE * np.percentile(np.abs(one), 99) for one in (density, truth)]
    both = shapes[0] & shapes[1]
    turned = np.angle(density[both] * np.conj(truth[both]))
    return float(both.sum() / max((shapes[0] | shapes[1]).sum(), 1)), float(np.sqrt(np.mean(turned**2)))


def _least_time(work: Callable[[], None]) -> float:
    work()
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def _known(ledger: Ledger) -> None:
    """Run the cases of `known_crystals` from the prediction of the network on."""
    seeds = ledger.choose(SEEDS, SEEDS[:1])
    config = ledger.scratch / "crystal.yaml"
    config.write_text(shipped("crystal"), encoding="utf-8")
    for case, (what, own) in CASES.items():
        if case == "hidden":  # Refused without a peak; `known_crystals` passes the options that allow it.
            continue
        options: Options = {**PLAIN, **own, **ledger.choose({}, {**TINY_CRYSTAL, **TINY})}
        results = [
            ledger.part(
                f"{case}-{seed}", {**options, "seed": seed}, partial(_both, ledger, config, case, options, seed)
            )
            for seed in seeds
        ]
        values = {name: [one[name]["correlation"] for one in results] for name in ("phased", "bare", "refined")}
        seconds = {name: float(np.median([one[name]["wall_seconds"] for one in results])) for name in values}
        good = {name: sum(value > FOUND for value in row) for name, row in values.items()}
        ledger.row(
            f"correlation with the truth, refined, {what}",
            float(np.median(values["refined"])),
            name="network, known crystals (simulated)",
            reference=f"`unflat phase` {spread(values['phased'], 3)}; {good['phased']} of {len(results)} found",
            how=f"{spread(values['refined'], 3)}; {good['refined']} of {len(results)} found; bare answer "
            f"{spread(values['bare'], 3)}; {seconds['refined']:.0f} s against {seconds['phased']:.0f} s",
        )


def _both(ledger: Ledger, config: Path, case: str, options: Options, seed: int) -> Numbers:
    name, options = f"{case}-{seed}", {**options, "seed": seed}
    acquisition = ledger.scratch / f"{name}.h5"
    words: tuple[str | Path, ...] = (
        "simulate",
        config,
        "-o",
        acquisition,
        "--force",
        "--device",
        ledger.device,
        *assigned(options),
    )
    unflat(*words, log=ledger.scratch / f"{name}-simulate.log")
    refine = {**options, "predict.refine": True}
    results = {
        "phased": phase(config, acquisition, ledger.scratch / f"{name}-phased", options, ledger.device),
        "bare": reconstruct("predict", config, acquisition, ledger.scratch / f"{name}-bare", options, ledger.device),
        "refined": reconstruct(
            "predict", config, acquisition, ledger.scratch / f"{name}-refined", refine, ledger.device
        ),
    }
    metrics = ("correlation", "strain_error", "strain_correlation", "llk", "llk_free", "wall_seconds")
    return {way: {figure: numbers.get(figure) for figure in metrics} for way, numbers in results.items()}
