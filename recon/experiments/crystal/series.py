"""Likelihoods of a series of acquisitions of one crystal: one box, and densities that are alike where they can be.

Diffraction does not tell a density from its twin, from one that is shifted, or of another global phase, and a phase
ramp is the place of the peak: the initial guesses of all acquisitions are aligned, each with its neighbour's. Each has
an amplitude of its own, as the flux may differ.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool

from ....physics.diffraction.matrix_dft import SupportBox
from ...model import Model
from ...optimize.likelihood import Weights
from ...phase_retrieval.align import align
from ...runs.context import RunContext
from .guess_density import InitialGuess, find_support, read_initial_guess, write_initial_guess
from .initial_guess import FILE_NAME
from .likelihood import CrystalLikelihood, field_box
from .model import build_model
from .preprocess import PreprocessedScan, preprocess
from .series_start import find_series_guess

_log = logging.getLogger(__name__)

_UNIT_LEVEL = 1.0
"""Amplitude inside the crystal in units of the initial guess, the same in the models of all acquisitions."""


@dataclass(frozen=True, eq=False)
class SeriesCrystalLikelihood(CrystalLikelihood):
    """Likelihood of one acquisition of a series.

    Args:
        union: Mask of the crystals of all acquisitions.
    """

    union: Bool[np.ndarray, "z y x"]

    @cached_property
    def box(self) -> SupportBox:
        """Box that the fields of all acquisitions fill."""
        return field_box(replace(self.guess, support=self.union), self.settings.fit.fineness)

    def model(self, architecture: Mapping[str, Any], weights: list[Weights], provenance: Mapping[str, Any]) -> Model:
        """Build the model, with an amplitude in the unit of all acquisitions."""
        spacing = self.settings.volume.spacing
        metres = None if isinstance(spacing, str) else spacing
        own = (self.box, self.frame, self.steps, metres, provenance)
        return build_model(architecture, weights, *own, level=_UNIT_LEVEL)


def series_likelihoods(contexts: Sequence[RunContext]) -> list[CrystalLikelihood]:
    """Build the likelihoods, with initial guesses that are aligned.

    Raises:
        Stopped: If the run was asked to end early.
    """
    settings = contexts[0].config
    scans = [preprocess(settings, context.measurement) for context in contexts]
    guesses = _find_guesses(contexts, scans)
    union = np.any([guess.support for guess in guesses], axis=0)
    pairs = zip(scans, guesses, strict=True)
    return [SeriesCrystalLikelihood(settings, scan.corrected(guess.frames), guess, union) for scan, guess in pairs]


def _find_guesses(contexts: Sequence[RunContext], scans: Sequence[PreprocessedScan]) -> list[InitialGuess]:
    """Find the guesses from the middle curve outwards, each aligned with that of its inner neighbour."""
    middle = (len(scans) - 1) // 2
    guesses: dict[int, InitialGuess] = {}
    for number in sorted(range(len(scans)), key=lambda i: abs(i - middle)):
        neighbour = guesses.get(number + (1 if number < middle else -1))
        own = _guess(contexts[number], scans, number, neighbour)
        guesses[number] = own if neighbour is None else _aligned(own, neighbour)
    return [guesses[number] for number in range(len(scans))]


def _guess(
    context: RunContext, scans: Sequence[PreprocessedScan], number: int, neighbour: InitialGuess | None
) -> InitialGuess:
    """Find the guess of one acquisition, or read that of a run that goes on."""
    folder = context.folder.path / "starts"
    path = folder / f"{number}-{FILE_NAME}"
    if not path.is_file():
        _log.info("initial guess of acquisition %d", number + 1)
        folder.mkdir(exist_ok=True)
        guess = find_series_guess(context.config, scans, number, neighbour, context.should_stop)
        write_initial_guess(path, guess, scans[number])
    return read_initial_guess(path, scans[number])  # Equal to the last digit to that of a resumed run.


def _aligned(guess: InitialGuess, reference: InitialGuess) -> InitialGuess:
    """Align a guess with that of a neighbour: twin, shift, ramp and global phase; the pattern stays."""
    result = align(guess.density, reference.density, scale=False)
    density = result.density
    return replace(guess, density=density, support=find_support(density), offset=guess.offset - result.ramp)
