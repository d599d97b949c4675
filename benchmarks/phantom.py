"""SSNP phantom with images computed as by its authors: fits by SSNP and by multi-slice.

Sample j of the file is at z = (j − 153)·0.1 µm when the focus is at z = 0: the authors refocus by half the
thickness behind the last slice. Everything is periodic laterally, as in their code, so the fit adds no margin.
Axes ``z y x``.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from unflat.physics.optics.illumination import PlaneWaves
from unflat.physics.optics.image_formation import ImageFormation
from unflat.physics.optics.lattice import Lattice
from unflat.physics.optics.microscope import Illumination
from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments import get_experiment
from unflat.recon.io.model_file import read_model
from unflat.recon.io.volume_formats import read_volume
from unflat.recon.io.write import write
from unflat.recon.sampled import Quantity
from unflat.recon.visualization import compare_volumes
from unflat.recon.volume import Volume, centred_axis

from .commands import Options, fit
from .ledger import Ledger, Numbers
from .linear import nearest_to_truth, options_of_linear
from .pictures import save_small
from .places import shared

NAME = "SSNP phantom"
VOXEL, WAVELENGTH, APERTURE, TILTS = 0.1e-6, 0.5e-6, 0.65, 8
FOCUS = 153
"""Sample of the file at z = 0."""
OPTIONS: Options = {
    "volume.spacing": ["0.2 um", "0.1 um", "0.1 um"],
    "physics.padding": 0,  # periodic, and with the pupil cut along the samples, as the data are
    "physics.sharp_rim": True,
    "fit.sign": "nonnegative",
    "fit.withheld": 0,  # the published result uses all eight
    "fit.steps": 70,
}
"""Options of both fits; `OF_MODEL` has those of one physics."""
OF_MODEL: dict[str, Options] = {"ssnp": {}, "multislice": {}}
TINY: Options = {"fit.steps": 3}
PUBLISHED = {"ncc": 0.809, "nrmse_range": 0.104, "relative_l2": 0.624}
PUBLISHED_LINEAR = {"ncc": 0.692, "nrmse_range": 0.136, "psnr": 17.3, "ssim": 0.52}
GOALS = {"ncc": (">", 0.85), "nrmse_range": ("<", 0.095)}
FIGURES = {"ncc": "NCC", "nrmse_range": "NRMSE / range", "relative_l2": "relative L2", "psnr": "PSNR", "ssim": "SSIM"}
FORWARD = {"min": 0.3188, "max": 1.9385, "std": 0.1837}


def run(ledger: Ledger) -> None:
    """Simulate the images, fit them by both physics, and invert them linearly."""
    source = shared("cells/ssnp_phantom.tif")
    keep = ledger.choose(None, (24, 32, 32))
    acquisition = ledger.scratch / "acquisition.h5"
    images = ledger.part("images", {"keep": keep}, lambda: _simulate(source, acquisition, keep))
    _add_forward_rows(ledger, images)
    options: dict[str, Any] = {**OPTIONS, "volume.depth": images["depth"], "volume.centre_z": images["centre_z"]}
    config = ledger.scratch / "config.yaml"
    config.write_text("kind: cell\n", encoding="utf-8")
    linear = ledger.part(
        "linear",
        options_of_linear(options),
        lambda: nearest_to_truth(config, acquisition, "ncc", options, clipped=True),
    )
    for model in ("ssnp", "multislice"):
        chosen = {**options, **OF_MODEL[model], **ledger.choose({}, TINY), "physics.model": model}
        output = ledger.scratch / model
        ours = ledger.part(model, chosen, lambda c=chosen, o=output: _fit(ledger, config, acquisition, o, c))
        ledger.figure(f"phantom-{model}")
        _add_rows(ledger, model, ours, linear)


def _simulate(source: Path, path: Path, keep: tuple[int, int, int] | None) -> Numbers:
    """Simulate the images of the whole phantom, or of its central part."""
    import tifffile

    contrast = tifffile.imread(source).astype(np.float32) / 65535 * 0.01
    first = 0
    if keep is not None:
        first = FOCUS - keep[0] // 2
        (y, x), (h, w) = (n // 2 for n in contrast.shape[1:]), keep[1:]
        contrast = contrast[first : first + keep[0], y - h // 2 : y + h // 2, x - w // 2 : x + w // 2]
    count, side = contrast.shape[:2]
    z = (np.arange(count) + first - FOCUS) * VOXEL
    tilts = _tilts(side)
    lattice = Lattice(contrast.shape, (VOXEL,) * 3, WAVELENGTH, 1.0, centre_z=float(z[count // 2]))
    images = _images(contrast, lattice, tilts)
    quantity = Quantity("refractive_index", "1", "real part of the refractive index")
    flat = centred_axis(side, VOXEL)
    truth = Volume("cell", z, flat, flat, {quantity.name: contrast + 1}, (quantity,), {"medium_index": 1.0})
    arrays = {
        "images": images,
        "wavelength": np.array(WAVELENGTH),
        "numerical_aperture": np.array(APERTURE),
        "medium_index": np.array(1.0),
        "pixel_size": np.array([VOXEL, VOXEL]),
        "illumination_na": tilts,
    }
    write(Acquisition("cell", arrays, source.name, truth), get_experiment("cell").schema, path)
    # A box of slices of 2 voxels that covers the samples of the file, face to face.
    pitch = 2 * VOXEL
    middle, slices = float(z[0] + z[-1]) / 2, count // 2
    centre = middle + (pitch / 2 if slices % 2 == 0 else 0)
    statistics = {"min": float(images.min()), "max": float(images.max()), "std": float(images.std())}
    return {**statistics, "depth": slices * pitch, "centre_z": centre}


def _tilts(side: int) -> Float[np.ndarray, "view 2"]:
    """Return the apertures (y, x) on the ring, truncated to the frequencies of the lattice."""
    angle = 2 * np.pi * np.arange(TILTS) / TILTS
    exact = np.stack([np.sin(angle), np.cos(angle)], axis=1) * APERTURE / WAVELENGTH
    return np.trunc(np.round(exact * side * VOXEL, 9)) / (side * VOXEL) * WAVELENGTH


def _images(
    contrast: Float[np.ndarray, "z y x"], lattice: Lattice, tilts: Float[np.ndarray, "view 2"]
) -> Float[np.ndarray, "view y x"]:
    """Simulate periodic images by SSNP on the lattice itself."""
    height, width = contrast.shape[1:]
    camera = ImageFormation(lattice, APERTURE, "ssnp", (height, width), sharp_rim=True)
    light, seen = Illumination.from_directions(tilts), jax.jit(camera.images)
    views = (PlaneWaves.from_illumination(light, lattice, slice(i, i + 1)) for i in range(light.views))
    return np.concatenate([np.asarray(seen(contrast[None], view, jnp.zeros(0))) for view in views])


def _fit(ledger: Ledger, config: Path, acquisition: Path, output: Path, options: Options) -> Numbers:
    numbers = fit(config, acquisition, output, options, ledger.device)
    figure = compare_volumes(read_volume(acquisition), read_model(output))
    save_small(figure, ledger.figure(f"phantom-{options['physics.model']}"))
    return numbers


def _add_forward_rows(ledger: Ledger, images: Numbers) -> None:
    for name, theirs in FORWARD.items():
        ledger.row(
            f"images by SSNP: {name}",
            images[name],
            name=NAME,
            digits=4,
            reference=f"{theirs:.4f} (*published* code)",
            how="forward model alone",
        )


def _add_rows(ledger: Ledger, model: str, ours: Numbers, linear: Numbers) -> None:
    which = "SSNP, which made the data" if model == "ssnp" else "multi-slice, which did not make the data"
    how = f"`unflat fit` by {which}; all 8 images, {ours['steps']:.0f} steps; on the truth's samples"
    for figure, name in FIGURES.items():
        known = f"SSNP + gradient descent {PUBLISHED[figure]} (*published*); " if figure in PUBLISHED else ""
        elsewhere = f", {PUBLISHED_LINEAR[figure]} elsewhere" if figure in PUBLISHED_LINEAR else ""
        ledger.row(
            f"{name}, fitted by {model}",
            ours[figure],
            name=NAME,
            unit="dB" if figure == "psnr" else "",
            reference=f"{known}linear IDT ≥ 0 {linear[figure]:.3f} in this run{elsewhere}",
            goal=GOALS.get(figure),
            how=how,
        )
    cost = f"{ours['cpu_seconds'] / 60:.1f} min of CPU, {ours['peak_bytes'] / 2**30:.1f} GiB"
    ledger.row(f"time, fitted by {model}", ours["wall_seconds"] / 60, name=NAME, unit="min", digits=1, how=cost)
