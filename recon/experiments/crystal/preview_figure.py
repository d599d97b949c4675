"""Figure of a preview: the rocking curve so far, and three planes of the density."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Complex, Float

from ...visualization.style import ACCENT, SECOND_ACCENT, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INSIDE = 0.15
"""Least amplitude, relative to the largest, of a voxel whose phase is shown."""


def draw_preview(totals: Float[np.ndarray, " frame"], density: Complex[np.ndarray, "z y x"]) -> "Figure":
    """Draw a preview.

    Args:
        totals: Mean counts of each frame; NaN where it is missing.
        density: Density with the crystal in the middle.
    """
    amplitude = np.abs(density)
    phase = np.angle(density * np.exp(-1j * np.angle(density.sum())))
    phase = np.where(amplitude > _INSIDE * amplitude.max(), phase, np.nan)
    with house_style():
        figure = new_figure(7.4, 2.2)
        panels = figure.subplots(1, 4)
        figure.subplots_adjust(left=0.07, right=0.99, top=0.88, bottom=0.2, wspace=0.3)
        panels[0].plot(np.arange(len(totals)), totals, ".-", color=ACCENT, lw=1, ms=3)
        panels[0].set_xlim(-0.5, len(totals) - 0.5)
        for frame in np.flatnonzero(np.isnan(totals)):
            panels[0].axvspan(frame - 0.5, frame + 0.5, color=SECOND_ACCENT, alpha=0.15, lw=0)
        panels[0].set_xlabel("frame")
        panels[0].set_title("mean counts", loc="left")
        n = amplitude.shape
        panels[1].imshow(amplitude[n[0] // 2], cmap="magma")
        panels[1].set_title("amplitude, y-x", loc="left")
        panels[2].imshow(amplitude[:, n[1] // 2], cmap="magma")
        panels[2].set_title("amplitude, frame-x", loc="left")
        panels[3].imshow(phase[n[0] // 2], cmap="twilight", vmin=-np.pi, vmax=np.pi)
        panels[3].set_title("phase, y-x", loc="left")
        for panel in panels[1:]:
            panel.set_xticks([])
            panel.set_yticks([])
    return figure
