"""What a cell's fit leaves beside its model: the sampled volume, and some views as measured and as predicted."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float

from ...io.hdf5_common import write_root_attributes
from ...io.volume_formats import save
from ...model import Model
from ...runs import new_hdf5, write_atomically

if TYPE_CHECKING:
    from .likelihood import CellLikelihood

SHOWN = 12
"""Fitted views that are kept beside the withheld ones in the predictions."""


def write_result(
    problem: "CellLikelihood",
    folder: Path,
    model: Model,
    values: Float[np.ndarray, "k z y x"],
    nuisance: dict[str, Any],
) -> dict[str, float]:
    """Write ``volume.h5`` and ``predictions.h5``, and give their numbers.

    Args:
        problem: The measurement.
        folder: Of the run.
        model: What is sampled.
        values: Index contrast on the fit's lattice.
        nuisance: Corrections of the instrument.
    """
    volume = model.volume()
    save(volume, folder / "volume.h5")
    withheld = problem.split().withheld
    _write_predictions(problem, folder / "predictions.h5", values, nuisance)
    numbers = {"voxels": float(volume.main.size), "volume_bytes": float((folder / "volume.h5").stat().st_size)}
    return numbers | ({"views_withheld": float(len(withheld))} if len(withheld) else {})


def _write_predictions(
    problem: "CellLikelihood", path: Path, values: Float[np.ndarray, "k z y x"], nuisance: dict[str, Any]
) -> None:
    """Write measured and modelled views beside one another, the withheld ones first."""
    fitted, withheld = problem.split()
    some = fitted[np.unique(np.linspace(0, len(fitted) - 1, SHOWN).astype(int))]
    views = np.concatenate([withheld, some])
    predict = jax.jit(problem.predict)
    modelled, measured = [], []
    for view in views:
        batch = problem.batch(np.array([view]))
        modelled.append(np.asarray(predict(values, nuisance, batch))[0])
        measured.append(np.asarray(batch["measured"])[0])
    with write_atomically(path) as temporary, new_hdf5(temporary) as file:
        write_root_attributes(file, "unflat-predictions", "cell", "/")
        file.attrs.update({"signal": "measured", "axes": ["views", ".", "."]})
        for name, facts in (("views", views), ("withheld", np.isin(views, withheld))):
            file.create_dataset(name, data=facts).attrs["units"] = "1"
        for name, images in (("measured", measured), ("modelled", modelled)):
            stack = np.stack(images)
            data = file.create_dataset(name, data=stack, chunks=(1, *stack.shape[1:]), compression="gzip", shuffle=True)
            data.attrs["units"] = "1"
