"""Pictures of shapes: surfaces, sections against the truth, the spread of draws, errors, volumes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import h5py
import numpy as np
from jaxtyping import Float

from ...rendering.projection import turned
from ...rendering.style import ACCENT, INK, SECOND, house_style, new_figure
from ...rendering.surface import shaded

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    from matplotlib.collections import PolyCollection

_TILT = 55.0
"""[deg] From above, by which surfaces are seen."""
_SMOOTH = 0.9
"""[sample] By which the steps of voxels are taken out of a picture."""
_SHOWN_CELLS, _SHOWN_DRAWS = 6, 5
_AXES = (("z", "y x"), ("y", "z x"), ("x", "z y"))


@dataclass(frozen=True)
class Shown:
    """Some cells of a run, to be drawn.

    Args:
        names: Of the cells.
        images: What was seen.
        masks: Their sections.
        filled: Occupancies.
        truth: The shapes as they are, where they are known.
    """

    names: list[str]
    images: Float[np.ndarray, "cell h w"]
    masks: Float[np.ndarray, "cell h w"]
    filled: Float[np.ndarray, "cell draw z y x"]
    truth: Float[np.ndarray, "cell z y x"] | None = None


def shown_of(path: Path, most: int = _SHOWN_CELLS) -> Shown:
    """Read some cells, evenly spread over all, from the file of a run."""
    with h5py.File(path) as file:
        volume, seen = file["volume"], file["seen"]
        count = len(volume["occupancy"])
        some = np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))
        names = [str(name) for name in file["name"].asstr()[some]]
        filled = volume["occupancy"][some, :_SHOWN_DRAWS].astype(np.float32)
        truth = seen["truth"][some].astype(np.float32) if "truth" in seen else None
        return Shown(names, seen["images"][some], seen["mask"][some], filled, truth)


def gallery(shown: Shown) -> "matplotlib.figure.Figure":
    """A row for each cell: what was seen, its draws as surfaces, and the truth."""
    draws = shown.filled.shape[1]
    columns = 1 + draws + (shown.truth is not None)
    with house_style():
        figure = new_figure(1.5 * columns, 1.55 * len(shown.names))
        grid = figure.subplots(len(shown.names), columns, squeeze=False)
        for row, name, image, mask, filled, i in zip(
            grid, shown.names, shown.images, shown.masks, shown.filled, range(len(grid)), strict=True
        ):
            _picture(row[0], image, mask)
            row[0].set_ylabel(_short(name), fontsize=6)
            for axes, one in zip(row[1:], filled, strict=False):
                axes.imshow(surface(one), cmap="bone", vmin=0, vmax=1, interpolation="bilinear")
            if shown.truth is not None:
                row[-1].imshow(surface(shown.truth[i]), cmap="pink", vmin=0, vmax=1, interpolation="bilinear")
        titles = ["seen", *[f"draw {k}" for k in range(draws)], "truth"]
        for axes, title in zip(grid[0], titles, strict=False):
            axes.set_title(title, fontsize=7)
        _bare(grid)
    return figure


def sections(shown: Shown) -> "matplotlib.figure.Figure":
    """A row for each cell: three planes through the middle, the draws as lines, the truth as a surface."""
    with house_style():
        figure = new_figure(4.6, 1.55 * len(shown.names))
        grid = figure.subplots(len(shown.names), 3, squeeze=False)
        for i, row in enumerate(grid):
            row[0].set_ylabel(_short(shown.names[i]), fontsize=6)
            for axis, (axes, (name, plane)) in enumerate(zip(row, _AXES, strict=True)):
                ground = shown.truth[i] if shown.truth is not None else shown.filled[i].mean(axis=0)
                axes.imshow(_middle(ground, axis), cmap="Greys", vmin=0, vmax=1.6, origin="lower")
                for draw in shown.filled[i]:
                    axes.contour(_middle(draw, axis), [0.5], colors=[ACCENT], linewidths=0.6, alpha=0.8)
                if i == 0:
                    axes.set_title(f"{name} = 0 ({plane})", fontsize=7)
        _bare(grid)
    return figure


def spread(shown: Shown) -> "matplotlib.figure.Figure":
    """For each cell the mean thickness along z, and how much the draws differ in it."""
    with house_style():
        figure = new_figure(1.6 * len(shown.names) + 0.6, 3.2)
        grid = figure.subplots(2, len(shown.names), squeeze=False)
        thick = shown.filled.sum(axis=2)
        mean, differ = thick.mean(axis=1), thick.std(axis=1)
        for row, maps, colours, label in zip(
            grid, (mean, differ), ("viridis", "magma"), ("thickness", "its spread"), strict=True
        ):
            top = float(max(maps.max(), 1e-9))
            pictures = [a.imshow(one, cmap=colours, vmin=0, vmax=top) for a, one in zip(row, maps, strict=True)]
            bar = figure.colorbar(pictures[-1], ax=list(row), fraction=0.02, pad=0.01)
            bar.set_label(f"{label} [samples]", fontsize=6)
        for axes, name in zip(grid[0], shown.names, strict=True):
            axes.set_title(_short(name), fontsize=6)
        _bare(grid)
    return figure


def errors(columns: dict[str, list[float]]) -> "matplotlib.figure.Figure":
    """Errors of all cells, as violins."""
    with house_style():
        figure = new_figure(1.1 * len(columns) + 1, 2.6)
        axes = figure.subplots()
        values = [np.asarray(column, float) for column in columns.values()]
        parts = axes.violinplot(values, showmedians=True, showextrema=False)
        for body in cast("list[PolyCollection]", parts["bodies"]):
            body.set_facecolor(SECOND)
            body.set_alpha(0.5)
        parts["cmedians"].set_color(INK)
        rng = np.random.default_rng(0)
        for place, each in enumerate(values, start=1):
            axes.plot(place + 0.08 * rng.standard_normal(len(each)), each, ".", ms=2, color=INK, alpha=0.5)
        axes.set_xticks(range(1, len(columns) + 1), list(columns))
        axes.set_ylabel("relative error")
        axes.set_ylim(bottom=0)
    return figure


def volumes(path: Path) -> "matplotlib.figure.Figure":
    """Volume of every draw against the area of the mask, and the true ones."""
    with h5py.File(path) as file:
        volume, seen = file["volume"], file["seen"]
        steps = [float(abs(np.diff(volume[name][:2])[0])) for name in "zyx"]
        unit = volume["z"].attrs["units"]
        scale, label = (1e6, "µm") if unit == "m" else (1.0, "samples")
        pixel = steps[1] * volume["occupancy"].shape[-1] / seen["mask"].shape[-1]
        area = (seen["mask"][()] > 0.5).sum(axis=(1, 2)) * (pixel * scale) ** 2
        voxel = float(np.prod(steps)) * scale**3
        drawn = np.array([(one > 0.5).sum(axis=(1, 2, 3)) for one in volume["occupancy"]]) * voxel
        true = (seen["truth"][()] > 0.5).sum(axis=(1, 2, 3)) * voxel if "truth" in seen else None
    with house_style():
        figure = new_figure(3.6, 2.8)
        axes = figure.subplots()
        for one in drawn.T:
            axes.plot(area, one, ".", ms=3, color=SECOND, alpha=0.4)
        axes.plot([], [], ".", color=SECOND, label="draws")
        if true is not None:
            axes.plot(area, true, "x", ms=4, color=ACCENT, label="truth")
        axes.set_xlabel(f"area of the mask [{label}²]")
        axes.set_ylabel(f"volume [{label}³]")
        figure.subplots_adjust(left=0.17, bottom=0.19)  # Below the axis there is room for its words.
        axes.legend(fontsize=6)
    return figure


def surface(filled: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "y x"]:
    """Draw a shape as light from a side leaves it, seen from a tilt."""
    from scipy.ndimage import gaussian_filter

    return shaded(gaussian_filter(filled.astype(np.float32), _SMOOTH), 0.5, turned(0.0, np.radians(_TILT)))


def _picture(axes: "matplotlib.axes.Axes", image: np.ndarray, mask: np.ndarray) -> None:
    axes.imshow(image, cmap="gray")
    if 0 < (mask > 0.5).mean() < 1:
        axes.contour(mask, [0.5], colors=[ACCENT], linewidths=0.7)


def _middle(volume: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.take(volume, volume.shape[axis] // 2, axis=axis))


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:19]}…"


def _bare(grid: np.ndarray) -> None:
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
