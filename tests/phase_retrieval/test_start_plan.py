"""Order of the starts of a run: of another method, with ceilings, without, and like the better of both."""

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unflat.recon.phase_retrieval.settings import PhaseSettings
from unflat.recon.phase_retrieval.start_plan import StartPlan, has_ceiling, plan_starts

SHORT = PhaseSettings.model_validate({"recipe": [{"er": {"iterations": 7, "ceiling": 1.2}}]}).recipe


def plan(starts: int, initial: int = 0, **changes: Any) -> StartPlan:
    return plan_starts(PhaseSettings.model_validate({"starts": starts} | changes), initial, SHORT)


def ceilings(planned: StartPlan, deviances: list[float]) -> list[bool]:
    """Follow the plan with given deviances, and tell which starts have ceilings."""
    rows: list[dict[str, Any]] = []
    course: list[bool] = []
    for number, deviance in enumerate(deviances):
        end, stages = planned.series(number, rows)
        assert number < end <= len(deviances)
        course.append(has_ceiling(stages))
        rows.append({"llk_free": deviance, "support": 0.1})
    return course


@pytest.mark.parametrize(("deviances", "last"), [([9, 9, 1, 3, 2, 2, 9, 9], True), ([9, 9, 3, 3, 2, 4, 9, 9], False)])
def test_the_last_third_has_the_recipe_that_explains_the_withheld_pixels_best(
    deviances: list[float], last: bool
) -> None:
    assert ceilings(plan(8, 2), deviances) == [True, False, True, True, False, False, last, last]


@pytest.mark.parametrize("worst", [nan, inf])
def test_a_start_that_explains_nothing_is_not_the_best(worst: float) -> None:
    assert ceilings(plan(3), [worst, 5.0, 5.0]) == [True, False, False]
    assert ceilings(plan(3), [5.0, worst, 5.0]) == [True, False, True]


def test_a_start_that_fills_the_array_is_not_the_best() -> None:
    rows = [{"llk_free": 0.1, "support": 0.9}, {"llk_free": 5.0, "support": 0.1}]
    assert not has_ceiling(plan(3).series(2, rows)[1])


def test_two_starts_have_one_recipe_each_and_a_single_one_no_ceiling() -> None:
    assert ceilings(plan(2), [1.0, 1.0]) == [True, False]
    assert ceilings(plan(1), [1.0]) == [False]
    assert ceilings(plan(4), [1.0, 2.0, 1.0, 1.0]) == [True, False, True, True]


def test_a_number_of_starts_with_ceilings_is_obeyed() -> None:
    assert ceilings(plan(4, ceiling_starts=4), [1.0] * 4) == [True] * 4
    assert ceilings(plan(4, 2, ceiling_starts=0), [1.0] * 4) == [False] * 4
    assert ceilings(plan(4, 1, ceiling_starts=9), [1.0] * 4) == [True, True, True, True]


def test_a_recipe_without_ceilings_is_the_same_for_all_starts() -> None:
    planned = plan(5, recipe=[{"hio": {"iterations": 50}}])
    assert planned.series(0, []) == (5, planned.stages)


@given(starts=st.integers(1, 40), initial=st.integers(0, 10))
def test_every_start_belongs_to_one_series_and_its_iterations_count(starts: int, initial: int) -> None:
    planned = plan(starts, initial)
    first, iterations, rows = 0, 0, [{"llk_free": 1.0, "support": 0.1}] * starts
    while first < starts:
        end, stages = planned.series(first, rows[:first])
        assert first < end <= starts
        iterations += (end - first) * sum(stage.iterations for stage in stages)
        assert planned.iterations(end) == iterations
        first = end
