"""Size of the pupil that the spectra of complex fields show, relative to the described one.

A wrong pixel size or wavelength stretches the spectra, and a stretched specimen explains them almost as well. The pupil
does not stretch with it: of a tilted wave, the spectrum of the field divided by that wave is cut off around a centre
away from 0, at low frequencies where light is strong, and the cut lies elsewhere than described.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Complex, Float

from .field_noise import transverse_frequency
from .image_noise import taper

if TYPE_CHECKING:
    from .forward_model import CellForwardModel

SCALES = np.exp(np.linspace(np.log(0.6), np.log(1.5), 23))
"""Sizes of the pupil that are compared, relative to the described one."""
FEWEST_VIEWS = 6
"""Fewest tilted views of which the pupil is looked for."""
LEAST_EDGE = 0.4
"""Least logarithm of the fall of amplitudes over the rim of a pupil that is seen."""
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
    spectra = _powers(model.measured[views])
    described, is_white = _edges(spectra, 1.0, *own)
    each = np.stack([_edges(spectra, float(scale), *own)[0] for scale in SCALES])
    known = np.isfinite(each) & np.isfinite(described)
    counts = known.sum(axis=1)
    means = np.where(known, each, 0).sum(axis=1) / np.maximum(counts, 1)
    best = int(np.argmax(np.where(counts >= FEWEST_VIEWS, means, -np.inf)))
    if not is_white or counts[best] < FEWEST_VIEWS or means[best] < LEAST_EDGE:
        return {}
    own_edges, steepest = described[known[best]], each[best][known[best]]
    steeper = steepest - own_edges
    error = max(float(steeper.std(ddof=1)) / np.sqrt(len(steeper)), 1e-6)
    edge = float(own_edges.mean() / steepest.mean())
    return {"pupil_scale": float(SCALES[best]), "pupil_edge": edge, "pupil_errors": float(steeper.mean() / error)}


def _powers(fields: Complex[np.ndarray, "view y x"]) -> Float[np.ndarray, "view y x"]:
    """Compute the power of what the specimen scatters, without the incident wave."""
    window = taper(fields.shape[1])[:, None] * taper(fields.shape[2])[None, :]
    middle = np.median(fields.real, axis=(1, 2)) + 1j * np.median(fields.imag, axis=(1, 2))
    return np.asarray(np.abs(np.fft.fft2((fields - middle[:, None, None]) * window)) ** 2)


def _edges(
    powers: Float[np.ndarray, "view y x"],
    scale: float,
    views: np.ndarray,
    directions: Float[np.ndarray, "any_view 2"],
    model: "CellForwardModel",
) -> tuple[Float[np.ndarray, " view"], bool]:
    """Compute the fall of amplitudes over the rim of a pupil of some size, of each view.

    Returns:
        Logarithms of the ratio of amplitudes, not a number where the rings hold too few samples; whether noise lies
        beyond the rim as well.
    """
    microscope = model.microscope
    pupil = scale * microscope.numerical_aperture / microscope.wavelength
    middle, step = transverse_frequency(powers.shape[1:], np.zeros(2), microscope)
    width = max(_WIDTH * pupil, _LEAST_WIDTH * step)
    edges, ratios = np.full(len(views), np.nan), []
    for number, (power, view) in enumerate(zip(powers, views, strict=True)):
        radius = transverse_frequency(powers.shape[1:], scale * directions[view], microscope)[0]
        away = middle > _LEAST_WIDTH * step
        inside = away & (radius < pupil - _GAP * width) & (radius > pupil - width)
        beyond = away & (radius > pupil + _GAP * width) & (radius < pupil + width)
        if min(np.count_nonzero(inside), np.count_nonzero(beyond)) < _FEWEST_FREQUENCIES:
            continue
        edges[number] = np.log(np.sqrt(power[inside]).mean() / max(np.sqrt(power[beyond]).mean(), 1e-30))
        ratios.append(power[beyond].mean() / max(power[radius >= np.quantile(radius, 0.75)].mean(), 1e-30))
    return edges, bool(ratios) and float(np.median(ratios)) < _WHITE
