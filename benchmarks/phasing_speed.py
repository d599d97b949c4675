"""Speed of phase retrieval, relative to the Fourier transforms of the same size, and beside cohere.

An iteration needs one forward and one inverse transform. Both loops run in one process, in turns, so that a busy
machine slows both equally; the ratio of each pair counts, and the median of the ratios is reported.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex

from unflat.recon.phase_retrieval.data import DiffractionData
from unflat.recon.phase_retrieval.pattern import DevicePattern, to_device_pattern
from unflat.recon.phase_retrieval.recipe import ProjectionState, Stage, init_state, run_stage

from . import cohere_reference
from .ledger import Ledger, Numbers
from .transforms import paired

NAME = "speed of phasing"
SIZES = {64: (60, 15), 128: (12, 11), 256: (3, 7)}
"""Iterations of a loop and pairs of loops, by the edge of the array."""
WAYS = {"HIO": ("hio", False), "ER": ("er", False), "HIO with partial coherence": ("hio", True)}
MASKED = 0.05
GOAL_RATIO = 1.3
COHERE = (64, 128)
ELSEWHERE = {64: "cohere 41, PyNX 102–115, a plain jitted loop 205", 128: "cohere 4.4–5.6, PyNX 9.7"}
SEQUENCES = {64: "10*(2*ER+8*HIO)", 128: "2*(2*ER+8*HIO)"}


def run(ledger: Ledger) -> None:
    """Measure every size."""
    for edge, (count, repeats) in ledger.choose(SIZES, {16: (3, 2)}).items():
        known = {"edge": edge, "iterations": count, "repeats": repeats, "masked": MASKED}
        numbers = ledger.part(f"edge-{edge}", known, partial(_measured, edge, count, repeats))
        theirs = _cohere(ledger, edge) if edge in COHERE else None
        _add_rows(ledger, edge, numbers, theirs)


def scene(edge: int) -> np.ndarray:
    """Simulate the counts of a centred block; any pattern serves."""
    rng = np.random.default_rng(0)
    line = np.sinc((np.arange(edge) - edge // 2) / 3) ** 2
    return rng.poisson(1e5 * line[:, None, None] * line[:, None] * line).astype(np.float64)


def pattern_for(edge: int) -> DevicePattern:
    """Return the counts on the device, with some pixels masked."""
    counts = scene(edge)
    good = np.random.default_rng(1).random(counts.shape) >= MASKED
    good[tuple(n // 2 for n in counts.shape)] = True
    return to_device_pattern(DiffractionData(counts, good.astype(np.float32)), 0.05, 0)


def _measured(edge: int, count: int, repeats: int) -> Numbers:
    pattern = pattern_for(edge)
    state = init_state(pattern, jax.random.key(0), 0.1)
    figures: Numbers = {}
    for name, (method, psf) in WAYS.items():
        ours = _iterations(state, pattern, method, count, psf)
        figures[name] = paired(ours, _transforms(state.iterate, count), repeats)
        figures[name]["per_second"] = count / figures[name]["seconds"]
    return figures


def _iterations(
    state: ProjectionState, pattern: DevicePattern, method: str, count: int, psf: bool
) -> Callable[[], Any]:
    """Create a function of ``count`` iterations, as in a stage of a recipe but without a fit of the point spread."""
    from unflat.recon.phase_retrieval import projections, recipe

    if psf:
        sigmas = jnp.full(3, 0.5, jnp.float32)
        state = state._replace(point_spread=state.point_spread._replace(sigmas=sigmas))
        update = projections.UpdateCoefficients(
            *(jnp.asarray(n, jnp.float32) for n in projections.UPDATES[method](0.9))
        )
        number, ceiling = jnp.asarray(count, jnp.int32), jnp.asarray(jnp.inf, jnp.float32)
        return lambda: recipe._iterate(state, pattern, update, ceiling, number, coherent=False)
    stage = Stage(method, 0.9, count, psf=False)
    return lambda: run_stage(state, pattern, stage).iterate


def _transforms(field: Complex[Array, "z y x"], count: int) -> Callable[[], Any]:
    """Create a function of ``count`` forward and inverse transforms."""

    def pair(_: Any, wave: Complex[Array, "z y x"]) -> Complex[Array, "z y x"]:
        return jnp.fft.ifftn(jnp.fft.fftn(wave))

    compiled = jax.jit(lambda wave: lax.fori_loop(0, count, pair, wave))
    return lambda: compiled(field)


def _cohere(ledger: Ledger, edge: int) -> Numbers | None:
    """Measure cohere, with shrink-wrap in every iteration as in its example."""
    sequence = SEQUENCES[edge]

    def compute() -> Numbers:
        amplitudes = np.sqrt(scene(edge))
        runs = [cohere_reference.reconstruct(ledger, f"cohere-{edge}", amplitudes, seed, sequence) for seed in range(3)]
        rates = [result["iterations"] / result["seconds"] for result in runs]
        return {"per_second": float(np.median(rates)), "version": runs[0]["version"]}

    try:
        return ledger.part(f"cohere-{edge}", {"sequence": sequence}, compute)
    except cohere_reference.Absent as error:
        ledger.notes.append(str(error))
        return None


def _add_rows(ledger: Ledger, edge: int, numbers: Numbers, theirs: Numbers | None) -> None:
    for name in WAYS:
        figures = numbers[name]
        ledger.row(
            f"{name} with a mask, {edge}³, over its Fourier transforms",
            figures["ratio"],
            name=NAME,
            digits=2,
            reference="1: the transforms alone",
            goal=("<", GOAL_RATIO),
            how=f"{figures['per_second']:.3g} iterations/s; median of pairs ({figures['least']:.2f} to "
            f"{figures['most']:.2f}); {figures['cpu_ratio']:.2f} in CPU time",
        )
    if theirs is None:
        return
    beside = f"{theirs['version']} (numpy) {theirs['per_second']:.3g} in this run, shrink-wrap in every iteration"
    ledger.row(
        f"iterations a second, {edge}³",
        numbers["HIO"]["per_second"],
        name=NAME,
        unit="/s",
        digits=1,
        reference=beside,
        how=f"HIO with a mask; elsewhere, with one thread: {ELSEWHERE[edge]}",
    )
