"""Speed of phase retrieval, relative to the Fourier transforms of the same size, and beside cohere.

An iteration needs one forward and one inverse transform. Both loops run in one process, in turns, so that a busy
machine slows both equally; the ratio of each pair counts, and the median of the ratios is reported.
"""

from functools import partial

import numpy as np

from unflat.recon.benchmarking.case import Size
from unflat.recon.benchmarking.measurement import time_case
from unflat.recon.experiments.crystal.benchmarks import MASKED, iterations_in_call, projection_case, simulated_counts

from . import cohere_reference
from .ledger import Ledger, Numbers
from .transforms import summary

NAME = "speed of phasing"
SIZES = {64: 15, 128: 11, 256: 7}
"""Pairs of loops of several iterations, by the edge of the array."""
WAYS = {"HIO": ("hio", False), "ER": ("er", False), "HIO with partial coherence": ("hio", True)}
GOAL_RATIO = 1.3
COHERE = (64, 128)
ELSEWHERE = {64: "cohere 41, PyNX 102–115, a plain jitted loop 205", 128: "cohere 4.4–5.6, PyNX 9.7"}
SEQUENCES = {64: "10*(2*ER+8*HIO)", 128: "2*(2*ER+8*HIO)"}


def run(ledger: Ledger) -> None:
    """Measure every size."""
    for edge, repeats in ledger.choose(SIZES, {16: 2}).items():
        known = {"edge": edge, "iterations": iterations_in_call(edge), "repeats": repeats, "masked": MASKED}
        numbers = ledger.part(f"edge-{edge}", known, partial(_measured, edge, repeats))
        theirs = _cohere(ledger, edge) if edge in COHERE else None
        _add_rows(ledger, edge, numbers, theirs)


def _measured(edge: int, repeats: int) -> Numbers:
    figures: Numbers = {}
    for name, (method, psf) in WAYS.items():
        case = projection_case(method, Size(edge, 1), coherent=not psf)
        timing = time_case(case, repeats)
        figures[name] = summary(timing) | {"per_second": case.steps / float(np.median(timing.seconds))}
    return figures


def _cohere(ledger: Ledger, edge: int) -> Numbers | None:
    """Measure cohere, with shrink-wrap in every iteration as in its example."""
    sequence = SEQUENCES[edge]

    def compute() -> Numbers:
        amplitudes = np.sqrt(simulated_counts(edge))
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
