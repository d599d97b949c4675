"""Comparison of a run with a truth or with a second run, as its report shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..metrics import catalogue, metric_named
from .report_figures import DeferredFigure

Numbers = Mapping[str, float | None]
ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}
"""Sign of the direction in which a metric is better."""


@dataclass(frozen=True)
class ReportComparison:
    """Comparison of a run with something else.

    Args:
        other: Name of the other: ``the truth, scan.h5``, ``the run RUN2``.
        numbers: Metrics of the run's result against the other.
        pairs: Metrics of the run and of the other that both have; empty for a truth.
        figures: Figures of both.
        names: Names of the other run and of this one, which tell them apart; None for a truth.
    """

    other: str
    numbers: Numbers
    pairs: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    figures: Sequence[DeferredFigure] = ()
    names: tuple[str, str] | None = None

    @property
    def number_rows(self) -> list[dict[str, str]]:
        """Rows of the table of numbers."""
        return metric_rows(self.numbers, is_reference=self.names is not None)

    @property
    def pair_rows(self) -> list[dict[str, str]]:
        """Rows of the table of both runs; ``winner`` is ``own``, ``other`` or empty."""
        rows = []
        for row in metric_rows({name: pair[0] for name, pair in self.pairs.items()}):
            own, other = self.pairs[row["name"]]
            metric = metric_named(row["name"])
            text = "not finite" if other is None else metric.text(other)
            rows.append(row | {"other": text, "winner": _winner(metric.better, own, other)})
        return rows


def metric_rows(numbers: Numbers, *, is_reference: bool = False) -> list[dict[str, str]]:
    """List metrics in the order of the catalogue, unknown ones last: name, title, value, direction, meaning.

    Args:
        numbers: Values by name.
        is_reference: Whether they compare with a reference that is not known to be true.
    """
    rows, order = [], {name: i for i, name in enumerate(catalogue())}
    for name in sorted(numbers, key=lambda n: (order.get(n, len(order)), n)):
        metric, value = metric_named(name), numbers[name]
        metric = metric.with_reference() if is_reference else metric
        text = "not finite" if value is None else metric.text(value)
        row = {"title": metric.title, "value": text, "better": ARROWS[metric.better], "meaning": metric.meaning}
        rows.append({"name": name, **row})
    return rows


def _winner(better: str, own: float | None, other: float | None) -> str:
    if better == "neither" or own is None or other is None or own == other:
        return ""
    return "own" if (own > other) == (better == "higher") else "other"
