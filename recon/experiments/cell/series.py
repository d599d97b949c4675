"""Likelihoods of a series of acquisitions of one cell: one instrument, one box, and light that may differ."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...runs.context import RunContext
from .choices import Choices
from .fit_checks import CHOICES, check_fit
from .geometry import Geometry
from .likelihood import CellLikelihood, likelihood


def series_likelihoods(contexts: Sequence[RunContext]) -> list[CellLikelihood]:
    """Build the likelihoods, in the box that suits the light of all acquisitions.

    The choices that the config leaves open are made for the acquisition in the middle.

    Raises:
        ConfigError: If the physics that the config names does not hold for a measurement.
        Stopped: If the run was asked to end early.
    """
    parts = [likelihood(context.config, context.measurement) for context in contexts]
    geometry = max((part.geometry for part in parts), key=_fineness)
    parts = [replace(part, geometry=geometry) for part in parts]
    middle = len(parts) // 2
    choices = Choices(parts[middle], contexts[middle])
    choices.make()
    chosen = choices.likelihood
    first = chosen.first_corrections
    return [
        replace(part.with_choices(absorbs=chosen.absorbs, sign=chosen.sign), first_corrections=first) for part in parts
    ]


def check_acquisition(context: RunContext, part: CellLikelihood, numbers: Mapping[str, float]) -> dict[str, float]:
    """Complete the numbers of one acquisition by the choices for all, and by the tests of a fit of it alone."""
    chosen = {name: float(value) for name, value in context.folder.read_choices().items() if name in CHOICES}
    settings = context.config.fit
    return check_fit(part, dict(numbers) | chosen, context.folder.path, settings.sign, settings.steps)


def _fineness(geometry: Geometry) -> tuple[int, int]:
    """Order geometries by the number of samples of their boxes and of the waves around them."""
    return int(np.prod(geometry.lattice.shape)), int(np.prod(geometry.padded.shape))
