"""Figures of a crystal's report: planes of its volume, its diffraction, agreement of the solutions, starts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Num

from ...errors import DataError
from ...io.hdf5_common import group_in, open_checked
from ...sampled import Quantity, Sampled
from ...visualization.colour_scale import ColourScale
from ...visualization.comparison import compare_volumes
from ...visualization.style import (
    ACCENT,
    DIFFERENCE_COLOURS,
    INK,
    SECOND_ACCENT,
    add_colour_bar,
    add_label,
    add_scale_bar,
    house_style,
    new_figure,
)
from ...volume import Volume, centred_axis

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_LETTERS = ("frame", "y", "x")
_READ = ("measured", "modelled", "good")
_PLANE_AXES = ((1, 2), (0, 2), (1, 0))
"""Axes down and to the right of the plane across each axis, as in every other figure and in the live view."""
_SIGNED = DIFFERENCE_COLOURS
"""Colour map of quantities with a sign, whose limits are symmetric."""
_MOST_SIGMAS = 4.0
"""Difference of counts, in standard deviations, of the last colour."""
_MARGIN = 3
"""[voxel] Margin around the crystal in a figure."""


def draw_slices(volume: Volume, name: str, scale: ColourScale) -> "matplotlib.figure.Figure":
    """Draw three planes through the middle of the crystal, to one scale.

    Args:
        volume: Sampled crystal with its support.
        name: Name of the quantity.
        scale: Colours of its values.

    Raises:
        DataError: If the support is empty.
    """
    inside = volume.values["support"] > 0
    if not inside.any():
        raise DataError("the support is empty: there is no crystal to draw")
    values = np.asarray(volume.values[name], np.float64)
    if name != "amplitude":
        values = np.where(inside, values, np.nan)
    box = [_extent(inside, axis) for axis in range(3)]
    middle = [round(float(np.mean(np.nonzero(inside)[axis]))) for axis in range(3)]
    factor, unit = (1e9, "nm") if volume.length_unit == "m" else (1.0, "voxel")
    axes_of = dict(zip("zyx", (volume.z, volume.y, volume.x), strict=True))
    with house_style():
        figure = new_figure(7.4, 2.6)
        panels = figure.subplots(1, 3)
        figure.subplots_adjust(left=0.08, right=0.86, top=0.9, bottom=0.17, wspace=0.42)
        for panel, axis in zip(panels, range(3), strict=True):
            down, right = _PLANE_AXES[axis]
            lines = {axis: slice(middle[axis], middle[axis] + 1), down: box[down], right: box[right]}
            cut = np.transpose(values[lines[0], lines[1], lines[2]], (axis, down, right))[0]
            edges = [_edges(axes_of["zyx"[i]][box[i]] * factor) for i in (right, down)]
            extent = (*edges[0], edges[1][1], edges[1][0])
            image = panel.imshow(cut, cmap=scale.colours, vmin=scale.low, vmax=scale.high, extent=extent)
            image.set_interpolation("nearest")
            panel.set_facecolor("#e5e5e5")
            panel.set_xlabel(f"${'zyx'[right]}$ ({unit})")
            panel.set_ylabel(f"${'zyx'[down]}$ ({unit})")
            if axis == 0:
                colour = "white" if name == "amplitude" else INK
                width = (extent[1] - extent[0]) / factor
                add_scale_bar(panel, width, fraction=0.4, colour=colour, unit=volume.length_unit)
            panel.set_title(f"${'zyx'[axis]}$ = {axes_of['zyx'[axis]][middle[axis]] * factor:.0f} {unit}", loc="left")
        bar = figure.add_axes((0.88, 0.17, 0.015, 0.73))
        quantity = next(q for q in volume.quantities if q.name == name)
        add_colour_bar(figure, image, bar, quantity)
    return figure


def _extent(inside: np.ndarray, axis: int) -> slice:
    """Find the indices of the crystal along an axis, with a margin."""
    line = np.flatnonzero(inside.any(axis=tuple(i for i in range(3) if i != axis)))
    return slice(max(int(line[0]) - _MARGIN, 0), int(line[-1]) + _MARGIN + 1)


def _edges(axis: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Compute the outer edges of the first and the last sample."""
    half = float(axis[-1] - axis[0]) / max(len(axis) - 1, 1) / 2
    return float(axis[0]) - half, float(axis[-1]) + half


