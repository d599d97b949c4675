"""Check of a description of the light, for ``unflat check --light``: a table, and the settings to change."""

from typing import NamedTuple

import numpy as np

from ...acquisition import Acquisition
from ...errors import ConfigError, Diagnostic
from .config import CellSettings
from .config_acquisition import CellAcquisition
from .forward_model import CellForwardModel
from .illumination import DIRECTIONS
from .light_description import Description, is_uncorrected, settings_of
from .light_ranking import Ranked, described_among, linear_test, rank, shifted
from .likelihood import likelihood
from .linear_test import LinearTest
from .schema import illumination_mode

_SHIFT = 0.05
"""Numerical aperture of the shifts that are tried, except for an array of LEDs: there it is that of one LED."""
_SHIFT_RATIO = 0.95
"""Residual of shifted light, over that of the described one, below which it is reported: linear theory of a thick cell
misjudges shifts by up to a few hundredths of an aperture."""
_SHIFT_ERRORS = 3.0
"""Standard errors by which the squared residual must then be smaller."""
_NO_TEST = "--light compares images of a specimen at rest, of which at least 6 are bright fields that show it"


class LightCheck(NamedTuple):
    """Result of the check.

    Args:
        lines: Table and conclusion.
        faults: Settings to change.
    """

    lines: list[str]
    faults: list[Diagnostic]


def check_light(settings: CellSettings, acquisition: Acquisition) -> LightCheck:
    """Rank the orientations of the light, the sign of the focus and shifts of its centre.

    Raises:
        ConfigError: If the measurement is not of a kind that tells them.
    """
    model: CellForwardModel = likelihood(settings, acquisition)
    test = linear_test(model)
    if test is None:
        raise ConfigError(Diagnostic("", _NO_TEST, "check it without --light"))
    ranking = rank(test)
    described, config = described_among(ranking), settings.acquisition
    lines = _table(ranking, described, config)
    best = ranking[0]
    if best is not described and best.is_clearly_below(described):
        return LightCheck(lines, [_wrong_light(best, described, config)])
    rivals = [ranked for ranked in ranking if ranked is not described and not described.is_clearly_below(ranked)]
    if rivals:
        names = "; ".join(description.name for ranked in rivals for description in ranked.descriptions)
        lines.append(f"these images do not tell the described light from others: {names}")
    elif len(ranking) > 1:
        lines.append("the described light explains the images best")
    lines += _opposite_light(described, config)
    lines += _better_shift(test, described, config)
    return LightCheck(lines, [])


def _table(ranking: list[Ranked], described: Ranked, config: CellAcquisition) -> list[str]:
    lines = [f"{'light':34} {'residual':>8} {'relative':>8}  settings"]
    for ranked in ranking:
        for description in ranked.descriptions:
            text = " ".join(settings_of(description, config)) or "as they are"
            ratio = ranked.relative_to(described)
            lines.append(f"{description.name:34} {ranked.residual:8.3f} {ratio:8.3f}  {text}")
    return lines


def _wrong_light(best: Ranked, described: Ranked, config: CellAcquisition) -> Diagnostic:
    """Report light that another orientation explains better."""
    ratio = best.relative_to(described)
    message = f"the light {best.descriptions[0].name} explains the images better: {ratio:.2f} times the residual"
    choices = [_options(each, config) for each in best.descriptions]
    remedy = choices[0]
    if len(choices) > 1:
        remedy += f", or {choices[1]}: the images tell no difference; one of them gives a cell above the index of its "
        remedy += "medium, the other one below it"
    return Diagnostic("acquisition", message, remedy)


def _opposite_light(described: Ranked, config: CellAcquisition) -> list[str]:
    """Say that the opposite light cannot be excluded by the images."""
    others = [each for each in described.descriptions if each != Description()]
    if not others:
        return []
    settings = _options(others[0], config)
    return [
        f"the light {others[0].name} cannot be told apart by these images: it explains them by a specimen of the "
        f"opposite contrast; if a fit gives a cell below the index of its medium, take {settings}"
    ]


def _options(description: Description, config: CellAcquisition) -> str:
    """Options of a command that describe the light so."""
    return " ".join(f'--set "{setting}"' for setting in settings_of(description, config))


def _better_shift(test: LinearTest, described: Ranked, config: CellAcquisition) -> list[str]:
    """Try shifts of the light's centre in eight directions; a hint, as thick cells mislead linear theory in this."""
    grid = config.led_grid if illumination_mode(config) == "led_grid" else None
    is_counted = grid is not None and grid.positions is None and grid.pitch.is_literal and grid.height.is_literal
    step = float(grid.pitch.value / grid.height.value) if grid is not None and is_counted else _SHIFT
    trials = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    ranking = [shifted(test, step * np.array(trial)) for trial in trials]
    best = int(np.argmin([ranked.residual for ranked in ranking]))
    ratio = ranking[best].relative_to(described)
    if ratio >= _SHIFT_RATIO or ranking[best].errors_below(described) < _SHIFT_ERRORS:
        return []
    y, x = trials[best]
    shift = np.array(config.light_correction.shift) + step * np.array([y, x])
    setting = f"acquisition.light_correction.shift=[{shift[0]:.4g},{shift[1]:.4g}]"
    if grid is not None and is_counted and is_uncorrected(config):
        axes = np.array([DIRECTIONS[grid.row_axis], DIRECTIONS[grid.column_axis]])
        rows, columns = np.array(grid.centre) - axes @ np.array([y, x])
        setting = f"acquisition.led_grid.centre=[{rows:g},{columns:g}]"
    return [
        f"light shifted by NA ({step * y:.3g}, {step * x:.3g}) along (y, x) leaves {ratio:.2f} times the residual: "
        f'--set "{setting}" if the light may be so; a thick cell misleads this test, and a fit with '
        "fit.refine.sources=rigid finds shifts better"
    ]
