"""Views that no specimen explains with the others."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unflat.recon.experiments.cell.contradicting_views import contradiction_numbers
from unflat.recon.experiments.cell.verdict import assess


def likelihood(losses: list[float], empty: float = 1.0) -> Any:
    """Bright fields with these losses, after a dark field with a large one."""
    known = np.array([9.0, *losses])

    def losses_of(values: np.ndarray, nuisance: Any, views: np.ndarray) -> np.ndarray:
        return known[views] if values.any() else np.full(len(views), empty)

    return SimpleNamespace(is_bright=np.arange(len(known)) > 0, is_field=False, losses_of=losses_of)


@pytest.mark.parametrize(
    ("losses", "named"),
    [
        ([0.05, 0.06, 1.2, 0.05, 0.9, 0.04, 0.05], "2 views contradict (3, 5)"),
        ([0.05, 0.06, 1.2, 0.05, 0.09, 0.04, 0.05], "view 3 contradicts"),
        ([0.05, 0.06, 0.15, 0.05, 0.5, 0.04, 0.05], ""),  # Worse than the others, but explained.
        ([0.7, 0.8, 1.2, 0.9, 0.9, 0.8, 0.7], ""),  # Noise.
        ([0.05, 1.2, 0.05, 0.05], ""),
    ],
)
def test_exchanged_views_are_named_and_no_others(losses: list[float], named: str) -> None:
    numbers = contradiction_numbers(likelihood(losses), np.ones((1, 2, 2, 2)), {})
    reasons = [reason.text for reason in assess(numbers) if reason.name == "contradicting-views"]
    assert bool(reasons) == bool(named)
    assert not named or reasons[0].startswith(named)
