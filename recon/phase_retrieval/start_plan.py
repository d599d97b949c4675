"""Order of the starts of a run, and the recipe of each.

A ceiling finds strongly strained crystals, but leads astray where much of the pattern is masked, counts are few, or the
object is not one lattice. So the starts of another method come first, half of them with the ceilings of their recipe;
then random ones with ceilings, then random ones without. The rest follow the recipe of the random one that explains the
withheld pixels best.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any

from .settings import PhaseSettings, RecipeStep
from .stages import Stage, build_stages
from .starts import LARGEST_SUPPORT


@dataclass(frozen=True)
class StartPlan:
    """Numbers and recipes of the starts of a run, in their order.

    Args:
        initial: Number of starts with the densities of another method.
        initial_capped: Number of those with ceilings, which come first.
        capped: Number of random starts with ceilings.
        plain: Number of random starts without, which follow them.
        total: Number of all starts; those after the plain ones have the better recipe of the two.
        initial_stages: Stages of the starts with the densities of another method.
        stages: Stages of the random starts.
    """

    initial: int
    initial_capped: int
    capped: int
    plain: int
    total: int
    initial_stages: tuple[Stage, ...]
    stages: tuple[Stage, ...]

    def series(self, first: int, rows: Sequence[Mapping[str, Any]]) -> tuple[int, tuple[Stage, ...]]:
        """Return the end of the series of starts of one recipe that a start belongs to, and the recipe's stages.

        Args:
            first: Number of the start.
            rows: Row of each start before it, that of the number 0 first.
        """
        plain_from = self.initial + self.capped
        tried = plain_from + self.plain
        known = (
            (self.initial_capped, self.initial_stages),
            (self.initial, without_ceilings(self.initial_stages)),
            (plain_from, self.stages),
            (tried, without_ceilings(self.stages)),
        )
        for end, stages in known:
            if first < end:
                return end, stages
        with_ceilings, without = _least(rows[self.initial : plain_from]), _least(rows[plain_from:tried])
        return self.total, self.stages if with_ceilings < without else without_ceilings(self.stages)

    def iterations(self, count: int) -> int:
        """Sum the iterations of the first starts."""
        initial = min(count, self.initial)
        each = (sum(stage.iterations for stage in stages) for stages in (self.initial_stages, self.stages))
        return sum(number * iterations for number, iterations in zip((initial, count - initial), each, strict=True))


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
    initial_capped = (initial + 1) // 2 if has_ceiling(initial_stages) and settings.ceiling_starts != 0 else 0
    random = settings.starts - initial
    capped, plain = _split(random, settings) if has_ceiling(stages) else (0, random)
    return StartPlan(initial, initial_capped, capped, plain, settings.starts, initial_stages, stages)


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


def _least(rows: Iterable[Mapping[str, Any]]) -> float:
    """Return the least deviance of free pixels; starts that explain the pattern by a full array do not count."""
    deviances = (row["llk_free"] for row in rows if row["support"] <= LARGEST_SUPPORT)
    return min((deviance for deviance in deviances if isfinite(deviance)), default=inf)
