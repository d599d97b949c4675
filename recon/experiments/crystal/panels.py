"""Panels of a live view of a crystal: measured and modelled diffraction, and the far field frame by frame.

A run stores the measured counts on three planes through the Bragg peak. The modelled ones of every frame follow from
the density in the detector's frame, which its volume holds: ``exposure · (|FFT(density)|² ⊛ kernel + background)``.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex, Float

from ....physics.diffraction.frame_amplitudes import frame_amplitudes
from ...errors import DataError, Diagnostic
from ...io.hdf5_common import open_checked
from ...visualization.panels import Panel, PanelContent, PanelImage, PanelParameter, PanelSubject, difference_image
from ...visualization.prediction_panels import PREDICTIONS
from ...visualization.style import INDEX_COLOURS
from .figures import plane_letters, turn_plane

_LETTERS = ("frame", "y", "x")
_DARK = 0.5
"""Counts below which the logarithmic colours end."""
_GROUP, _POSITIONS = "detector_frame", "frame_positions"


def view_panels(subject: PanelSubject) -> list[Panel]:
    """List the panels that the files of a run suffice for."""
    predictions, volume = subject.folder / PREDICTIONS, subject.folder / "volume.h5"
    panels = []
    if predictions.is_file():
        plane = PanelParameter("plane", "Plane through the peak: across frame, y or x", 0, 2, 1, 0)
        panels.append(Panel("diffraction", "Diffraction", lambda values: _draw_planes(predictions, values), (plane,)))
    frames = _frame_count(volume)
    if frames:
        peak = PanelParameter("frame", "Frame of the rocking curve", 0, frames - 1, 1, frames // 2)
        panels.append(Panel("far-field", "Far field", lambda values: _draw_frame(volume, predictions, values), (peak,)))
    return panels


def _frame_count(file: Path) -> int:
    """Number of frames of the density in the detector's frame; 0 where there is none."""
    if not file.is_file():
        return 0
    with open_checked(file) as h5:
        density = h5.get(f"{_GROUP}/density")
        return int(density.shape[0]) if isinstance(density, h5py.Dataset) and density.ndim == 3 else 0


def _draw_planes(file: Path, values: Mapping[str, float]) -> PanelContent:
    """Draw measured and modelled counts on one of the stored planes, and their difference in standard deviations."""
    letter = _LETTERS[round(values["plane"])]
    measured, modelled = _stored_plane(file, letter)
    measured, modelled = (turn_plane(plane, letter) for plane in (measured, modelled))
    deviation = (measured - modelled) / np.sqrt(np.maximum(modelled, 1.0))
    images = (
        *_logarithmic({"measured": measured, "modelled": modelled}),
        difference_image("(measured − modelled) / noise", deviation, caption="in standard deviations of counts"),
    )
    down, right = plane_letters(letter)
    return PanelContent(images, f"Plane across {letter} through the Bragg peak: {down} down, {right} to the right.")


def _draw_frame(volume: Path, predictions: Path, values: Mapping[str, float]) -> PanelContent:
    """Draw the modelled counts of a frame, beside the measured frame through the peak where it is stored."""
    counts = _far_field(volume, volume.stat().st_mtime_ns)
    number = round(values["frame"])
    pictures, text = {f"modelled, frame {number}": counts[number]}, "Far field of the reconstructed density."
    if predictions.is_file():
        measured, modelled = _stored_plane(predictions, "frame")
        if modelled.shape == counts.shape[1:]:
            peak = int(np.argmin([np.abs(frame - modelled).sum() for frame in counts]))
            pictures[f"measured, frame {peak}"] = measured
            text += f" A run keeps one whole measured frame, that of the Bragg peak, number {peak}."
    return PanelContent(tuple(_logarithmic(pictures)), text)


def _logarithmic(pictures: Mapping[str, Float[np.ndarray, "h w"]]) -> list[PanelImage]:
    """Make pictures of counts with common logarithmic colours."""
    top = max(float(np.nanmax(picture, initial=1.0)) for picture in pictures.values())
    return [
        PanelImage(title, picture, _DARK, max(top, 1.0), "", INDEX_COLOURS, "counts", scale="log")
        for title, picture in pictures.items()
    ]


def _stored_plane(file: Path, letter: str) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Read measured counts, NaN where they are masked, and modelled ones."""
    with open_checked(file) as h5:
        measured, modelled, good = (
            np.asarray(h5[f"{name}/{letter}"][()], np.float64) for name in ("measured", "modelled", "good")
        )
    if not measured.shape == modelled.shape == good.shape or measured.ndim != 2:
        raise DataError(Diagnostic(str(file), f"planes of shape {measured.shape}, {modelled.shape} and {good.shape}"))
    return np.where(good > 0, measured, np.nan), modelled


@lru_cache(maxsize=2)
def _far_field(file: Path, _time: int) -> Float[np.ndarray, "frame y x"]:
    """Compute the counts of all frames from the density in the detector's frame; kept while the file is the same."""
    with open_checked(file) as h5:
        group = h5[_GROUP]
        density = np.asarray(group["density"][()], np.complex64)
        kernel = np.asarray(group["point_spread_function"][()], np.float32)
        background, exposure = float(group["background"][()]), np.asarray(group["exposure"][()], np.float32)
        positions = np.asarray(group[_POSITIONS][()]) if _POSITIONS in group else None
    return model_far_field(density, kernel, background, exposure, positions)


def model_far_field(
    density: Complex[np.ndarray, "frame y x"],
    kernel: Float[np.ndarray, "dz dy dx"],
    background: float,
    exposure: Float[np.ndarray, " frame"],
    positions: Float[np.ndarray, "frame 3"] | None = None,
) -> Float[np.ndarray, "frame y x"]:
    """Compute counts by the convention of the file, in NumPy.

    On a curve that is not even the kernel is applied along the frames as if they were at even steps.

    Args:
        density: Density on the grid conjugate to the patterns.
        kernel: Point-spread function of odd size.
        background: Counts in each pixel, under a steady beam.
        exposure: Flux of the beam in each frame, relative to its mean.
        positions: Positions of the frames of a curve that is not even; None for an even one.
    """
    from scipy.fft import fftn, fftshift, irfftn, rfftn

    if positions is None:
        intensity = np.abs(fftshift(fftn(density))) ** 2
    else:
        intensity = np.abs(frame_amplitudes(density, positions)) ** 2
    centred = np.zeros(density.shape, np.float32)
    shifts = [np.arange(-(n // 2), n // 2 + 1) % size for n, size in zip(kernel.shape, density.shape, strict=True)]
    np.add.at(centred, np.ix_(*shifts), kernel)
    blurred = irfftn(rfftn(intensity) * rfftn(centred), density.shape)
    return np.asarray(exposure[:, None, None] * (np.maximum(blurred, 0) + background), np.float64)
