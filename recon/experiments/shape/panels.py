"""Panel of a live view of a shape: its section against the picture and the mask that it was predicted from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...errors import DataError, Diagnostic
from ...io.hdf5_common import open_checked
from ...sampled import Sampled
from ...visualization.panels import Panel, PanelContent, PanelImage, PanelParameter, PanelSubject, difference_image
from ...visualization.style import INDEX_COLOURS, colour_range
from ...volume import SIGNED_DISTANCE
from .grids import centred_grid
from .output import VOLUME

_HEIGHTS = 20
"""Number of steps of the control of the height, on either side of the section."""


def view_panels(subject: PanelSubject) -> list[Panel]:
    """List the panel of the section; empty where the run keeps no picture."""
    file, shape = subject.folder / VOLUME, subject.specimen
    if shape is None or not file.is_file():
        return []
    with open_checked(file) as h5:
        if "seen/images" not in h5 or subject.cell >= len(h5["seen/images"]):
            return []
    high = float(shape.bounds[1][0])
    unit = shape.length_unit if shape.length_unit == "m" else ""
    height = PanelParameter("z", "Height of the plane", -high, high, high / _HEIGHTS, 0.0, unit)
    return [Panel("section", "Section and picture", lambda v: _draw(file, subject.cell, shape, v), (height,))]


def _draw(file: Path, cell: int, shape: Sampled, values: Mapping[str, float]) -> PanelContent:
    with open_checked(file) as h5:
        image, mask = (np.asarray(h5[f"seen/{name}"][cell], np.float64) for name in ("images", "mask"))
        steps = [float(abs(np.diff(h5[f"volume/{name}"][:2])[0])) for name in "zyx"]
        edge = h5["volume/y"].shape[0]
    if image.ndim != 2 or image.shape != mask.shape:
        raise DataError(Diagnostic(str(file), f"a picture of shape {image.shape} with a mask of {mask.shape}"))
    pixels = [step * edge / n for step, n in zip(steps[1:], image.shape, strict=True)]
    section = section_of(shape, values["z"], image.shape, (pixels[0], pixels[1]))
    pixel = pixels[1] if shape.length_unit == "m" else None
    low, high = colour_range(image, outliers=2e-3)
    pictures = (
        PanelImage("picture", image, low, high, pixel=pixel),
        PanelImage("mask", mask, 0.0, 1.0, pixel=pixel),
        PanelImage("section of the shape", section, 0.0, 1.0, colours=INDEX_COLOURS, pixel=pixel),
        difference_image("section − mask", section - mask, pixel),
    )
    inside, masked = section > 0.5, mask > 0.5
    either = int(np.count_nonzero(inside | masked))
    overlap = int(np.count_nonzero(inside & masked)) / either if either else 0.0
    return PanelContent(pictures, f"Overlap of section and mask (intersection over union): {overlap:.3f}.")


def section_of(
    shape: Sampled, height: float, pixels: tuple[int, int], steps: tuple[float, float]
) -> Float[np.ndarray, "h w"]:
    """Sample the section of a shape on the pixels of its picture: 1 inside, 0 outside.

    Args:
        shape: Model with a signed distance, or volume with an occupancy.
        height: [m] Height z of the plane; the picture is at 0.
        pixels: Number of pixels (y, x).
        steps: [m] Size of a pixel (y, x).
    """
    grid = centred_grid((1, *pixels), (1.0, *steps))
    name = shape.real_quantity().name
    values = shape.sample(np.array([height]), grid.y, grid.x, name)[0]
    return np.asarray(values < 0 if name == SIGNED_DISTANCE else values > 0.5, np.float64)
