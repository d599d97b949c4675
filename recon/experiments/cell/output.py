"""Output of a cell's fit beside its model: the sampled volume, and some views as measured and as predicted."""

from pathlib import Path

import numpy as np
from jaxtyping import Array, Float, Int, Num

from ...io.predictions import write_predictions
from ...io.volume_formats import save
from ...model import Model
from ...optimize.likelihood import Nuisance, Split
from .contradicting_views import contradiction_numbers
from .contrast_factor import contrast_factor
from .corrections import correction_numbers
from .diagnostics import light_numbers, specimen_numbers
from .field_noise import FieldNoise, estimate_field_noise
from .forward_model import CellForwardModel
from .image_noise import ImageNoise, estimate_noise
from .structure import ComparedViews, structure_numbers

FITTED_VIEWS = 12
"""Number of fitted views in the predictions, beside the withheld ones."""


def write_result(
    folder: Path,
    model: Model,
    forward_model: CellForwardModel,
    split: Split,
    values: Float[Array | np.ndarray, "k z y x"],
    nuisance: Nuisance,
) -> dict[str, float]:
    """Write ``volume.h5`` and ``predictions.h5``.

    Args:
        folder: Run folder.
        model: Model to sample.
        forward_model: Measured views, and the physics that predicts them.
        split: Fitted and withheld views.
        values: Index contrast on the fit's grid.
        nuisance: Corrections of the instrument.

    Returns:
        Numbers for ``metrics.json``: sizes, and the number of withheld views.
    """
    volume = model.volume()
    save(volume, folder / "volume.h5")
    views = np.concatenate([split.withheld, _spread(split.fitted)])
    withheld = np.isin(views, split.withheld)
    measured, modelled, gains = _predict_views(forward_model, views, values, nuisance)
    brightness = _brightness(forward_model, views, gains)
    write_predictions(folder / "predictions.h5", "cell", views, withheld, measured, modelled, brightness)
    numbers = {"voxels": float(volume.main.size), "volume_bytes": float((folder / "volume.h5").stat().st_size)}
    numbers["residual_over_empty"] = _residual_over_empty(forward_model, split, values, nuisance)
    numbers |= contradiction_numbers(forward_model, values, nuisance)
    numbers |= contrast_factor(forward_model, values, nuisance, _spread(split.withheld))
    numbers |= structure_numbers(_compare(forward_model, views, measured, modelled), withheld)
    numbers |= light_numbers(forward_model, split.fitted) | specimen_numbers(forward_model, volume)
    numbers |= correction_numbers(nuisance, forward_model.microscope)
    if brightness is not None:
        numbers |= {"gain_least": float(np.nanmin(brightness)), "gain_most": float(np.nanmax(brightness))}
    return numbers | ({"views_withheld": float(len(split.withheld))} if len(split.withheld) else {})


def structure_left(
    forward_model: CellForwardModel,
    views: Int[np.ndarray, " view"],
    values: Float[Array | np.ndarray, "k z y x"],
    nuisance: Nuisance,
) -> dict[str, float]:
    """Compute the structure that a result leaves in a few of some views, and its error; see `structure_numbers`."""
    some = _spread(views)
    measured, modelled, _ = _predict_views(forward_model, some, values, nuisance)
    return structure_numbers(_compare(forward_model, some, measured, modelled), np.ones(len(some), bool))


def _brightness(
    forward_model: CellForwardModel, views: Int[np.ndarray, " view"], gains: Num[np.ndarray, " view"]
) -> Float[np.ndarray, " view"] | None:
    """Compute the brightness of bright fields over their median, NaN for dark fields; None if it was not fitted."""
    bright = forward_model.is_bright[views]
    if forward_model.levels is None or not forward_model.settings.fit.refine.gain or not np.any(bright):
        return None
    brightness = np.where(bright, gains * forward_model.levels[views], np.nan)
    return np.asarray(brightness / np.nanmedian(brightness))


def _compare(
    forward_model: CellForwardModel,
    views: Int[np.ndarray, " view"],
    measured: Num[np.ndarray, "view h w"],
    modelled: Num[np.ndarray, "view h w"],
) -> ComparedViews:
    """Compare some views with the noise of their camera."""
    shape = measured.shape
    weights = np.ones(shape) if forward_model.weights is None else forward_model.weights[views].astype(np.float64)
    has_gain, microscope = forward_model.settings.fit.refine.gain, forward_model.microscope
    noise: ImageNoise | FieldNoise | None
    if forward_model.is_field:
        directions = forward_model.illumination.na[views, 0]
        noise = estimate_field_noise(measured, modelled, weights > 0, microscope, directions)
    else:
        noise = estimate_noise(measured, modelled, weights > 0, microscope)
    is_bright = forward_model.is_bright[views] | forward_model.is_field
    return ComparedViews(measured, modelled, is_bright, weights, has_gain, noise)


def _residual_over_empty(
    forward_model: CellForwardModel, split: Split, values: Float[Array | np.ndarray, "k z y x"], nuisance: Nuisance
) -> float:
    """Compute the residual of withheld views, or of fitted ones if none is, over that of an empty box."""
    views = _spread(split.withheld if len(split.withheld) else split.fitted)
    result, empty = (
        float(np.mean(forward_model.losses_of(contrast, nuisance, views)))
        for contrast in (values, np.zeros_like(values))
    )
    return float(np.sqrt(result / empty)) if empty > 0 else 1.0


def _spread(views: Int[np.ndarray, " view"]) -> Int[np.ndarray, " few"]:
    """Select a few views, spread evenly."""
    if not len(views):
        return views
    return np.asarray(views[np.unique(np.linspace(0, len(views) - 1, FITTED_VIEWS).astype(int))])


def _predict_views(
    forward_model: CellForwardModel,
    views: Int[np.ndarray, " view"],
    values: Float[Array | np.ndarray, "k z y x"],
    nuisance: Nuisance,
) -> tuple[Num[np.ndarray, "view h w"], Num[np.ndarray, "view h w"], Num[np.ndarray, " view"]]:
    """Gather views as measured, and predict them and their gains, complex for fields, one by one."""
    measured, modelled, gains = [], [], []
    for view in views:
        batch = forward_model.batch(np.array([view]))
        measured.append(np.asarray(batch["measured"])[0])
        images, gain = forward_model.predict_with_gains(values, nuisance, batch)
        modelled.append(np.asarray(images)[0])
        gains.append(np.asarray(gain)[0])
    return np.stack(measured), np.stack(modelled), np.array(gains)