def draw_diffraction(file: Path) -> "matplotlib.figure.Figure":
    """Draw measured counts, modelled counts, and their difference over its counting noise, on three planes."""
    from matplotlib.colors import LogNorm, Normalize

    planes = _read(file, _READ)
    top = max(float(planes[f"measured/{letter}"].max()) for letter in _LETTERS)
    counts, sigmas = LogNorm(0.5, max(top, 1.0)), Normalize(-_MOST_SIGMAS, _MOST_SIGMAS)
    rows = (("measured", "inferno", counts), ("modelled", "inferno", counts), ("difference", _SIGNED, sigmas))
    with house_style():
        figure = new_figure(7.4, 7.2)
        panels = figure.subplots(3, 3)
        figure.subplots_adjust(left=0.06, right=0.88, top=0.98, bottom=0.04, wspace=0.15, hspace=0.12)
        for row, (name, colours, norm) in zip(panels, rows, strict=True):
            for panel, letter in zip(row, _LETTERS, strict=True):
                plane = _plane(planes, name, letter)
                image = panel.imshow(plane, cmap=colours, norm=norm, interpolation="nearest", aspect="auto")
                panel.set_facecolor("#808080")
                panel.set_xticks([])
                panel.set_yticks([])
                down, right = plane_letters(letter)
                panel.set_xlabel(right)
                panel.set_ylabel(down)
                add_label(panel, name)
            if name != "measured":  # One bar for measured and modelled counts.
                low, high = row[-1].get_position().y0, panels[0 if name == "modelled" else 2][-1].get_position().y1
                bar = figure.add_axes((0.9, low, 0.015, high - low))
                label = "counts" if name == "modelled" else "(modelled − measured) / σ"
                figure.colorbar(image, cax=bar).set_label(label)
    return figure


def _plane(planes: dict[str, np.ndarray], name: str, letter: str) -> Float[np.ndarray, "h w"]:
    """Return the plane of a row of the figure; what was not measured is not a number."""
    measured, modelled, good = (turn_plane(planes[f"{which}/{letter}"], letter) for which in _READ)
    measured, modelled = measured.astype(np.float64), modelled.astype(np.float64)
    if name == "modelled":
        return np.asarray(np.maximum(modelled, 0.5))
    shown = (
        np.maximum(measured, 0.5) if name == "measured" else (modelled - measured) / np.sqrt(np.maximum(modelled, 1))
    )
    return np.where(good > 0, shown, np.nan)


def turn_plane(plane: Num[np.ndarray, "h w"], letter: str) -> Num[np.ndarray, "h2 w2"]:
    """Turn a stored plane, whose rows and columns are in the order (frame, y, x), as figures show it."""
    return np.asarray(plane.T if letter == "x" else plane)


def plane_letters(letter: str) -> tuple[str, str]:
    """Names of the axes down and to the right of the plane across an axis of the detector's frame."""
    down, right = _PLANE_AXES[_LETTERS.index(letter)]
    return _LETTERS[down], _LETTERS[right]


def draw_comparison(truth: Volume, result: Sampled, names: tuple[str, str]) -> "matplotlib.figure.Figure":
    """Draw the amplitude of a result, aligned with the truth and on its scale, beside the true one.

    Raises:
        DataError: If one of the two has no complex density.
    """
    from .evaluate import align_with

    spacing, known, aligned = align_with(result, truth)
    z, y, x = (centred_axis(n, spacing) for n in known.shape)
    scale = float(np.median(np.abs(known)[np.abs(known) > 0.5 * np.abs(known).max()]))
    quantity = Quantity("amplitude", "1", "modulus of the density, relative to the median of the first")
    first, second = (
        Volume("crystal", z, y, x, {quantity.name: np.abs(each) / scale}, (quantity,), {}, truth.length_unit)
        for each in (known, aligned.density)
    )
    return compare_volumes(first, second, names=names)


def draw_agreement(file: Path) -> "matplotlib.figure.Figure":
    """Draw the agreement of the solutions over the spatial frequency."""
    curves = _read(file, ("curves",))
    if "curves/frequency" not in curves:
        raise DataError("the run kept no curves of agreement")
    with house_style():
        figure = new_figure(4.6, 2.4)
        axes = figure.subplots(1, 1)
        figure.subplots_adjust(left=0.12, right=0.98, top=0.96, bottom=0.19)
        for name, colour, level in (("prtf", ACCENT, np.exp(-1)), ("fsc", SECOND_ACCENT, 0.5)):
            axes.plot(curves["curves/frequency"], curves[f"curves/{name}"], color=colour, lw=1.3, label=name.upper())
            axes.axhline(float(level), color=colour, lw=0.6, ls=":")
        axes.set_xlabel("spatial frequency (cycles/voxel)")
        axes.set_ylabel("agreement")
        axes.set_ylim(0, 1.05)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure


def draw_starts(records: list[dict[str, Any]], name: str) -> "matplotlib.figure.Figure":
    """Draw the likelihood of each start; ``name`` is that of the likelihood in ``metrics.jsonl``."""
    from matplotlib.ticker import MaxNLocator

    with house_style():
        figure = new_figure(4.6, 2.0)
        axes = figure.subplots(1, 1)
        figure.subplots_adjust(left=0.14, right=0.98, top=0.95, bottom=0.22)
        values = [record.get(name) or np.nan for record in records]
        axes.bar([record["start"] for record in records], values, color=SECOND_ACCENT, width=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("start")
        axes.set_ylabel("free likelihood" if name == "llk_free" else "likelihood")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _read(file: Path, groups: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the datasets of some groups of ``predictions.h5``.

    Raises:
        DataError: If the file is damaged.
    """
    datasets: dict[str, np.ndarray] = {}
    with open_checked(file) as h5:
        for group in (name for name in groups if name in h5):
            datasets |= {f"{group}/{name}": np.asarray(array[()]) for name, array in group_in(h5, group).items()}
    return datasets
