"""Rocking curves whose frames are not at even steps, simulated by a direct sum in float64.

A crystal of known truth is sampled on half voxels and summed pixel by pixel at the q of each frame: no FFT, and no code
of the reconstruction. The frames have jitter, back-steps, drift, rolls, or are lost and there twice; counts have
Poisson noise. Each curve is phased on the even grid, in the order of the frames, as before frames had their own q, and
with each frame at its own q. A second set knows nothing of its offsets and fits them with the crystal.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Complex, Float

from unflat.physics.phantoms.crystals import density, random_crystal
from unflat.recon.phase_retrieval.align import align
from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.result import NoObjectError
from unflat.recon.phase_retrieval.settings import PhaseSettings

from .angle_bounds import deviations, expect_beyond, voxels_of
from .ledger import Ledger, Numbers
from .pictures import save_small
from .table import spread

NAME = "uneven rocking curves (simulated)"
SEEDS = (0, 1, 2)
EDGE, FINENESS = 32, 2
COUNTS, OVERSAMPLING = 1e7, 2.5
GOAL, ANGLE_GOAL = 0.98, 0.1
_SPACING, _G = 5e-9, np.array([0.0, 2.7e10, 0.0])
Positions = Float[np.ndarray, "frame 3"]


def _jitter(positions: Positions, rng: np.random.Generator, size: float = 0.5) -> Positions:
    return positions + rng.uniform(-size, size, len(positions))[:, None] * [1, 0, 0]


def _drift(positions: Positions, rng: np.random.Generator, size: float = 3.0) -> Positions:
    course = positions[:, 0] / positions[:, 0].max()
    return positions + (size * (1 - course**2))[:, None] * [1, 0, 0]


def _reversals(positions: Positions, rng: np.random.Generator, count: int = 18) -> Positions:
    """Step back at some frames, and forward by more at the others, to the same end."""
    steps = np.ones(len(positions) - 1)
    steps[rng.choice(np.arange(2, len(steps) - 2), count, replace=False)] = -rng.uniform(0.2, 0.8, count)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    along = along / along[-1] * (len(positions) - 1) + positions[0, 0]
    return np.stack([along, positions[:, 1], positions[:, 2]], axis=1)


def _rolls(positions: Positions, rng: np.random.Generator) -> Positions:
    turn = 2 * np.pi * positions[:, 0] / len(positions)
    across = np.stack([np.sin(turn + 1), 0.8 * np.cos(2 * turn)], axis=1) + rng.normal(0, 0.3, (len(positions), 2))
    return positions + np.concatenate([np.zeros((len(positions), 1)), across], axis=1)


def _lost(positions: Positions, rng: np.random.Generator, count: int = 5) -> Positions:
    """Repeat some frames in place of others."""
    frames = np.arange(len(positions))
    lost = rng.choice(frames[4:-4], count, replace=False)
    others = np.setdiff1d(frames, lost)
    return positions[np.sort(np.concatenate([others, rng.choice(others, count, replace=False)]))]


def _gone(positions: Positions, rng: np.random.Generator, count: int = 5) -> Positions:
    """Leave some frames out."""
    return np.delete(positions, rng.choice(np.arange(4, len(positions) - 4), count, replace=False), axis=0)


CURVES: Mapping[str, tuple[Callable[[Positions, np.random.Generator], Positions], ...]] = {
    "even": (),
    "jitter of 0.05 steps": (partial(_jitter, size=0.05),),
    "jitter of 0.1 steps": (partial(_jitter, size=0.1),),
    "jitter of 0.2 steps": (partial(_jitter, size=0.2),),
    "jitter of half a step": (_jitter,),
    "18 reversals": (_reversals,),
    "drift of three steps": (_drift,),
    "rolls of a pixel": (_rolls,),
    "5 frames lost, 5 there twice": (_lost,),
    "5 frames lost": (_gone,),
    "jitter, drift, rolls, lost and repeated": (_jitter, _drift, _rolls, _lost),
}
UNKNOWN = (
    "even",
    "jitter of 0.1 steps",
    "jitter of 0.2 steps",
    "rolls of a pixel",
    "drift of three steps",
)
"""Curves of which the offsets are fitted, from even steps; of the first crystal where nothing else is said."""
HELD_OUT = (3, 4, 5)
"""Crystals that no tuning of the fit saw, of which a jitter of half a step is fitted as well."""
SETTINGS = {"starts": 3, "keep": 1}
DRAWN = ("jitter of half a step", "18 reversals", "5 frames lost, 5 there twice")
"""Curves in the figure, of the first seed."""


def run(ledger: Ledger) -> None:
    """Phase every curve on the even grid and at its own q, and fit the offsets of some."""
    edge, seeds = ledger.choose(EDGE, 16), ledger.choose(SEEDS, SEEDS[:1])
    settings = ledger.choose(SETTINGS, {"starts": 1, "refine": {"iterations": 5}})
    curves = ledger.choose(tuple(CURVES), ("jitter of half a step",))
    part = partial(measure_part, ledger, edge=edge, settings=settings)
    for curve in curves:
        few = ledger.choose(seeds[:1] if curve.startswith("jitter of 0") else seeds, seeds)
        results = {way: [part(curve, seed, way) for seed in few] for way in ("even", "own")}
        _add_row(ledger, curve, results["even"], results["own"])
    for curve in ledger.choose(UNKNOWN, ()):
        _add_fit_row(ledger, curve, [(part(curve, seeds[0], "even"), part(curve, seeds[0], "fit"))])
    for several in ledger.choose((SEEDS, HELD_OUT), ()):
        pairs = [(part(DRAWN[0], seed, "even"), part(DRAWN[0], seed, "fit")) for seed in several]
        _add_fit_row(ledger, f"{DRAWN[0]}, crystals {several[0]} to {several[-1]}", pairs)
    if not ledger.quick:
        _add_bounds(ledger, edge)
    _draw(ledger, curves)


def measure_part(ledger: Ledger, curve: str, seed: int, way: str, edge: int, settings: Mapping[str, object]) -> Numbers:
    """Phase one curve one way, or return its cached numbers."""
    name = f"{curve}-{seed}-{way}"
    work = partial(_phase, curve, seed, edge, way, settings, ledger.scratch / f"{name}.npz")
    return ledger.part(name, {"edge": edge, "counts": COUNTS, **settings}, work)


def measure(curve: str, seed: int, edge: int) -> tuple[Float[np.ndarray, "frame y x"], Positions, np.ndarray]:
    """Simulate a curve.

    Returns:
        Counts in the order of the frames, their positions, and the crystal on half voxels.
    """
    shape = (edge, edge, edge)
    crystal, rng = _crystal(seed, shape), np.random.default_rng([seed, 7])
    positions = np.zeros((edge, 3))
    positions[:, 0] = np.arange(edge) - edge // 2
    for change in CURVES[curve]:
        positions = change(positions, rng)
    intensity = np.abs(direct_sum(crystal, shape, positions)) ** 2
    return rng.poisson(intensity * (COUNTS / intensity.sum())).astype(float), positions, crystal


def direct_sum(
    crystal: Complex[np.ndarray, "z y x"], shape: tuple[int, int, int], positions: Positions
) -> Complex[np.ndarray, "frame rows columns"]:
    """Sum the waves of all samples in each pixel of each frame."""
    inside = np.abs(crystal) > 0
    axes, parts = [], []
    for axis, n in enumerate(crystal.shape):
        used = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        part = slice(used[0], used[-1] + 1)
        parts.append(part)
        axes.append((np.arange(n)[part] - n // 2) / FINENESS)
    box, (z, y, x), (nz, ny, nx) = crystal[tuple(parts)], axes, shape
    frames = np.empty((len(positions), ny, nx), complex)
    for frame, (along, down, right) in zip(frames, positions, strict=True):
        rows = np.exp(-2j * np.pi * np.outer(np.arange(ny) - ny // 2 + down, y) / ny)
        columns = np.exp(-2j * np.pi * np.outer(x, np.arange(nx) - nx // 2 + right) / nx)
        frame[...] = rows @ np.tensordot(np.exp(-2j * np.pi * along * z / nz), box, axes=1) @ columns
    return frames


def _crystal(seed: int, shape: tuple[int, int, int]) -> Complex[np.ndarray, "z y x"]:
    """Draw a strained crystal, and sample it on half voxels."""
    steps = np.eye(3) * _SPACING

    def draw(radius: float) -> object:
        return random_crystal(
            np.random.default_rng([seed, 0]),
            radius=radius,
            bragg_vector=_G,
            phase=(0.5, 1.5),
            strains=("polynomial", "relaxation"),
            flaws=(),
        )

    width = np.ptp(draw(1e-7).shape.body.vertices(), axis=0) / _SPACING  # type: ignore[attr-defined]
    crystal = draw(1e-7 * float(np.min(np.array(shape) / (OVERSAMPLING * width))))
    fine = (FINENESS * shape[0], FINENESS * shape[1], FINENESS * shape[2])
    return np.asarray(density(crystal, steps / FINENESS, fine), complex)  # type: ignore[arg-type]


def window(positions: Positions) -> tuple[np.ndarray, Positions, float]:
    """Sort frames, and scale their steps so that the array just holds them, with the middle where it is."""
    order = np.argsort(positions[:, 0], kind="stable")
    own, count = positions[order].copy(), len(positions)
    scale = max(own[-1, 0] / (count - 1 - count // 2), -own[0, 0] / (count // 2))
    own[:, 0] /= scale
    return order, own, float(scale)


def _truth(crystal: np.ndarray, shape: tuple[int, int, int], count: int, scale: float) -> Complex[np.ndarray, "z y x"]:
    """Sample the crystal as far as a number of frames at even steps of a scale would resolve it."""
    positions = np.zeros((count, 3))
    positions[:, 0] = scale * (np.arange(count) - count // 2)
    field = np.fft.ifftshift(direct_sum(crystal, shape, positions))
    return np.asarray(np.fft.fftshift(np.fft.ifftn(field)))


def reconstruct(curve: str, seed: int, edge: int, way: str, settings: Mapping[str, object]) -> dict[str, object]:
    """Phase a curve, and align the result with the truth."""
    from unflat.recon.phase_retrieval.pipeline import phase

    counts, positions, crystal = measure(curve, seed, edge)
    weights, scale, stated = np.ones(counts.shape, np.float32), edge / len(counts), None
    order = np.arange(len(counts))
    if way == "own":
        order, stated, scale = window(positions)
    data = DiffractionData(counts[order], weights, positions=stated)
    config = PhaseSettings.model_validate(settings)
    if way == "fit":
        refine = config.refine.model_copy(update={"angles": True, "rolls": curve.startswith("rolls")})
        config = config.model_copy(update={"refine": refine})
    truth = _truth(crystal, (edge, edge, edge), len(counts), scale)
    result = phase(data, config, seed)
    aligned = align(result.density, truth)
    return {"result": result, "aligned": aligned, "truth": truth, "positions": positions, "counts": counts}


def _phase(curve: str, seed: int, edge: int, way: str, settings: Mapping[str, object], sections: Path) -> Numbers:
    try:
        parts = reconstruct(curve, seed, edge, way, settings)
    except NoObjectError:
        return {"correlation": 0.0, "llk_free": None}
    result, aligned = parts["result"], parts["aligned"]
    middle = np.s_[:, edge // 2, :]
    np.savez(sections, truth=parts["truth"][middle], result=aligned.density[middle])  # type: ignore[index, attr-defined]
    numbers = {"correlation": aligned.correlation, "llk_free": result.numbers["llk_free"]}  # type: ignore[attr-defined]
    if way == "fit":
        numbers |= _errors(parts)
    return numbers


def bound(seed: int, edge: int, size: int, threshold: float, expects_beyond: bool) -> Numbers:
    """Compute the Cramér-Rao bound of the angles of a jitter of half a step.

    Args:
        seed: Seed of the crystal.
        edge: Pixels along each axis.
        size: Voxels along each axis of the array of the fit.
        threshold: Threshold of its support.
        expects_beyond: Whether as much is expected beyond the measured pixels as on the nearest.
    """
    counts, positions, crystal = measure(DRAWN[0], seed, edge)
    bright = counts.sum(axis=(1, 2)) > 1e-4 * counts.sum()
    level = expect_beyond(counts, size) if expects_beyond else None
    voxels = voxels_of(crystal, FINENESS, edge, size, threshold)
    least = deviations(voxels, positions[:, 0], COUNTS, edge, bright, level)[bright]
    return {"rms": float(np.sqrt(np.mean(least**2))), "largest": float(least.max()), "voxels": len(voxels.values)}


def _add_bounds(ledger: Ledger, edge: int) -> None:
    """Add rows of the bound on the angles of the last crystal, by the array and the support of the fit."""
    finer, seed = round(1.25 * edge), HELD_OUT[-1]
    for size, threshold, expects in ((edge, 0.2, False), (finer, 0.2, False), (finer, 0.2, True)):
        settings = {"seed": seed, "edge": edge, "size": size, "threshold": threshold, "expects_beyond": expects}
        work = partial(bound, seed, edge, size, threshold, expects)
        numbers = ledger.part(f"bound-{size}-{threshold}-{expects}", settings, work)
        beyond = ", as much expected beyond the detector as on the nearest pixels" if expects else ""
        ledger.row(
            f"Cramér-Rao bound of fitted angles, {DRAWN[0]}, crystal {seed}, {size} voxels along each axis{beyond}",
            numbers["rms"],
            name=NAME,
            unit="steps",
            how=f"rms over the frames; largest {numbers['largest']:.2f}; {numbers['voxels']} voxels in the support",
        )


def _draw(ledger: Ledger, curves: Sequence[str]) -> None:
    """Draw sections along the rocking direction, of the truth and of both ways, with the phase as the colour."""
    from matplotlib.figure import Figure

    drawn = [curve for curve in DRAWN if curve in curves and _section(ledger, curve, "own") is not None]
    if not drawn:
        return
    figure = Figure(figsize=(7.5, 2.4 * len(drawn)), layout="constrained")
    for row, curve in zip(figure.subplots(len(drawn), 3, squeeze=False), drawn, strict=True):
        for axes, way, title in zip(row, ("truth", "even", "own"), ("truth", "even grid", "own q"), strict=True):
            section = _section(ledger, curve, "own" if way == "truth" else way, way == "truth")
            if section is not None:
                axes.imshow(_colours(section))
            axes.set(xticks=[], yticks=[], title=title)
        row[0].set_ylabel(curve)
    save_small(figure, ledger.figure("uneven-curves"))


def _section(ledger: Ledger, curve: str, way: str, is_truth: bool = False) -> Complex[np.ndarray, "z x"] | None:
    path = ledger.scratch / f"{curve}-{SEEDS[0]}-{way}.npz"
    return np.load(path)["truth" if is_truth else "result"] if path.is_file() else None


def _colours(section: Complex[np.ndarray, "z x"]) -> Float[np.ndarray, "z x 3"]:
    from matplotlib.colors import hsv_to_rgb

    n, m = section.shape
    part = section[n // 5 : -n // 5, m // 5 : -m // 5]
    amplitude = np.abs(part)
    part = part * np.exp(-1j * np.angle(np.sum(part * amplitude)))
    brightness = np.clip(amplitude / np.quantile(amplitude, 0.98), 0, 1)
    return np.asarray(
        hsv_to_rgb(np.stack([np.angle(part) / (2 * np.pi) % 1, 0 * amplitude + 0.8, brightness], axis=-1))
    )


def _errors(parts: Mapping[str, object]) -> Numbers:
    """Compare fitted offsets with the true ones in the gauge of the fit, over the frames with a 10⁻⁴ of the counts."""
    counts, positions = np.asarray(parts["counts"]), np.asarray(parts["positions"])
    frames, result = parts["result"].frames, parts["result"]  # type: ignore[attr-defined]
    even = np.arange(len(counts)) - len(counts) // 2
    true = positions - np.stack([even, 0 * even, 0 * even], axis=1)
    fitted = np.zeros_like(true) if frames is None else frames.offsets
    totals = counts.sum(axis=(1, 2))
    bright = totals > 1e-4 * totals.sum()
    rests = []
    for axis in range(3):
        rest = (fitted - true)[:, axis]
        rests.append((rest - np.polyval(np.polyfit(even[bright], rest[bright], 1), even))[bright])
    return {
        "angle_rms": float(np.sqrt(np.mean(rests[0] ** 2))),
        "angle_largest": float(np.abs(rests[0]).max()),
        "roll_rms": float(np.sqrt(np.mean(np.square(rests[1:])))),
        "frames": int(bright.sum()),
        "before": result.numbers.get("frames_llk_free_before"),  # type: ignore[attr-defined]
        "after": result.numbers.get("frames_llk_free"),  # type: ignore[attr-defined]
        "taken": frames is not None,
    }


def _add_row(ledger: Ledger, curve: str, even: list[Numbers], own: list[Numbers], how: str = "1e7 counts") -> None:
    """Add a row of the correlation, by the even grid and by another way."""
    before, after = ([numbers["correlation"] for numbers in each] for each in (even, own))
    ledger.row(
        f"correlation with the truth, {curve}",
        float(np.median(after)),
        name=NAME,
        goal=(">", GOAL),
        reference=f"even grid {float(np.median(before)):.3f}: {spread(before, 3)}",
        how=f"median of {len(own)} crystals, {how}: {spread(after, 3)}",
    )


def _add_fit_row(ledger: Ledger, curve: str, pairs: Sequence[tuple[Numbers, Numbers]]) -> None:
    """Add rows of the correlation and of the angles' errors, from the even grid and the fit of each crystal."""
    even, fitted = (list(way) for way in zip(*pairs, strict=True))
    taken = f"fit taken in {sum(bool(fit.get('taken')) for fit in fitted)} of {len(pairs)}"
    _add_row(ledger, f"{curve}, unknown and fitted", even, fitted, taken)
    rms, largest = ([fit.get(f"angle_{name}", np.inf) for fit in fitted] for name in ("rms", "largest"))
    ledger.row(
        f"error of fitted angles, {curve}, unknown",
        float(np.median(rms)),
        name=NAME,
        unit="steps",
        goal=("<", ANGLE_GOAL),
        how=f"rms over the frames with 10⁻⁴ of the counts: {spread(rms, 3)}; largest {max(largest):.2f}; {taken}",
    )
