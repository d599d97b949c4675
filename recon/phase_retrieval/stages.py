"""Division of a recipe into stages: iterations with one support each."""

from dataclasses import dataclass, replace
from math import ceil, inf

from .settings import PhaseSettings, RecipeStep, ShrinkWrap

TWIN_ITERATIONS = 10
"""Iterations of the twin stage, with half a support, which breaks the symmetry of an object and its twin."""
TWIN_AT = 0.25
"""Fraction of the recipe's iterations after which the twin stage comes, at the next boundary of two stages."""
TWIN_LATEST = 0.5
"""Fraction of the recipe's iterations by which that boundary must come; else the stage that spans it is cut in two."""


@dataclass(frozen=True)
class Stage:
    """Iterations with one support.

    Args:
        method: Name of the method in the recipe.
        beta: Relaxation.
        iterations: Number of iterations.
        partially_coherent: Whether the point-spread function of partial coherence is modelled and fitted.
        shrink_wrap: Width [voxel] and threshold of the support's update after the stage; None for no update.
        has_half_support: Whether only one side of the support is used, to suppress the twin.
        band: Fraction of each axis of the array, about its centre, that is phased.
        ceiling: Largest amplitude inside the support (`cap_amplitude`); infinite for no limit.
    """

    method: str
    beta: float
    iterations: int
    partially_coherent: bool
    shrink_wrap: tuple[float, float] | None = None
    has_half_support: bool = False
    band: float = 1.0
    ceiling: float = inf


def build_stages(settings: PhaseSettings) -> tuple[Stage, ...]:
    """Divide a recipe into stages; the last stage has no update of the support.

    Args:
        settings: Recipe, and whether to insert the twin stage.
    """
    stages = [stage for step in settings.recipe for stage in _build_step(step)]
    if settings.twin:
        stages = _insert_twin_stage(stages)
    return (*stages[:-1], replace(stages[-1], shrink_wrap=None))


def support_update_warnings(settings: PhaseSettings) -> list[str]:
    """List the steps that are shorter than the interval of their support's updates, a sentence each."""
    sentences = []
    for number, step in enumerate(settings.recipe, 1):
        wrap, iterations = step.step.support, step.step.iterations
        if wrap is not None and wrap.every > iterations:
            every = f"its {iterations} iterations are fewer than support.every, {wrap.every}"
            sentences.append(f"step {number} of the recipe ({step.method}) does not update the support: {every}")
    return sentences


def _insert_twin_stage(stages: list[Stage]) -> list[Stage]:
    """Insert the twin stage at the first boundary of two stages after `TWIN_AT` of the recipe.

    A stage that spans `TWIN_AT` and ends after `TWIN_LATEST` is cut in two at `TWIN_AT`, unless fewer than
    `TWIN_ITERATIONS` come before. If there is no boundary, because the recipe is too short, none is inserted.

    Returns:
        The stages; the iterations of the twin stage are added to those of the recipe.
    """
    total = sum(stage.iterations for stage in stages)
    ends = [sum(stage.iterations for stage in stages[: i + 1]) for i in range(len(stages))]
    at = next(i for i, end in enumerate(ends) if end >= TWIN_AT * total)
    target = ceil(TWIN_AT * total)
    if ends[at] > TWIN_LATEST * total and target >= TWIN_ITERATIONS:
        first = target - (ends[at] - stages[at].iterations)
        before = replace(stages[at], iterations=first, shrink_wrap=None)
        after = replace(stages[at], iterations=stages[at].iterations - first)
        stages = [*stages[:at], before, after, *stages[at + 1 :]]
    if at + 1 == len(stages):
        return stages
    following = stages[at + 1]
    return [
        *stages[: at + 1],
        replace(following, iterations=TWIN_ITERATIONS, shrink_wrap=None, has_half_support=True),
        *stages[at + 1 :],
    ]


def _build_step(step: RecipeStep) -> list[Stage]:
    """Divide a step into stages of ``support.every`` iterations; the width of the blur goes linearly to its last."""
    settings = step.step
    wrap = settings.support or ShrinkWrap(every=settings.iterations)
    updates, rest = divmod(settings.iterations, wrap.every)
    ceiling = inf if settings.ceiling is None else settings.ceiling
    whole = Stage(step.method, settings.beta, wrap.every, settings.psf, band=settings.band, ceiling=ceiling)
    stages = []
    for i in range(updates):
        fraction = i / max(updates - 1, 1)
        width = (1 - fraction) * wrap.sigma[0] + fraction * wrap.sigma[1]
        stages.append(replace(whole, shrink_wrap=(width, wrap.threshold) if settings.support else None))
    return stages + ([replace(whole, iterations=rest)] if rest else [])
