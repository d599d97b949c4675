"""Picture of the mean residual by place, for the report of a cell's fit."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ...errors import DataError, Diagnostic
from ...io.hdf5_common import open_checked
from ...visualization.run_data import RunData
from ...visualization.style import add_colour_bar, add_scale_bar, house_style, new_image_figure
from .structure import misfit_map

if TYPE_CHECKING:
    import matplotlib.figure

_COLOURS = "magma"


def residual_figure(run: RunData, pixel_size: tuple[float, float] | None) -> "matplotlib.figure.Figure":
    """Draw the root-mean-square difference of amplitudes of all predicted views, relative to the light's amplitude.

    Args:
        run: Data of the run, with its ``predictions.h5``.
        pixel_size: [m] Pixel (y, x) of the images, for the scale bar.

    Raises:
        DataError: If the predictions cannot be read.
    """
    picture = _mean_residual(run)
    with house_style():
        figure, axes, bar = new_image_figure((picture.shape[0], picture.shape[1]))
        image = axes.imshow(picture, cmap=_COLOURS, vmin=0)
        axes.set_xticks([])
        axes.set_yticks([])
        if pixel_size is not None:
            add_scale_bar(axes, picture.shape[1] * pixel_size[1])
        add_colour_bar(figure, image, bar, "residual of amplitudes")
    return figure


def _mean_residual(run: RunData) -> Float[np.ndarray, "y x"]:
    with open_checked(run.folder / "predictions.h5") as file:
        pair = [np.asarray(file[name]) for name in ("measured", "modelled")]
    if pair[0].shape != pair[1].shape or pair[0].ndim != 3 or not pair[0].size:
        raise DataError(Diagnostic("predictions.h5", f"images of shape {pair[0].shape} and {pair[1].shape}"))
    measured, modelled = (np.abs(p) if np.iscomplexobj(p) else np.sqrt(np.maximum(p, 0)) for p in pair)
    misfit = ((modelled - measured) ** 2).astype(np.float64)
    return np.asarray(np.sqrt(misfit_map(misfit, np.ones(misfit.shape))))
