"""Selection and combination of the solutions of a phase retrieval: which starts are refined, and the result of them.

Refined solutions are held by the numbers of their starts; the table has a row for each start, in order, which tells
its outcome.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from ...physics.diffraction.far_field import fftshift3, ifftshift3
from .align import align, centring_shift
from .combine import CombinedSolution, combine
from .pattern import DevicePattern, PointSpread, fit_metrics, ideal_point_spread
from .refinement import RefinementState, free_llk, init_refinement, update_support
from .result import PhasingResult
from .starts import FinishedStart, StartOutcome, classify_start

AGREES_ABOVE = 0.8
"""Correlation with the best solution below which another solution is a different object."""

CLEARLY = 0.85
"""Ratio of free likelihoods, of a refined start to the first mode, below which the start is the result instead.

The mode has less noise than each start, which withheld pixels hardly show; where starts differ it may be none of them.
"""

Table = Sequence[dict[str, Any]]
"""Row of each start, by its number."""


def select_converged(table: Table, pool: Sequence[FinishedStart], voxels: int) -> list[int]:
    """Return the numbers of the best starts that converged; write the outcome of each start to the table.

    Args:
        table: Row of each start.
        pool: Best starts, the best first.
        voxels: Number of voxels of the array.
    """
    llk, llk_free = min(start.llk for start in pool), pool[0].llk_free
    for row in table:
        row["outcome"] = classify_start(row, llk, llk_free, voxels).name
        row["kept"] = False
    converged = {row["number"] for row in table if row["outcome"] == StartOutcome.CONVERGED.name}
    return [start.number for start in pool if start.number in converged]


def best_solution(
    refined: Mapping[int, RefinementState], selected: Sequence[int], pattern: DevicePattern
) -> RefinementState:
    """Return the refined start with the best free likelihood."""
    return refined[min(selected, key=lambda number: free_llk(refined[number], pattern))]


def align_solutions(
    refined: Mapping[int, RefinementState], selected: Sequence[int], table: Table, pattern: DevicePattern
) -> Complex[np.ndarray, "k z y x"]:
    """Align the refined solutions with the best of them, and leave out those of another object.

    Each row of the table gets the correlation with the best, the free likelihood, and whether its start is kept.
    """
    llk_free = {number: free_llk(refined[number], pattern) for number in selected}
    order = sorted(llk_free, key=lambda number: llk_free[number])
    reference = _centred_density(refined[order[0]])
    reference = np.roll(reference, centring_shift(np.abs(reference) ** 2), axis=(0, 1, 2))
    solutions, count = np.empty((len(order), *reference.shape), np.complex64), 0
    for number in order:
        row = table[number]
        aligned = align(_centred_density(refined[number]), reference, ramp=False, scale=False)
        row["correlation"], row["llk_free_refined"] = aligned.correlation, llk_free[number]
        row["kept"] = aligned.correlation >= AGREES_ABOVE
        row["outcome"] = (StartOutcome.CONVERGED if row["kept"] else StartOutcome.DISAGREES).name
        if not row["kept"]:
            continue
        solutions[count] = aligned.density
        count += 1
    return solutions[:count]


def init_mode(combined: CombinedSolution, states: Sequence[RefinementState], threshold: float) -> RefinementState:
    """Start a refinement from the first mode, with the mean point-spread function and a new support.

    Args:
        combined: Combination of the solutions.
        states: The solutions that it combines.
        threshold: Threshold of the support.
    """
    point_spread = ideal_point_spread()
    if states:
        parts = zip(*(state.point_spread for state in states), strict=True)
        point_spread = PointSpread(*(jnp.mean(jnp.stack(part), axis=0) for part in parts))
    density = jnp.asarray(ifftshift3(combined.density))
    support = jnp.asarray(np.asarray(np.abs(ifftshift3(combined.density)) > 0, np.float32))
    state: RefinementState = update_support(init_refinement(density, support, point_spread), threshold)
    return state


def choose_solution(best: RefinementState, mode: RefinementState, pattern: DevicePattern) -> RefinementState:
    """Choose the refined mode, unless the best of the starts explains the withheld pixels clearly better."""
    return best if free_llk(best, pattern) < CLEARLY * free_llk(mode, pattern) else mode


def collect_result(
    final: RefinementState,
    refined: dict[int, RefinementState],
    table: Table,
    pattern: DevicePattern,
    metric: Float[np.ndarray, "3 3"] | None,
) -> PhasingResult:
    """Collect the result; the refined starts are aligned with it and given up one by one.

    Args:
        final: The solution that is the result.
        refined: Refined starts, which are removed.
        table: Row of each start.
        pattern: Measured pattern.
        metric: Metric of reciprocal space (`combine`).
    """
    density = fftshift3(np.asarray(final.density))
    density = density * np.exp(-1j * np.angle(density.sum())).astype(np.complex64)
    members = [number for number in refined if table[number]["kept"]]
    members.sort(key=lambda number: float(table[number]["llk_free_refined"]))
    solutions = np.empty((len(members), *density.shape), np.complex64)
    for solution, number in zip(solutions, members, strict=True):
        solution[...] = align(_centred_density(refined[number]), density, ramp=False, scale=False).density
        del refined[number]
    combined = combine(solutions, metric)
    z, y, x = (float(sigma) for sigma in final.point_spread.sigmas)
    return PhasingResult(
        density,
        fftshift3(np.asarray(final.support)) > 0,
        (z, y, x),
        float(final.point_spread.background),
        _numbers(final, combined, table, pattern),
        tuple(table),
        solutions,
        {"frequency": combined.frequency, "prtf": combined.prtf, "fsc": combined.fsc},
        fftshift3(np.asarray(pattern.free)) > 0,
    )


def _numbers(
    final: RefinementState, combined: CombinedSolution, table: Table, pattern: DevicePattern
) -> dict[str, float]:
    """Metrics of the solution, and of what it was combined from."""
    return {
        **fit_metrics(final.density, final.point_spread, pattern),
        **combined.numbers(),
        "starts": float(len(table)),
        "stagnated": float(sum(row["outcome"] != StartOutcome.CONVERGED.name for row in table)),
        "support_voxels": float(jnp.sum(final.support)),
    }


def _centred_density(state: RefinementState) -> Complex[np.ndarray, "z y x"]:
    return fftshift3(np.asarray(state.density))
