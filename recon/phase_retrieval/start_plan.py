"""Order of the starts of a run, and the recipe of each.

A ceiling finds strongly strained crystals, but leads astray where much of the pattern is masked or the object is not
one lattice. So the starts of another method come first, then random ones with the recipe's ceilings, then random ones
without; the rest follow the recipe of the one that explains the withheld pixels best.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any

from .recipe import Stage, build_stages
from .settings import PhaseSettings, RecipeStep
from .starts import LARGEST_SUPPORT

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StartPlan:
    """Numbers and recipes of the starts of a run, in their order.

    Args:
        initial: Number of starts with the densities of another method.
        capped: Number of random starts with the recipe's ceilings.
        plain: Number of random starts without.
        total: Number of all starts; those after the plain ones have the better recipe of the two.
        initial_stages: Stages of the first ones.
        stages: Stages of the recipe.
    """

    initial: int
    capped: int
    plain: int
    total: int
    initial_stages: tuple[Stage, ...]
    stages: tuple[Stage, ...]

    def series(self, first: int, rows: Iterable[Mapping[str, Any]]) -> tuple[int, tuple[Stage, ...]]:
        """Return the end of the series of starts of one recipe that a start belongs to, and the recipe's stages.

        Args:
            first: Number of the start.
            rows: Row of each start before it, that of the number 0 first.
        """
        if first < self.initial:
            return self.initial, self.initial_stages
        if first < self.initial + self.capped:
            return self.initial + self.capped, self.stages
        if first < self.initial + self.capped + self.plain:
            return self.initial + self.capped + self.plain, without_ceilings(self.stages)
        return self.total, self._better_stages(list(rows)[self.initial : self.initial + self.capped + self.plain])

    def iterations(self, count: int) -> int:
        """Sum the iterations of the first starts."""
        initial = min(count, self.initial)
        each = (sum(stage.iterations for stage in stages) for stages in (self.initial_stages, self.stages))
        return sum(number * iterations for number, iterations in zip((initial, count - initial), each, strict=True))

    def _better_stages(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Stage, ...]:
        """Choose the recipe of the random start that explains the withheld pixels best."""
        deviance = [_deviance(row) for row in rows]
        with_ceilings, without = min(deviance[: self.capped], default=inf), min(deviance[self.capped :], default=inf)
        better = with_ceilings < without
        _log.info(
            "the starts %s the recipe's ceilings explain the withheld pixels best", "with" if better else "without"
        )
        return self.stages if better else without_ceilings(self.stages)


def plan_starts(settings: PhaseSettings, initial: int, initial_recipe: tuple[RecipeStep, ...] | None) -> StartPlan:
    """Plan the starts of a run.

    Args:
        settings: Recipe, and number of starts.
        initial: Number of starts with the densities of another method.
        initial_recipe: Recipe of these; None for that of the random ones.
    """
    stages = build_stages(settings)
    initial_stages = stages
    if initial_recipe is not None:
        initial_stages = build_stages(settings.model_copy(update={"recipe": initial_recipe, "twin": False}))
    initial = min(initial, settings.starts)
    random = settings.starts - initial
    capped, plain = _split(random, settings) if has_ceiling(stages) else (0, random)
    return StartPlan(initial, capped, plain, settings.starts, initial_stages, stages)


def has_ceiling(stages: Iterable[Stage]) -> bool:
    """Tell whether a stage limits the amplitude."""
    return any(isfinite(stage.ceiling) for stage in stages)


def without_ceilings(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """Remove the limits of the amplitude."""
    return tuple(replace(stage, ceiling=inf) for stage in stages)


def _split(random: int, settings: PhaseSettings) -> tuple[int, int]:
    """Count the random starts with ceilings, and those without that follow them."""
    if settings.ceiling_starts != "auto":
        capped = min(settings.ceiling_starts, random)
        return capped, random - capped
    third = (random + 1) // 3
    return third, max(1, third) if random else 0


def _deviance(row: Mapping[str, Any]) -> float:
    """Return the deviance of a start's free pixels; infinite for one that explains the pattern by a full array."""
    deviance: float = row["llk_free"]
    return deviance if isfinite(deviance) and row["support"] <= LARGEST_SUPPORT else inf
