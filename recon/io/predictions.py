"""Views as measured and as modelled, which the report of a run shows beside one another: ``predictions.h5``."""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Float, Int, Num

from .atomic import write_atomically
from .hdf5_common import mark_as_plot, write_root_attributes
from .safe_hdf5 import new_hdf5

FORMAT = "unflat-predictions"
_PLOT = "plot"
"""Group of links, which viewers plot."""


def write_predictions(
    path: Path,
    kind: str,
    views: Int[np.ndarray, " view"],
    withheld: Bool[np.ndarray, " view"],
    measured: Num[np.ndarray, "view y x"],
    modelled: Num[np.ndarray, "view y x"],
    brightness: Float[np.ndarray, " view"] | None = None,
) -> None:
    """Write some views; the file appears whole or not at all.

    Args:
        path: The file, ``predictions.h5`` in the folder of a run.
        kind: Kind of experiment.
        views: Numbers of the views in the acquisition.
        withheld: Whether each view was withheld from the fit.
        measured: Measured images, or fields.
        modelled: Predictions of these views from the fitted specimen.
        brightness: Fitted brightness of each view over the median, if it was fitted; NaN for dark fields.

    Raises:
        DataError: If the folder is missing, or the disk is full, read-only or forbidden.
    """
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, FORMAT, kind, _PLOT)
        known = {"views": views, "withheld": withheld} | ({} if brightness is None else {"brightness": brightness})
        for name, numbers in known.items():
            file.create_dataset(name, data=numbers).attrs["units"] = "1"
        for name, images in (("measured", measured), ("modelled", modelled)):
            chunks = (1, *images.shape[1:])
            data = file.create_dataset(
                name, data=images, chunks=chunks, compression="gzip", shuffle=True, fletcher32=True
            )
            data.attrs["units"] = "1"
        plot = file.create_group(_PLOT)
        for name in ("views", "measured", "modelled"):
            plot[name] = h5py.SoftLink(f"/{name}")
        mark_as_plot(plot, "measured", ("views", ".", "."), ["modelled"])
