"""Panel of a live view with measured images beside those that the result predicts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..errors import DataError, Diagnostic
from ..io.hdf5_common import open_checked
from .panels import Panel, PanelContent, PanelImage, PanelParameter, difference_image
from .style import colour_range

PREDICTIONS = "predictions.h5"


def prediction_panels(folder: Path, pixel: float | None = None) -> list[Panel]:
    """List the panel of measured and modelled views; empty where a run has none.

    Args:
        folder: Folder of the run.
        pixel: [m] Size of a pixel of the images, where it is known.

    Raises:
        DataError: If the file is damaged.
    """
    file = folder / PREDICTIONS
    if not file.is_file():
        return []
    with open_checked(file) as h5:
        if "views" not in h5:  # Another kind of prediction, which its kind draws.
            return []
        count = len(h5["views"])
    if not count:
        return []
    view = PanelParameter("view", "View", 0, count - 1, 1, 0)
    return [Panel("views", "Measured and modelled", lambda values: _draw(file, values, pixel), (view,))]


def _draw(file: Path, values: Mapping[str, float], pixel: float | None) -> PanelContent:
    number = round(values["view"])
    with open_checked(file) as h5:
        view, is_withheld = int(h5["views"][number]), bool(h5["withheld"][number])
        measured, modelled = (_real(h5[name][number]) for name in ("measured", "modelled"))
    if measured.shape != modelled.shape or measured.ndim != 2:
        raise DataError(Diagnostic(str(file), f"images of shape {measured.shape} and {modelled.shape}"))
    low, high = colour_range(measured, outliers=2e-3)
    images = (
        PanelImage("measured", measured, low, high, pixel=pixel),
        PanelImage("modelled", modelled, low, high, pixel=pixel),
        difference_image("modelled − measured", modelled - measured, pixel),
    )
    role = "withheld from the fit" if is_withheld else "fitted"
    return PanelContent(images, f"View {view} of the acquisition, {role}.")


def _real(image: np.ndarray) -> Float[np.ndarray, "h w"]:
    """An image; the magnitude of a complex field."""
    return np.asarray(np.abs(image) if np.iscomplexobj(image) else image, np.float64)
