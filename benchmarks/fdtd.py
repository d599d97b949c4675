"""Rotating cell computed by FDTD: fits of its complex fields, and of intensities at two planes of focus.

The truth in the file has the axes (z, y, x) of the images at angle 0: z along the light, the rotation about y.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Complex, Float

from unflat.physics.fft_sizes import next_even_size
from unflat.recon.acquisition import Acquisition
from unflat.recon.experiments import get_experiment
from unflat.recon.experiments.cell.crop import bin_images
from unflat.recon.experiments.cell.preprocess import normalise
from unflat.recon.experiments.configs import load_config
from unflat.recon.io.model_file import read_model
from unflat.recon.io.write import write
from unflat.recon.metrics import structural_similarity
from unflat.recon.sampled import Quantity
from unflat.recon.visualization import compare_volumes
from unflat.recon.volume import Volume

from .commands import Options, fit
from .ledger import Ledger, Numbers
from .odtbrain_reference import reconstruct
from .pictures import save_small
from .places import shared

NAME = "FDTD cell"
CONFIG = """kind: cell
acquisition:
  field: {real: /field_real, imag: /field_imag, scale: 0.01}
  wavelength: /@wavelength_nm in nm
  numerical_aperture: 0.9
  medium_index: /@medium_index
  pixel_size: 76.92307692 nm
  illumination: normal
  turn: {axis: y, angles: /angle}
volume:
  depth: 14.46 um
