"""Curves: losses over the steps of a fit, and line profiles of volumes."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.edge_profile import Line
from .style import ACCENT, SECOND_ACCENT, house_style, new_figure

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Records = Sequence[Mapping[str, float]]
_PROFILE_COLOURS = (ACCENT, SECOND_ACCENT, "#4d4d4d")


def loss_curves(records: Records) -> "matplotlib.figure.Figure":
    """Draw the loss and the residual of the withheld views over the steps.

    Args:
        records: Lines of ``metrics.jsonl`` with ``step``, ``loss`` and, in some, ``withheld``; ``fit`` numbers the fits
            of a run that takes several, one after the other, and each is a line of its own.
    """
    with house_style():
        figure = new_figure(6.4, 2.3)
        left, right = figure.subplots(1, 2)
        _draw_curve(left, records, "loss", "training loss", SECOND_ACCENT)
        _draw_curve(right, records, "withheld", "withheld residual", ACCENT)
        figure.subplots_adjust(left=0.1, right=0.985, top=0.97, bottom=0.19, wspace=0.28)
    return figure


def draw_profiles(
    lines: Sequence[Line], names: Sequence[str], unit: str = "m", *, masked: Collection[str] = (), mask: str = "support"
) -> "matplotlib.figure.Figure":
    """Draw the values along some lines, with a panel for each quantity.

    Args:
        lines: Line profiles with the quantities.
        names: Names of the quantities to draw.
        unit: Unit of positions; metres are shown in nanometres.
        masked: Names of quantities that are meaningless, and not drawn, where the mask is 0.
        mask: Name of the quantity that masks them; lines without it are drawn whole.
    """
    scale, shown = (1e9, "nm") if unit == "m" else (1.0, unit)
    with house_style():
        figure = new_figure(7.4, 2.4)
        panels = np.atleast_1d(figure.subplots(1, len(names)))
        figure.subplots_adjust(left=0.08, right=0.985, top=0.95, bottom=0.2, wspace=0.42)
        for panel, name in zip(panels, names, strict=True):
            for line, colour in zip(lines, _PROFILE_COLOURS, strict=False):
                values = line.values[name]
                if name in masked and mask in line.values:
                    values = np.where(line.values[mask] > 0, values, np.nan)
                panel.plot(line.position * scale, values, color=colour, lw=1.2, label=f"along {line.name}")
            quantity = next(quantity for quantity in lines[0].quantities if quantity.name == name)
            panel.set_xlabel(f"position ({shown})")
            panel.set_ylabel(name + (f" ({quantity.unit})" if quantity.unit != "1" else ""))
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].legend(frameon=False)
    return figure


def _draw_curve(axes: "matplotlib.axes.Axes", records: Records, key: str, label: str, colour: str) -> None:
    """Draw one metric over the steps."""
    from matplotlib.ticker import FuncFormatter

    points = [
        (r["step"], r[key], r.get("fit", 1)) for r in records if _is_number(r.get("step")) and _is_number(r.get(key))
    ]
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    if not points:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color="#777777")
        return
    steps, values, fits = (np.array(column, float) for column in zip(*points, strict=True))
    ends = np.flatnonzero(np.diff(fits)) + 1
    for part, course in zip(np.split(steps, ends), np.split(values, ends), strict=True):
        many = len(part) > 40
        axes.plot(
            part,
            course,
            color=colour,
            lw=0.6 if many else 1.2,
            alpha=0.45 if many else 1,
            marker="" if many else "o",
            ms=2.5,
        )
        if many:  # The losses of mini-batches are noisy: a running median shows the trend.
            axes.plot(part, _running_median(course), color=colour, lw=1.4)
    if values.min() > 0:
        axes.set_yscale("log" if values.max() > 3 * values.min() else "linear")
        digits = "125" if values.max() > 8 * values.min() else "123456789"
        for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            set_formatter(FuncFormatter(partial(_format_tick, digits)))
    axes.grid(axis="y", which="both", lw=0.3, color="#cccccc")
    axes.set_axisbelow(True)


def _format_tick(digits: str, value: float, _position: int | None = None) -> str:
    """Format a number on a logarithmic axis if it has one digit and that is in ``digits``."""
    text = f"{value:.1e}"
    return f"{value:g}" if text[0] in digits and text[2] == "0" else ""


def _running_median(values: "np.ndarray") -> "np.ndarray":
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(values, size=max(len(values) // 25, 3), mode="nearest"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))
