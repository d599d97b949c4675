"""Line profiles as curves: one panel a quantity, one curve a line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.edge_profile import Line
from .style import ACCENT, SECOND, house_style, new_figure

if TYPE_CHECKING:
    import matplotlib.figure

_COLOURS = (ACCENT, SECOND, "#4d4d4d")


def draw_profiles(lines: Sequence[Line], names: Sequence[str], unit: str = "m") -> "matplotlib.figure.Figure":
    """Draw the values along some lines.

    Args:
        lines: With the quantities, and ``support`` where only what lies inside it means something.
        names: Quantities, a panel each; all but the amplitude are shown inside the support only.
        unit: Of positions: metres are shown in nanometres.
    """
    scale, shown = (1e9, "nm") if unit == "m" else (1.0, unit)
    with house_style():
        figure = new_figure(7.4, 2.4)
        panels = np.atleast_1d(figure.subplots(1, len(names)))
        figure.subplots_adjust(left=0.08, right=0.985, top=0.95, bottom=0.2, wspace=0.42)
        for panel, name in zip(panels, names, strict=True):
            for line, colour in zip(lines, _COLOURS, strict=False):
                values = line.values[name]
                if name != "amplitude" and "support" in line.values:
                    values = np.where(line.values["support"] > 0, values, np.nan)
                panel.plot(line.position * scale, values, color=colour, lw=1.2, label=f"along {line.name}")
            found = next(quantity for quantity in lines[0].quantities if quantity.name == name)
            panel.set_xlabel(f"position ({shown})")
            panel.set_ylabel(name + (f" ({found.unit})" if found.unit != "1" else ""))
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].legend(frameon=False)
    return figure
