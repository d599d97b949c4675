"""Fit of a large field of view tile by tile, and the one model that its tiles are blended into.

The richest tile is fitted first: what the config leaves to the data is chosen by it, and the corrections of the
instrument that it finds are those of all tiles.
"""

import logging
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from ... import processes
from ...optimize.fit import FITTED_VIEWS as SHOWN_VIEWS
from ...optimize.fit import (
    CompareWithTruth,
    FieldResult,
    FitPart,
    FittedField,
    finish_fit,
    fit_members,
    provenance_of,
)
from ...optimize.trial import TRIAL_STEPS
from ...runs.context import RunContext, RunOutcome, Status
from .choices import Choices
from .estimate import choose_tiling, describe_tiling
from .likelihood import CellLikelihood
from .tiles import TiledLikelihood, seam_numbers
from .tiling import Tiling, cut_field, reach_of

_log = logging.getLogger(__name__)
_COUNTS = "tiles"
"""Name of the number of tiles (y, x) in ``choices.json``."""


def tiling_of_run(likelihood: CellLikelihood, context: RunContext) -> Tiling | None:
    """Choose the tiles of a run, or take those that it chose before; None for one piece."""
    settings, acquisition, geometry = likelihood.settings, likelihood.acquisition, likelihood.geometry
    earlier = context.folder.read_choices()
    if settings.fit.tiles == "auto" and _COUNTS in earlier:
        ny, nx = (int(count) for count in earlier[_COUNTS])
        return None if (ny, nx) == (1, 1) else cut_field((ny, nx), settings, acquisition, geometry)
    chosen = choose_tiling(settings, acquisition, geometry)
    # Of several processes, on hosts of their own, the first one's memory decides.
    ny, nx = (int(count) for count in processes.current().share_value((1, 1) if chosen is None else chosen.counts))
    if settings.fit.tiles == "auto":
        context.folder.write_choices(earlier | {_COUNTS: (ny, nx)})
    return None if (ny, nx) == (1, 1) else cut_field((ny, nx), settings, acquisition, geometry)


@dataclass(frozen=True)
class TiledFit:
    """Fit of a field in tiles, from the choices to the results.

    Args:
        likelihood: Likelihood of the whole field.
        tiling: Cut of the field into tiles.
        context: Config and folder.
    """

    likelihood: CellLikelihood
    tiling: Tiling
    context: RunContext

    def run(self, compare_with_truth: CompareWithTruth) -> tuple[CellLikelihood, RunOutcome]:
        """Fit all tiles, and write the model, the volume and the predictions of the whole.

        Returns:
            Likelihood of the tile that was fitted first, for tests that need no more than a part, and the outcome.

        Raises:
            Stopped: If it was asked to end early.
        """
        tiled = TiledLikelihood.of(self.likelihood, self.tiling)
        _log.info("%s", describe_tiling(self.tiling))
        first = tiled.richest
        context = self.context
        if context.config.fit.prior != "none":
            _log.warning("fit.prior: not used: the field is fitted in tiles (fit.tiles)")
        choices = Choices(tiled.tiles[first].without_margin().with_choices(prior="none"), context)
        choices.make()
        tiled = tiled.as_chosen(choices.likelihood)
        tried = 0 if choices.begun is None else choices.begun.other_steps + choices.begun.fit.step
        fitted: dict[int, FittedField] = {}
        for place, number in enumerate([first, *(n for n in self.tiling if n != first)]):
            part = FitPart(f"tile-{number}", place, len(self.tiling), tried, "tile")
            self._log_place(place, number)
            if number == first:
                # From the start: strange light in the margin of a tile, which must not decide, is fitted too.
                fitted[number] = fit_members(tiled.tiles[first], context, None, part)
            else:
                tile = tiled.tiles[number].with_corrections(fitted[first].nuisance)
                fitted[number] = fit_members(tile, context, None, part)
        result = self._result(tiled, [fitted[number] for number in self.tiling], fitted[first])
        outcome = finish_fit(tiled, self.context, compare_with_truth, result)
        chosen = choices.numbers | ({TRIAL_STEPS: float(tried)} if choices.begun is not None else {})
        return tiled.tiles[first].without_margin(), replace(outcome, numbers=dict(outcome.numbers) | chosen)

    def _log_place(self, place: int, number: int) -> None:
        rows, columns = self.tiling.pixels(number)
        ends = (rows.start, rows.stop - 1, columns.start, columns.stop - 1)
        _log.info("tile %d/%d: rows %d to %d, columns %d to %d", place + 1, len(self.tiling), *ends)

    def _result(self, tiled: TiledLikelihood, fitted: list[FittedField], first: FittedField) -> FieldResult:
        """Blend the tiles, and compute residuals over the whole field, each pixel once."""
        processes.current().finish_sharing()
        provenance = provenance_of(self.context)
        model = tiled.blend([tiled.model(f.architecture, f.members, provenance) for f in fitted])
        values = tiled.values_of(model)
        names, split = tiled.metric_names, tiled.split()
        nuisance = {name: jnp.asarray(value) for name, value in first.nuisance.items()}
        numbers = {"steps": float(sum(f.steps for f in fitted)), "views": float(tiled.views)}
        shown = split.fitted[:: max(1, len(split.fitted) // SHOWN_VIEWS)]
        numbers[names.fitted] = tiled.metric(tiled.losses_of(values, nuisance, shown))
        if len(split.withheld):
            numbers[names.withheld] = tiled.metric(tiled.losses_of(values, nuisance, split.withheld))
            initial = [f.initial for f in fitted if f.initial is not None]
            if initial:
                numbers[names.initial] = float(np.sqrt(np.mean(np.square(initial))))
        reach = reach_of(tiled.acquisition, tiled.geometry)
        numbers |= {"tiles": float(len(self.tiling)), "overlap_over_reach": self.tiling.overlap / (2 * reach)}
        numbers |= seam_numbers(model)
        converged = any(f.status is Status.CONVERGED for f in fitted)
        return FieldResult(model, values, first.nuisance, numbers, Status.CONVERGED if converged else Status.COMPLETE)
