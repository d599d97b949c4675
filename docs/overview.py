"""Draw the picture of the README: what is measured, and what unflat makes of it, for each kind of experiment.

python docs/overview.py docs/images/overview.png
"""

import sys

import numpy as np

import unflat


def cell() -> tuple[np.ndarray, np.ndarray]:
    """A cell: one of its images, and its refractive index."""
    measurement = unflat.simulate("cell", {"simulate.depth": "8 um", "volume.depth": "8 um"}, seed=2)
    result = unflat.fit(measurement, {"fit.steps": 200})
    volume = result.volume()
    index = volume.values["refractive_index"]
    return measurement.acquisition["images"][0], index[index.shape[0] // 2] - volume.attributes["medium_index"]


def crystal() -> tuple[np.ndarray, np.ndarray]:
    """A crystal: a frame of its rocking curve, and its strain."""
    measurement = unflat.simulate("crystal", {"simulate.strains": ["polynomial"]}, seed=4)
    result = unflat.phase(measurement, {"phase.starts": 4})
    volume = result.volume()
    middle = [n // 2 for n in volume.shape]
    strain = np.where(volume.values["support"] > 0, volume.values["strain"], np.nan)[middle[0]]
    counts = measurement.acquisition["images"]
    return np.log10(counts[counts.shape[0] // 2] + 1), strain


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
        ("crystal", crystal, "magma", "RdBu_r", ("diffraction, log counts", "strain")),
        ("shape", shape, "gray", "cividis", ("picture of a section", "shapes drawn, side view")),
    )
    figure, axes = plt.subplots(1, 6, figsize=(13, 2.9), dpi=150)
    for n, (name, make, measured_colours, result_colours, titles) in enumerate(rows):
        measured, result = make()
        for axis, image, colours, title in zip(
            axes[2 * n : 2 * n + 2], (measured, result), (measured_colours, result_colours), titles, strict=True
        ):
            limit = np.nanmax(np.abs(image)) if colours == "RdBu_r" else None
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
