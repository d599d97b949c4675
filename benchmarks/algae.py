"""Measured data: Spirogyra algae under one LED after the other, compared with linear IDT of the same views.

Coordinates: z along the light, y down, x right, metres.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.configs import load_config
from unflat.recon.experiments.shipped_configs import shipped
from unflat.recon.io.model_file import read_model
from unflat.recon.io.volume_formats import read_volume, save
from unflat.recon.metrics import line_width
from unflat.recon.visualization import depth_montage
from unflat.recon.volume import Volume

from .commands import Options, fit, settings_of
from .ledger import Ledger, Numbers
from .linear import (
    STRENGTHS,
    Contrast,
    best_inverse,
    options_of_linear,
    problem_of,
    residual,
    split,
    volume_of,
    with_physics,
)
from .pictures import save_small, upright_sections
from .places import shared

NAME = "algae (real data)"
PIXEL = "0.6454816 um"
OPTIONS: Options = {
    "acquisition.crop": [256, 256],
    "volume.depth": "125 um",
    "volume.centre_z": "22 um",
    "volume.spacing": ["3.125 um", PIXEL, PIXEL],
    "volume.size": ["190 um", "190 um"],  # filaments continue beyond the images, and scatter light into them
    "physics.absorption": True,  # of the chloroplasts
    "fit.refine": {"sources": True},  # ten dark views show that the array of LEDs is slightly displaced
    "fit.steps": 150,
}
"""Options for a crop of 256 × 256 and 40 slices; `ON_GPU` fits whole images."""
ON_GPU: Options = {"acquisition.crop": [512, 512]}
TINY: Options = {
    "acquisition.crop": [48, 48],
    "acquisition.views": "::8",
    "volume.spacing": ["10 um", PIXEL, PIXEL],
    "physics.padding": "2 um",
    "fit.steps": 4,
    "fit.withheld": 0.2,
}
GOAL_RATIO, GOAL_MINUTES = 0.8, 30
POINTS, DISTANCE = 8, 25e-6
"""Number of measured filaments, and their least distance [m]."""


def run(ledger: Ledger) -> None:
    """Fit, invert linearly, compare on withheld views, measure filaments, and draw."""
    path = shared("cells/algae_idt.h5")
    options = {**OPTIONS, **(ON_GPU if ledger.device == "gpu" else {}), **(TINY if ledger.quick else {})}
    config = ledger.scratch / "config.yaml"
    config.write_text(shipped("algae-led-grid"), encoding="utf-8")
    output = ledger.scratch / "run"
    ours = ledger.part("fit", options, lambda: fit(config, path, output, options, ledger.device))
    strengths = ledger.choose(STRENGTHS, (0.03, 0.003))
    known = {**options, "strengths": strengths}
    alike = {**options_of_linear(options), "strengths": strengths}
    linear = ledger.part("linear", alike, lambda: _linear(config, path, options, strengths, ledger.scratch))
    widths = ledger.part("widths", known | {"points": POINTS}, lambda: _widths(output, ledger.scratch / "linear.h5"))
    ledger.part("pictures", known, lambda: _draw(ledger, output))
    for picture in ("algae-depths-unflat", "algae-depths-linear", "algae-upright"):
        ledger.figure(picture)
    _add_rows(ledger, ours, linear, widths, options)


def _linear(config: Path, path: Path, options: Options, strengths: Sequence[float], folder: Path) -> Numbers:
    """Find the linear inverse that predicts the withheld views best, by its own physics and by multi-slice."""
    settings: Any = load_config(config, settings_of(options))
    measured = problem_of(settings, get_experiment("cell").read(settings, path))
    trained, withheld = split(measured)
    judges = {model: residual(with_physics(measured, model), withheld) for model in ("linear", "multislice")}
    tried: list[dict[str, float]] = []

    def merit(contrast: Contrast) -> float:
        tried.append({model: judge(contrast) for model, judge in judges.items()})
        return -tried[-1]["linear"]

    best = best_inverse(measured, trained, merit, strengths=strengths)
    save(volume_of(measured, best.contrast), folder / "linear.h5")
    numbers: Numbers = {"views": measured.views, "views_withheld": len(withheld), "seconds": best.seconds}
    for model in judges:
        chosen = int(np.argmin([each[model] for each in tried]))
        numbers |= {f"residual_{model}": tried[chosen][model], f"strength_{model}": strengths[chosen]}
    return numbers


def _widths(output: Path, linear: Path) -> Numbers:
    """Measure the axial widths of the same filaments in both volumes."""
    volumes = [read_volume(output / "volume.h5"), read_volume(linear)]
    contrasts = [np.asarray(v.main, np.float64) - float(v.attributes["medium_index"]) for v in volumes]
    points = filaments(contrasts, volumes[0].spacing)
    columns = [[line_width(c, volumes[0].spacing, point) for point in points] for c in contrasts]
    where = [[float(a[i]) for a, i in zip(_axes(volumes[0]), point, strict=True)] for point in points]
    both = [(a, b) for a, b in zip(*columns, strict=True) if np.isfinite(a) and np.isfinite(b)]
    medians = [float(np.median(column)) for column in zip(*both, strict=True)] if both else [None, None]
    listed = [[float(w) if np.isfinite(w) else None for w in column] for column in columns]
    return {"points": where, "ours": listed[0], "linear": listed[1], "median": medians, "in_both": len(both)}


def filaments(
    contrasts: Sequence[Float[np.ndarray, "z y x"]], spacing: tuple[float, float, float]
) -> list[tuple[int, int, int]]:
    """Choose points on the filaments of highest contrast, with equal weights of all volumes.

    Each volume is band-passed laterally (1 to 5 µm) and divided by its standard deviation. The points are the largest
    maxima of the sum of magnitudes, at some distance from the faces of the box and from one another.

    Args:
        contrasts: Volumes on one grid.
        spacing: [m] Distance between samples.
    """
    from scipy.ndimage import gaussian_filter

    total = np.zeros_like(contrasts[0])
    for contrast in contrasts:
        fine, coarse = (gaussian_filter(contrast, [0.5, *(s / d for d in spacing[1:])]) for s in (1e-6, 5e-6))
        band = fine - coarse
        total += np.abs(band) / band.std()
    for axis, (count, distance) in enumerate(zip(total.shape, spacing, strict=True)):
        rim = min(int(np.ceil((10e-6 if axis == 0 else 12e-6) / distance)), (count - 1) // 3)
        keep = np.zeros(count, bool)
        keep[rim : count - rim] = True
        total *= keep.reshape([-1 if a == axis else 1 for a in range(3)])
    grid = np.meshgrid(
        *(np.arange(n) * d for n, d in zip(total.shape, spacing, strict=True)), indexing="ij", sparse=True
    )
    points: list[tuple[int, int, int]] = []
    while len(points) < POINTS and total.max() > 0:
        z, y, x = (int(i) for i in np.unravel_index(int(np.argmax(total)), total.shape))
        points.append((z, y, x))
        near = (grid[1] - grid[1][0, y, 0]) ** 2 + (grid[2] - grid[2][0, 0, x]) ** 2 < DISTANCE**2
        total = np.where(near, 0, total)
    return points


def _axes(volume: Volume) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return volume.z, volume.y, volume.x


def _draw(ledger: Ledger, output: Path) -> Numbers:
    results = {"unflat": read_model(output), "linear IDT": read_volume(ledger.scratch / "linear.h5")}
    low, high = results["unflat"].bounds
    heights = [float(low[0] + (i + 0.5) / 8 * (high[0] - low[0])) for i in range(8)]
    for name, result in results.items():
        picture = ledger.figure(f"algae-depths-{name.split()[0]}")
        save_small(depth_montage(result, heights, title=f"{name}: planes at eight depths"), picture)
    rows = [float(low[1] + share * (high[1] - low[1])) for share in (0.25, 0.4, 0.55, 0.7)]
    save_small(upright_sections(results, rows), ledger.figure("algae-upright"))
    return {}


def _add_rows(ledger: Ledger, ours: Numbers, linear: Numbers, widths: Numbers, options: Options) -> None:
    y, x = options["acquisition.crop"]
    withheld = f"{ours['views_withheld']:.0f} of {ours['views']:.0f} views withheld"
    how = f"`unflat fit` on {y} × {x} pixels, read in place; {withheld}"
    mine, add, steps = ours["residual_withheld"], ledger.row, f"{ours['steps']:.0f} steps, whole process"
    if any(ours[name] != linear[name] for name in ("views", "views_withheld")):
        raise ValueError("the fit and linear IDT saw different views: run with --again")
    for model, name in (("linear", "its own physics"), ("multislice", "multi-slice")):
        theirs, strength = linear[f"residual_{model}"], linear[f"strength_{model}"]
        add(
            f"residual of withheld views over linear IDT's, predicted by {name}",
            mine / theirs,
            name=NAME,
            reference=f"1 (ours {mine:.3f}, linear IDT {theirs:.3f} at its best α, {strength:g})",
            goal=("<", GOAL_RATIO),
            how=f"{how}; the same views, misfit and free gain for both",
        )
    add(
        "time",
        ours["wall_seconds"] / 60,
        name=NAME,
        unit="min",
        digits=1,
        goal=("<", GOAL_MINUTES),
        how=steps,
    )
    add("CPU time", ours["cpu_seconds"] / 60, name=NAME, unit="min", digits=1, how="of all cores")
    add("peak memory", ours["peak_bytes"] / 2**30, name=NAME, unit="GiB", digits=2, how="of the whole process")
    own, theirs = (None if m is None else m * 1e6 for m in widths["median"])
    reference = "linear IDT: none measurable" if theirs is None else f"linear IDT {theirs:.1f} µm"
    add(
        "axial width of filaments (FWHM), median",
        own,
        name=NAME,
        unit="µm",
        digits=1,
        reference=f"{reference}; *published*, other profiles: DeCAF 16–22, Tikhonov 34–36 µm",
        how=f"{widths['in_both']} of {len(widths['points'])} points, chosen by both volumes alike: both fall to half",
    )
    each = [
        f"({', '.join(f'{1e6 * c:.0f}' for c in point)}): {_width(a)} / {_width(b)}"
        for point, a, b in zip(widths["points"], widths["ours"], widths["linear"], strict=True)
    ]
    ledger.notes.append(
        f"Axial widths [µm] at (z, y, x) [µm], unflat / linear IDT: {'; '.join(each)}. — falls not to half in the box."
    )
    ledger.notes.append("Each method has its own colour scale.")


def _width(value: float | None) -> str:
    return "—" if value is None else f"{1e6 * value:.1f}"
