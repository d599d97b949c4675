"""Draw the pictures of the tutorials of four capabilities, from the files that the commands of their pages write.

python docs/tutorial_pictures.py series FOLDER docs/images/tutorial-series.png
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

import unflat
from unflat.recon.experiments.crystal.evaluate import align_with
from unflat.recon.experiments.shape import figures
from unflat.recon.io.volume_hdf5 import read_group
from unflat.recon.sampled import Sampled
from unflat.recon.visualization.layout import Margins, bar_axes, tiled_figure
from unflat.recon.visualization.planes import PlaneSampler
from unflat.recon.visualization.style import add_colour_bar, add_scale_bar, house_style
from unflat.recon.volume import Volume

Rows = Mapping[str, Sequence[np.ndarray]]
"""Pictures of each row by its label."""


def main(name: str, folder: str, path: str) -> None:
    """Draw one of the pictures."""
    PICTURES[name](Path(folder), Path(path))


def uneven_curve(folder: Path, path: Path) -> None:
    """Amplitude and phase of the crystal: the truth, phased at even steps, and with each frame at its own q."""
    truth, planes = _truth(folder / "scan.h5"), []
    for run in ("NOMINAL", "CURVE"):
        with h5py.File(folder / run / "volume.h5") as file:
            result = read_group(file["volume"], "crystal")
        spacing, known, aligned = align_with(result, truth)
        middle = known.shape[1] // 2
        box = _box_of(known[:, middle])
        planes += [density[:, middle][box] for density in ([aligned.density] if planes else [known, aligned.density])]
    turned = [plane * np.exp(-1j * np.angle(np.sum(plane * np.abs(plane)))) for plane in planes]
    phases = [np.where(np.abs(plane) > 0.3 * np.abs(plane).max(), np.angle(plane), np.nan) for plane in turned]
    rows = {"amplitude": [np.abs(plane) / np.quantile(np.abs(plane), 0.97) for plane in planes], "phase (rad)": phases}
    reach = float(np.nanmax(np.abs(phases[0])))
    scales = {"amplitude": ("inferno", (0.0, 1.2)), "phase (rad)": ("RdBu_r", (-1.2 * reach, 1.2 * reach))}
    _draw(rows, ["truth", "even steps", "each frame at its own q"], scales, spacing * planes[0].shape[1], path)


def _box_of(plane: np.ndarray) -> tuple[slice, slice]:
    """Box of the crystal in a plane, with a margin for errors."""
    inside = np.argwhere(np.abs(plane) > 0.3 * np.abs(plane).max())
    first, last = inside.min(axis=0) - 5, inside.max(axis=0) + 6
    return slice(max(first[0], 0), last[0]), slice(max(first[1], 0), last[1])


def sections(folder: Path, path: Path) -> None:
    """Surfaces of the cells: the truth, and the consensus from one, two and three sections."""
    with h5py.File(folder / "one.h5") as file:
        names = [name.decode() for name in file["name"]]
        truths = file["truth/occupancy"][()].reshape(len(names), *file["truth/occupancy"].shape[-3:])
    runs = {"one section": "ONE", "two": "TWO", "three": "THREE"}
    shapes = [truths]
    for run in runs.values():
        with h5py.File(folder / run / "volume.h5") as file:
            shapes.append(file["consensus/occupancy"][()])
    pictures = [[figures.draw_surface(shape[n] > 0.5) for shape in shapes] for n in range(len(names))]
    edge = max(figures.used_edge(picture) for row in pictures for picture in row)
    with house_style():
        size = 1.5 * figures.TILE
        figure, tiles = tiled_figure(len(names), len(shapes), (size, size), Margins(top=0.22, left=0.25))
        for row, own, name in zip(tiles, pictures, names, strict=True):
            for k, (tile, picture) in enumerate(zip(row, own, strict=True)):
                figures.show_surface(tile, picture, edge, figures.COLOURS if k else figures.TRUTH_COLOURS)
            row[0].label(name.removeprefix("simulated_").rsplit("_", 1)[0].replace("_", " "), size=8)
        for tile, title in zip(tiles[0], ["truth", *runs], strict=True):
            tile.title(title, size=9)
        figure.savefig(path, dpi=110)


def series(folder: Path, path: Path) -> None:
    """Planes of the cell at each time: the truth, each acquisition alone, and the one model of the series."""
    model = unflat.load_series(folder / "SERIES")
    files = sorted(folder.glob("t?.h5"))
    results: dict[str, list[Sampled]] = {
        "truth": [_truth(file) for file in files],
        "alone": [unflat.load(folder / "ALONE" / file.stem) for file in files],
        "one model": [model.at(position) for position in model.axis.positions],
    }
    titles = [model.axis.describe(position) for position in model.axis.positions]
    _draw_index(results, titles, "z", path)


def prior(folder: Path, path: Path) -> None:
    """Upright planes of the specimen: the truth, the fit, and the completion by the network, before and after a fit."""
    columns = {"truth": _truth(folder / "scan.h5"), "fit": unflat.load(folder / "FIT")}
    columns |= {"completed": unflat.load(folder / "QUICK"), "completed, then fitted": unflat.load(folder / "REFINED")}
    _draw_index({"": list(columns.values())}, list(columns), "y", path)


def demo_with_prior(folder: Path, path: Path) -> None:
    """Upright planes of the demo's cell: the truth, the demo's fit, and the demo with ``fit.prior=shipped``."""
    plain, with_prior = folder / "demo-cell", folder / "demo-prior"
    columns = {"truth": _truth(plain / "acquisition.h5"), "fit": unflat.load(plain / "run")}
    columns["fit with the prior"] = unflat.load(with_prior / "run")
    _draw_index({"": list(columns.values())}, list(columns), "y", path)


def _draw_index(results: Mapping[str, Sequence[Sampled]], titles: Sequence[str], axis: str, path: Path) -> None:
    """Draw the plane of the refractive index through the middle of each box, in common colours."""
    samplers = {label: [PlaneSampler(result, size=160) for result in row] for label, row in results.items()}
    planes = {label: [sampler(axis, 0.0) for sampler in row] for label, row in samplers.items()}
    rows = {label: [plane.values for plane in row] for label, row in planes.items()}
    first = next(iter(rows.values()))
    limits = float(np.min(first)), float(np.quantile(np.concatenate([values.ravel() for values in first]), 0.999))
    scales = dict.fromkeys(rows, ("inferno", limits))
    _draw(rows, titles, scales, next(iter(planes.values()))[0].width, path, bar="refractive index")


def _draw(
    rows: Rows,
    titles: Sequence[str],
    scales: Mapping[str, tuple[str, tuple[float, float]]],
    width: float,
    path: Path,
    bar: str = "",
) -> None:
    """Draw rows of pictures, with one colour bar for all or one for each."""
    first = next(iter(rows.values()))[0]
    side = 1.35 if len(titles) > 3 else 1.9
    size = (side, side * first.shape[0] / first.shape[1])
    with house_style():
        margins = Margins(left=0.25, right=0.8, top=0.22)
        figure, tiles = tiled_figure(len(rows), len(titles), size, margins)
        for tile_row, (label, pictures) in zip(tiles, rows.items(), strict=True):
            colours, limits = scales[label]
            for tile, picture in zip(tile_row, pictures, strict=True):
                image = tile.show(picture, colours, limits, interpolation="bilinear")
            tile_row[0].label(label, size=8)
            if not bar:
                add_colour_bar(figure, image, bar_axes(figure, tile_row[-1], tile_row[-1]), label)
        if bar:
            add_colour_bar(figure, image, bar_axes(figure, tiles[0][-1], tiles[-1][-1]), bar)
        for tile, title in zip(tiles[0], titles, strict=True):
            tile.title(title, size=8)
        add_scale_bar(tiles[0][0].axes, width, fraction=0.35, size=7, tile=tiles[0][0])
        figure.savefig(path, dpi=130)


def _truth(file: Path) -> Volume:
    """Read the truth that a simulated acquisition holds."""
    with h5py.File(file) as opened:
        return read_group(opened["truth"], str(opened.attrs["kind"]))


PICTURES: Mapping[str, Callable[[Path, Path], None]] = {
    "uneven": uneven_curve,
    "sections": sections,
    "series": series,
    "prior": prior,
    "demo-with-prior": demo_with_prior,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
