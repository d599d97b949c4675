"""Draw the picture of the README: what is measured, and what unflat makes of it, for each kind of experiment.

python docs/overview.py docs/images/overview.png
"""

import sys

import numpy as np

import unflat
from unflat.recon.visualization.planes import PlaneSampler


def cell() -> tuple[np.ndarray, np.ndarray]:
    """A cell: one of its images, and its refractive index."""
    measurement = unflat.simulate("cell", {"simulate.depth": "8 um", "volume.depth": "8 um"}, seed=2)
    result = unflat.fit(measurement, {"fit.steps": 200})
    volume = result.volume()
    index = volume.values["refractive_index"]
    return measurement.acquisition["images"][0], index[index.shape[0] // 2] - volume.attributes["medium_index"]


def crystal() -> tuple[np.ndarray, np.ndarray]:
    """A crystal: a frame of its rocking curve, and the displacement of its lattice."""
    options = {"simulate.strains": ["polynomial"], "simulate.flaws": [], "simulate.oversampling": 2.3}
    options |= {"simulate.phase": [1.5, 2.0], "simulate.detector.counts": 1e8}
    measurement = unflat.simulate("crystal", options, seed=4)
    volume = unflat.phase(measurement, {"phase.starts": 4}).volume()
    inside, displacement = (
        PlaneSampler(volume, quantity=name)("z", 0.0).values for name in ("support", "displacement")
    )
    counts = measurement.acquisition["images"]
    return np.log10(counts[counts.shape[0] // 2] + 1), _cut_to(inside > 0.5, displacement)


def _cut_to(inside: np.ndarray, values: np.ndarray, margin: int = 12) -> np.ndarray:
    """Values inside an object, NaN elsewhere, cut to the object with a margin."""
    rows, columns = np.argwhere(inside).T
    box = tuple(slice(max(each.min() - margin, 0), each.max() + margin + 1) for each in (rows, columns))
    return np.where(inside, values, np.nan)[box]


def shape() -> tuple[np.ndarray, np.ndarray]:
    """A shape: the picture of a section, and the mean height of the shapes drawn for it."""
    measurement = unflat.simulate("shape", {"simulate.cells": 1, "simulate.classes": ["discocyte"]}, seed=3)
    result = unflat.predict(measurement, draws=8)
    occupancy = result.volume().values["occupancy"][0].mean(axis=0)
    return measurement.acquisition["images"][0], occupancy[:, occupancy.shape[1] // 2]


def main(path: str) -> None:
    """Draw the three pairs side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = (
        ("cell", cell, "gray", "viridis", ("intensity image", "refractive index")),
        ("crystal", crystal, "magma", "RdBu_r", ("diffraction, log counts", "displacement of the lattice")),
        ("shape", shape, "gray", "cividis", ("picture of a section", "shapes drawn, side view")),
    )
    figure, axes = plt.subplots(1, 6, figsize=(13, 2.9), dpi=150)
    for n, (name, make, measured_colours, result_colours, titles) in enumerate(rows):
        measured, result = make()
        for axis, image, colours, title in zip(
            axes[2 * n : 2 * n + 2], (measured, result), (measured_colours, result_colours), titles, strict=True
        ):
            limit = np.nanquantile(np.abs(image), 0.99) if colours == "RdBu_r" else None
            axis.imshow(image, cmap=colours, vmin=-limit if limit else None, vmax=limit)
            axis.set_title(f"{name}: {title}" if axis is axes[2 * n] else title, fontsize=9)
            axis.set_axis_off()
        axes[2 * n + 1].text(
            -0.13, 0.5, "→", transform=axes[2 * n + 1].transAxes, ha="center", va="center", fontsize=16
        )
    figure.tight_layout(w_pad=1.6)
    figure.savefig(path, bbox_inches="tight")


if __name__ == "__main__":
    main(sys.argv[1])
