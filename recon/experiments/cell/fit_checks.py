"""Numbers of a finished fit that its verdict needs beside those of its result: course, absorption and light."""

from collections.abc import Mapping
from pathlib import Path

from .absorption_test import POOR_RESIDUAL, absorption_ratio
from .convergence import residual_fall
from .light_ranking import light_ranking_numbers
from .likelihood import CellLikelihood
from .pupil_size import pupil_numbers
from .verdict import is_empty, leave_out_known_side

CHOICES = ("sign_chosen", "absorption_chosen", "absorption_ratio", "absorption_trial")
"""Choices before a fit that its verdict rests on, by their names in ``choices.json``."""


def check_fit(
    likelihood: CellLikelihood, numbers: Mapping[str, float], folder: Path, sign: str, steps: int
) -> dict[str, float]:
    """Complete the numbers of a fit by tests of the light and the pupil, and by the course of its residual.

    Args:
        likelihood: Likelihood under the choices of the fit.
        numbers: Numbers of the result, with those of the choices.
        folder: Folder of the run.
        sign: Sign of the contrast as the config gives it.
        steps: Largest number of steps.
    """
    completed = dict(numbers) | residual_fall(folder, steps)
    residual = completed.get("residual_withheld", completed["residual_fitted"])
    tested = likelihood.absorbs or "absorption_ratio" in completed
    if not (is_empty(completed) or tested or residual < POOR_RESIDUAL):
        ratio = absorption_ratio(likelihood)
        completed |= {} if ratio is None else {"absorption_ratio": ratio}
    completed |= light_ranking_numbers(likelihood) | pupil_numbers(likelihood)
    return leave_out_known_side(completed, sign)