"""
PIXEL = 0.5e-6 / 6.5
FOCUS = 0.2e-6
"""[m] Plane of focus at which the fields of the truth agree best with the data (0.19 to 0.23 µm)."""
PLANES = (-2e-6, 2e-6)
"""[m] Planes of focus of the intensities."""
VIEWS, BIN = "::2", 2
FROM_FIELDS: Options = {
    "acquisition.defocus": f"{FOCUS * 1e6:g} um",
    "physics.padding": "4 um",
    "physics.model": "ssnp",
    "fit.sign": "nonnegative",
    "fit.steps": 120,
}
FROM_INTENSITIES: Options = {
    "physics.padding": "4 um",
    "physics.model": "ssnp",
    "fit.sign": "nonnegative",
    "fit.steps": 160,
}
TINY: Options = {"fit.steps": 3}
PUBLISHED = {"psnr": 29.4, "ssim": 0.741, "ncc": 0.978, "snr": 13.2, "seconds": 237.0}
GOALS = {"psnr": (">", 31.0), "ssim": (">", 0.85)}
FIGURES = {"psnr": ("PSNR", "dB", 2), "ssim": ("SSIM", "", 3), "ncc": ("NCC", "", 4), "snr": ("SNR", "dB", 2)}


def run(ledger: Ledger) -> None:
    """Fit the fields and the intensities, and run ODTbrain if it can be installed."""
    source = shared("cells/fdtd_cell.h5")
    views, size = ledger.choose((VIEWS, BIN), ("::20", 4))
    tiny = ledger.choose({}, TINY)
    config = ledger.scratch / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    chosen = {**FROM_FIELDS, "acquisition.views": views, "acquisition.bin": size, **tiny}
    fields = ledger.part("fields", chosen, lambda: _fit(ledger, "fields", config, source, chosen, size))
    made = {"views": views, "bin": size, "planes": PLANES, "focus": FOCUS}
    planes = ledger.scratch / "planes.h5"
    ledger.part("planes", made, lambda: _two_planes(config, source, planes, views, size))
    plain = ledger.scratch / "planes.yaml"
    plain.write_text("kind: cell\nvolume:\n  depth: 14.46 um\n", encoding="utf-8")
    alone = {**FROM_INTENSITIES, **tiny}
    intensities = ledger.part(
        "intensities", {**alone, **made}, lambda: _fit(ledger, "intensities", plain, planes, alone, size)
    )
    theirs = reconstruct(ledger, source, views, size, lambda index: _accuracy(truth(source, size), index))
    for which in ("fields", "intensities"):
        ledger.figure(f"fdtd-{which}")
    _add_rows(ledger, fields, intensities, theirs)


def truth(source: Path, size: int) -> Volume:
    """Read the true cell, binned by ``size``; the origin is at sample ``n // 2`` of the file."""
    with h5py.File(source) as file:
        labels = file["truth_index_label"]
        index = labels.attrs["refractive_index_of_label"][labels[()]].astype(np.float64)
        medium = float(file.attrs["medium_index"])
    count = index.shape[0] // size
    cropped = index[: count * size, : count * size, : count * size]
    coarse = cropped.reshape(count, size, count, size, count, size).mean(axis=(1, 3, 5))
    axis = (np.arange(count) * size + (size - 1) / 2 - index.shape[0] // 2) * PIXEL
    quantity = Quantity("refractive_index", "1", "real part of the refractive index")
    return Volume("cell", axis, axis, axis, {quantity.name: coarse}, (quantity,), {"medium_index": medium})


def _fit(ledger: Ledger, name: str, config: Path, source: Path, options: Options, size: int) -> Numbers:
    output = ledger.scratch / name
    numbers = fit(config, source, output, options, ledger.device)
    known, model = truth(shared("cells/fdtd_cell.h5"), size), read_model(output)
    moved = get_experiment("cell").evaluate(model, known, register=True).numbers
    save_small(compare_volumes(known, model), ledger.figure(f"fdtd-{name}"))
    registered = {f"registered_{figure}": value for figure, value in moved.items()}
    return numbers | registered | _accuracy(known, model.sample(known.z, known.y, known.x))


def _accuracy(known: Volume, index: Float[np.ndarray, "z y x"]) -> Numbers:
    """Compute the accuracy of an index on the samples of the truth, with the SSIM of contrast and of index."""
    volume = Volume("cell", known.z, known.y, known.x, {known.quantities[0].name: index}, known.quantities)
    return dict(get_experiment("cell").evaluate(volume, known).numbers) | {
        "ssim_index": structural_similarity(known.main, index)
    }


def _two_planes(config: Path, source: Path, path: Path, views: str, size: int) -> Numbers:
    """Refocus the fields numerically, and write their intensities as an acquisition."""
    settings: Any = load_config(config, [f"acquisition.views={views}"])
    kind = get_experiment("cell")
    given = normalise(kind.read(settings, source))
    field, wavelength = given["field"], float(given["wavelength"])
    images, rotation, defocus = [], [], []
    for plane in PLANES:
        moved = _refocused(field, plane, wavelength, float(given["medium_index"]), float(given["numerical_aperture"]))
        images.append(bin_images((np.abs(moved) ** 2).astype(np.float32), None, size))
        rotation.append(given["rotation"])
        defocus.append(np.full(len(field), FOCUS + plane))
    arrays = {name: given[name] for name in ("wavelength", "numerical_aperture", "medium_index")}
    arrays |= {
        "images": np.concatenate(images),
        "rotation": np.concatenate(rotation),
        "defocus": np.concatenate(defocus),
    }
    arrays |= {"pixel_size": given["pixel_size"] * size, "illumination_na": np.zeros((len(arrays["images"]), 2))}
    write(Acquisition("cell", arrays, source.name), kind.schema, path)
    return {"views": len(arrays["images"])}


def _refocused(
    field: Complex[np.ndarray, "view y x"], distance: float, wavelength: float, medium: float, aperture: float
) -> Complex[np.ndarray, "view y x"]:
    """Propagate fields exactly to another plane, cut at the aperture of the objective.

    Args:
        field: Fields relative to the incident wave, 1 far from the cell.
        distance: [m] Distance along the light.
        wavelength: [m] Vacuum wavelength.
        medium: Refractive index of the medium.
        aperture: Numerical aperture.
    """
    views, height, width = field.shape
    shape = [next_even_size(1.6 * n) for n in (height, width)]
    (top, left) = ((s - n) // 2 for s, n in zip(shape, (height, width), strict=True))
    fy, fx = (np.fft.fftfreq(s, PIXEL) for s in shape)
    square = fy[:, None] ** 2 + fx**2
    passes = square <= (aperture / wavelength) ** 2
    along = np.sqrt(np.where(passes, (medium / wavelength) ** 2 - square, 0)) - medium / wavelength
    kernel = passes * np.exp(2j * np.pi * along * distance)
    out = np.empty_like(field)
    for view in range(views):
        framed = np.zeros(shape, complex)
        framed[top : top + height, left : left + width] = field[view] - 1
        moved = 1 + np.fft.ifft2(np.fft.fft2(framed) * kernel)
        out[view] = moved[top : top + height, left : left + width]
    return out


def _add_rows(ledger: Ledger, fields: Numbers, intensities: Numbers, theirs: Numbers | None) -> None:
    count = f"{fields['views']:.0f} complex fields, binned {ledger.choose(BIN, 4)}×"
    planes = " and ".join(f"{1e6 * plane:g} µm" for plane in PLANES)
    ways: tuple[tuple[str, Numbers, dict[str, tuple[str, float]], str], ...] = (
        ("complex fields", fields, GOALS, f"`unflat fit` of {count}, some withheld; on the truth's binned samples"),
        (
            "intensities at two planes",
            intensities,
            {},
            f"{intensities['views']:.0f} images focused at {planes}, no phase",
        ),
    )
    for way, ours, goals, how in ways:
        for figure, (name, unit, digits) in FIGURES.items():
            beside = f"; {theirs[figure]:.{digits}f} in this run" if theirs else ""
            ledger.row(
                f"{name}, from {way}",
                ours[figure],
                name=NAME,
                unit=unit,
                digits=digits,
                reference=f"ODTbrain, from fields: {PUBLISHED[figure]} {unit}{beside}",
                goal=goals.get(figure),
                how=how,
            )
        beside = f"; {theirs['seconds']:.0f} s in this run ({theirs['version']})" if theirs else ""
        cost = f"{ours['steps']:.0f} steps; {ours['cpu_seconds']:.0f} s of CPU, {ours['peak_bytes'] / 2**30:.1f} GiB"
        reference = f"ODTbrain {PUBLISHED['seconds']:.0f} s elsewhere{beside}"
        ledger.row(
            f"time, from {way}",
            ours["wall_seconds"],
            name=NAME,
            unit="s",
            digits=0,
            reference=reference,
            how=cost,
        )
        shift = ", ".join(f"{1e9 * ours[f'registered_shift_{axis}']:.0f}" for axis in "zyx")
        ledger.notes.append(
            f"From {way}: SSIM is of n − n_m; of n itself it is {ours['ssim_index']:.3f}. Moved onto the truth by "
            f"({shift}) nm it would be PSNR {ours['registered_psnr']:.2f} dB, SSIM {ours['registered_ssim']:.3f}; "
            "the table has it unmoved."
        )
    if theirs:
        ledger.notes.append(
            f"ODTbrain's SSIM of n itself in this run: {theirs['ssim_index']:.3f}. Of the orders of axes that it could "
            "have, the best for it was taken."
        )
    else:
        ledger.notes.append("ODTbrain was not run beside it.")
