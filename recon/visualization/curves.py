"""The course of a fit."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .style import ACCENT, SECOND, house_style, new_figure

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Records = Sequence[Mapping[str, float]]


def loss_curves(records: Records) -> "matplotlib.figure.Figure":
    """Draw the loss and the residual of the withheld views over the steps.

    Args:
        records: Lines of ``metrics.jsonl``: ``step``, ``loss`` and, now and then, ``withheld``.
    """
    with house_style():
        figure = new_figure(6.4, 2.3)
        left, right = figure.subplots(1, 2)
        _curve(left, records, "loss", "training loss", SECOND)
        _curve(right, records, "withheld", "withheld residual", ACCENT)
        figure.subplots_adjust(left=0.1, right=0.985, top=0.97, bottom=0.19, wspace=0.28)
    return figure


def _curve(axes: "matplotlib.axes.Axes", records: Records, key: str, label: str, colour: str) -> None:
    from matplotlib.ticker import FuncFormatter

    points = [(r["step"], r[key]) for r in records if _is_number(r.get("step")) and _is_number(r.get(key))]
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    if not points:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color="#777777")
        return
    steps, values = (np.array(column, float) for column in zip(*points, strict=True))
    many = len(steps) > 40
    axes.plot(
        steps,
        values,
        color=colour,
        lw=0.6 if many else 1.2,
        alpha=0.45 if many else 1,
        marker="" if many else "o",
        ms=2.5,
    )
    if many:  # Mini-batches make the loss ragged: the running median shows where it goes.
        axes.plot(steps, _running_median(values), color=colour, lw=1.4)
    if values.min() > 0:
        axes.set_yscale("log" if values.max() > 3 * values.min() else "linear")
        shown = "125" if values.max() > 8 * values.min() else "123456789"
        for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            ticks(FuncFormatter(partial(_plain, shown)))
    axes.grid(axis="y", which="both", lw=0.3, color="#cccccc")
    axes.set_axisbelow(True)


def _plain(shown: str, value: float, _position: int | None = None) -> str:
    """A number on a logarithmic axis, where its only digit is one of those to show."""
    digits = f"{value:.1e}"
    return f"{value:g}" if digits[0] in shown and digits[2] == "0" else ""


def _running_median(values: "np.ndarray") -> "np.ndarray":
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(values, size=max(len(values) // 25, 3), mode="nearest"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))
