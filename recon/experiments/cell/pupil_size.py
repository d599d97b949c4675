"""Size of the pupil that the spectra of complex fields show, relative to the described one.

A wrong pixel size or wavelength stretches the spectra, and a stretched specimen explains them almost as well. The pupil
does not stretch with it: of a tilted wave, the spectrum of the field divided by that wave is cut off around a centre
away from 0, at low frequencies where light is strong, and the cut lies elsewhere than described. The specimen's own
spectrum falls around 0; amplitudes are compared at equal distance from 0, so that this fall is not taken for a cut.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Complex, Float

from .spectra import fading_window, transverse_frequency

if TYPE_CHECKING:
    from .forward_model import CellForwardModel

SCALES = np.exp(np.linspace(np.log(0.6), np.log(1.5), 23))
"""Sizes of the pupil that are compared, relative to the described one."""
FEWEST_VIEWS = 6
"""Fewest tilted views of which the pupil is looked for."""
LEAST_EDGE = 0.1
"""Least logarithm of the fall of amplitudes over the rim of a pupil that is seen, beside that of the specimen."""
_MOST_VIEWS = 48
_TILTED = 0.3
"""Tilt of a wave, relative to the aperture, from which its pupil is off centre."""
_WIDTH, _GAP = 0.12, 0.3
"""Width of the rings within and beyond the rim, relative to the pupil, and the part of it that is left out."""
_LEAST_WIDTH = 2.5
"""Least width of a ring, in samples of the spectrum, and radius around 0 that is left out."""
_FEWEST_FREQUENCIES = 8
_WHITE = 150.0
"""Power beyond the rim over that of the corners of the spectrum from which fields were filtered: the filter is seen."""


def pupil_numbers(model: "CellForwardModel") -> dict[str, float]:
    """Find the size of the pupil from the measured fields.

    Returns:
        ``pupil_scale``: size of the pupil over the described one; ``pupil_edge``: fall of amplitudes over the described
        rim, over that at the best one; ``pupil_errors``: standard errors over the views by which the best one's fall is
        steeper. Empty where too few waves are tilted, no rim is seen, or a filter hides it.
    """
    if not model.is_field or "rotation" in model.acquisition:
        return {}
    directions = model.illumination.na[:, 0]
    tilts = np.hypot(*directions.T) / model.microscope.numerical_aperture
    views = np.flatnonzero((tilts > _TILTED) & (tilts < 1))
    if len(views) < FEWEST_VIEWS:
        return {}
    views = views[np.unique(np.linspace(0, len(views) - 1, _MOST_VIEWS).astype(int))]
    own = (views, directions, model)
    good = None if model.weights is None else model.weights[views] > 0
    powers = _powers(model.measured[views], good)
    if not _is_white(powers, *own):
        return {}
    amplitudes = _flatten(powers, model)
    described = _edges(amplitudes, 1.0, *own)
    each = np.stack([_edges(amplitudes, float(scale), *own) for scale in SCALES])
    known = np.isfinite(each) & np.isfinite(described)
    counts = known.sum(axis=1)
    means = np.where(known, each, 0).sum(axis=1) / np.maximum(counts, 1)
    best = int(np.argmax(np.where(counts >= FEWEST_VIEWS, means, -np.inf)))
    if counts[best] < FEWEST_VIEWS or means[best] < LEAST_EDGE:
        return {}
    own_edges, steepest = described[known[best]], each[best][known[best]]
    steeper = steepest - own_edges
    error = max(float(steeper.std(ddof=1)) / np.sqrt(len(steeper)), 1e-6)
    edge = float(own_edges.mean() / steepest.mean())
    return {"pupil_scale": float(SCALES[best]), "pupil_edge": edge, "pupil_errors": float(steeper.mean() / error)}


def _powers(
    fields: Complex[np.ndarray, "view y x"], good: Bool[np.ndarray, "view y x"] | None
) -> Float[np.ndarray, "view y x"]:
    """Compute the power of what the specimen scatters, without the incident wave; bad pixels scatter nothing."""
    window = fading_window(fields.shape[1:])
    middle = np.median(fields.real, axis=(1, 2)) + 1j * np.median(fields.imag, axis=(1, 2))
    scattered = fields - middle[:, None, None]
    if good is not None:
        scattered = np.where(good, scattered, 0)
    return np.asarray(np.abs(np.fft.fft2(scattered * window)) ** 2)


def _flatten(powers: Float[np.ndarray, "view y x"], model: "CellForwardModel") -> Float[np.ndarray, "view y x"]:
    """Divide amplitudes by their mean over all views at the same distance from 0, which the specimen makes."""
    middle, step = transverse_frequency(powers.shape[1:], np.zeros(2), model.microscope)
    ring = np.rint(middle / step).astype(int).ravel()
    amplitudes = np.sqrt(powers)
    means = np.bincount(ring, amplitudes.mean(axis=0).ravel()) / np.maximum(np.bincount(ring), 1)
    return np.asarray(amplitudes / np.maximum(means[ring].reshape(middle.shape), 1e-30))


def _rings(
    shape: tuple[int, ...], scale: float, direction: Float[np.ndarray, " 2"], model: "CellForwardModel"
) -> tuple[Bool[np.ndarray, "y x"], Bool[np.ndarray, "y x"]]:
    """Select the frequencies just within and just beyond the rim of a pupil of some size."""
    microscope = model.microscope
    pupil = scale * microscope.numerical_aperture / microscope.wavelength
    middle, step = transverse_frequency(shape, np.zeros(2), microscope)
    radius = transverse_frequency(shape, scale * direction, microscope)[0]
    width, away = max(_WIDTH * pupil, _LEAST_WIDTH * step), middle > _LEAST_WIDTH * step
    inside = away & (radius < pupil - _GAP * width) & (radius > pupil - width)
    return inside, away & (radius > pupil + _GAP * width) & (radius < pupil + width)


def _is_white(
    powers: Float[np.ndarray, "view y x"],
    views: np.ndarray,
    directions: Float[np.ndarray, "any_view 2"],
    model: "CellForwardModel",
) -> bool:
    """Whether what lies beyond the described rim lies in the corners of the spectrum as well, as noise does."""
    ratios = []
    for power, view in zip(powers, views, strict=True):
        _, beyond = _rings(power.shape, 1.0, directions[view], model)
        radius = transverse_frequency(power.shape, directions[view], model.microscope)[0]
        if np.count_nonzero(beyond) >= _FEWEST_FREQUENCIES:
            ratios.append(power[beyond].mean() / max(power[radius >= np.quantile(radius, 0.75)].mean(), 1e-30))
    return bool(ratios) and float(np.median(ratios)) < _WHITE


def _edges(
    amplitudes: Float[np.ndarray, "view y x"],
    scale: float,
    views: np.ndarray,
    directions: Float[np.ndarray, "any_view 2"],
    model: "CellForwardModel",
) -> Float[np.ndarray, " view"]:
    """Compute the fall of amplitudes over the rim of a pupil of some size, of each view.

    Returns:
        Logarithms of the ratio of amplitudes; not a number where the rings hold too few samples.
    """
    edges = np.full(len(views), np.nan)
    for number, (amplitude, view) in enumerate(zip(amplitudes, views, strict=True)):
        inside, beyond = _rings(amplitude.shape, scale, directions[view], model)
        if min(np.count_nonzero(inside), np.count_nonzero(beyond)) >= _FEWEST_FREQUENCIES:
            edges[number] = np.log(amplitude[inside].mean() / max(amplitude[beyond].mean(), 1e-30))
    return edges
